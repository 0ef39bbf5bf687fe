from __future__ import annotations

from typing import Any

import pytest

from addon.confluence.http import calls
from addon.confluence.quota import meter


@pytest.mark.parametrize(
    ("endpoint", "status", "answer", "points"),
    [
        (calls.SPACES, 200, {"results": [{}, {}, {}]}, 4),
        (calls.CONTENT_SEARCH, 200, {"results": []}, 1),
        (calls.SEARCH, 200, {"results": [], "totalSize": 5}, 1),
        (calls.USER, 200, {"accountId": "u"}, 3),
        (calls.MEMBER_OF, 200, {"results": [{}, {}]}, 5),
        (calls.USERS_BULK, 200, {"results": [{}, {}]}, 5),
        (calls.EMAILS, 200, [{}, {}], 5),
        (calls.SPACE_PERMISSIONS, 200, {"results": [{}] * 250}, 501),
        (calls.SYSTEM_INFO, 200, {"cloudId": "c"}, 2),
        (calls.CREATE_PROPERTY["page"], 200, {"id": "1"}, 1),
        (calls.TRASH["page"], 204, None, 1),
        (calls.ARCHIVE, 202, {"id": "t"}, 1),
        (calls.SPACES, 404, {"errors": []}, 1),
        (calls.SPACES, 500, None, 1),
        (calls.SPACES, 401, None, 0),
        (calls.SPACES, 429, {"results": [{}]}, 0),
        (calls.SPACES, 200, None, 1),
        (calls.SPACES, 200, "odd", 1),
        (
            calls.RESTRICTIONS,
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
    endpoint: calls.Endpoint, status: int, answer: Any, points: int
) -> None:
    assert meter.cost(endpoint, status, answer) == points


def test_a_price_before_the_call_is_never_below_its_cost() -> None:
    assert meter.ceiling(calls.SPACES, 250) == meter.cost(calls.SPACES, 200, {"results": [{}] * 250})
    assert meter.ceiling(calls.USER, 1) == 3
    assert meter.ceiling(calls.SEARCH, 0) == 1
    assert meter.ceiling(calls.TRASH["page"], 1) == 1
