from __future__ import annotations

from typing import Any

import pytest

from addon.confluence.http import endpoints
from addon.confluence.quota import meter


@pytest.mark.parametrize(
    ("endpoint", "status", "answer", "points"),
    [
        (endpoints.SPACES, 200, {"results": [{}, {}, {}]}, 4),
        (endpoints.CONTENT_SEARCH, 200, {"results": []}, 1),
        (endpoints.SEARCH, 200, {"results": [], "totalSize": 5}, 1),
        (endpoints.USER, 200, {"accountId": "u"}, 3),
        (endpoints.MEMBER_OF, 200, {"results": [{}, {}]}, 5),
        (endpoints.USERS_BULK, 200, {"results": [{}, {}]}, 5),
        (endpoints.EMAILS, 200, [{}, {}], 5),
        (endpoints.SPACE_PERMISSIONS, 200, {"results": [{}] * 250}, 501),
        (endpoints.SYSTEM_INFO, 200, {"cloudId": "c"}, 2),
        (endpoints.CREATE_PROPERTY["page"], 200, {"id": "1"}, 1),
        (endpoints.TRASH["page"], 204, None, 1),
        (endpoints.ARCHIVE, 202, {"id": "t"}, 1),
        (endpoints.SPACES, 404, {"errors": []}, 1),
        (endpoints.SPACES, 500, None, 1),
        (endpoints.SPACES, 401, None, 0),
        (endpoints.SPACES, 429, {"results": [{}]}, 0),
        (endpoints.SPACES, 200, None, 1),
        (endpoints.SPACES, 200, "odd", 1),
        (
            endpoints.RESTRICTIONS,
            200,
            {
                "read": {"operation": "read", "restrictions": {"user": {"results": [{}, {}]}}},
                "update": {"operation": "update", "restrictions": {"group": {"results": [{}]}}},
                "_links": {},
            },
            11,
        ),
    ],
)
def test_points_are_counted_as_atlassian_counts_them(
    endpoint: endpoints.Endpoint, status: int, answer: Any, points: int
) -> None:
    assert meter.cost(endpoint, status, answer) == points


def test_a_price_before_the_call_is_never_below_its_cost() -> None:
    assert meter.ceiling(endpoints.SPACES, 250) == meter.cost(endpoints.SPACES, 200, {"results": [{}] * 250})
    assert meter.ceiling(endpoints.USER, 1) == 3
    assert meter.ceiling(endpoints.SEARCH, 0) == 1
    assert meter.ceiling(endpoints.TRASH["page"], 1) == 1
