from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pytest

from addon.confluence.content import Property
from addon.jobs.statuses.stamp import own_stamp


def written(**value: Any) -> Property:
    return Property("5", "steward-status", {"content": "1", "id": "expired", **value}, 1)


@pytest.mark.parametrize("slug", ["x" * 65, "x" * 1_000_000, "", 7, None, {}])
def test_what_no_status_can_be_called_is_no_stamp_whoever_wrote_it(slug: Any) -> None:
    assert own_stamp(written(id=slug), "1") is None
    stamp = own_stamp(written(previous=slug), "1")
    assert stamp is not None
    assert stamp.previous is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_date_at_the_end_of_the_calendar_can_be_stored(text: str) -> None:
    stamp = own_stamp(written(changedOn=text), "1")
    assert stamp is not None
    assert stamp.changed_on is not None
    assert (stamp.changed_on + timedelta(days=1)).astimezone(UTC) > stamp.changed_on
