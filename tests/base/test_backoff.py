"""Waits that double up to a bound."""

from __future__ import annotations

import pytest

from addon.base import backoff


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 30.0), (1, 60.0), (2, 120.0), (4, 480.0), (5, 600.0), (6, 600.0), (100_000, 600.0)]
)
def test_waits_double_up_to_the_longest(failures: int, seconds: float) -> None:
    assert backoff(failures, first=30, longest=600) == seconds


def test_the_first_wait_is_no_longer_than_the_longest() -> None:
    assert backoff(0, first=900, longest=600) == 600


def test_nothing_fails_less_than_never() -> None:
    with pytest.raises(ValueError, match="-1 failures"):
        backoff(-1, first=30, longest=600)
