from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.base.bounds import EARLIEST, LATEST
from addon.confluence import Property
from addon.jobs.review import Review
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


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str) | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["id", "previous", "changedOn", "content", "name"]), anything) | anything)
def test_whatever_stands_in_a_property_is_a_stamp_that_can_be_stored_or_none(value: Any) -> None:
    own = value | {"content": "1"} if isinstance(value, dict) else value
    stamp = own_stamp(Property("5", "steward-status", own, 1), "1")
    if stamp is None:
        return
    assert 0 < len(stamp.slug) <= 64
    assert stamp.previous is None or 0 < len(stamp.previous) <= 64
    assert stamp.changed_on is None or EARLIEST <= stamp.changed_on <= LATEST


@given(st.dictionaries(st.sampled_from(["expirationDate", "reviewedOn", "keep"]), anything) | anything)
def test_whatever_stands_in_a_review_is_read_as_days_or_not_at_all(value: Any) -> None:
    review = Review.read(value)
    assert isinstance(review.keep, bool)
    for day in (review.expiration_date, review.reviewed_on):
        assert day is None or EARLIEST.date() <= day <= LATEST.date()
    assert Review.read(review.value()) == review
