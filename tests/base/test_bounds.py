from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.base.bounds import EARLIEST, LATEST, MOST, identifier, number, utc

anything = st.one_of(
    st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.lists(st.integers()), st.integers().map(str)
)


@given(anything)
def test_a_number_fits_into_every_column_or_is_none(value: Any) -> None:
    try:
        found = number(value)
    except ValueError:
        return
    assert type(found) is int
    assert 0 <= found <= MOST
    assert str(found) == str(value).partition(".")[0].lstrip("0") or found in (0, value)


@pytest.mark.parametrize(
    "value", ["9" * 5000, "-1", "1e3", "٣", "", " 1", 1e999, float("nan"), 2**31, True, None, "1.0"]
)
def test_what_is_no_number_within_the_bounds_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="whole number"):
        number(value)


def test_numbers_come_as_numbers_as_floats_and_in_digits() -> None:
    assert [number(each) for each in (7, 7.0, "7", "0000007")] == [7, 7, 7, 7]


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "x" * 33, "1\n", "é", -1, 10**20, True, None, 1.5])
def test_what_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not "):
        identifier(value)


@given(st.datetimes(), st.one_of(st.none(), st.integers(-1439, 1439)))
def test_every_time_leaves_room_for_zones_and_sums(naive: datetime, minutes: int | None) -> None:
    zone = None if minutes is None else timezone(timedelta(minutes=minutes))
    found = utc(naive.replace(tzinfo=zone))
    assert EARLIEST - timedelta(days=1) <= found <= LATEST + timedelta(days=1)
    assert found.tzinfo is UTC
    for step in (timedelta(days=60), timedelta(days=-60)):
        assert (found + step).astimezone(timezone(timedelta(hours=14))) - found == step
