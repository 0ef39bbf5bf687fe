"""Exponential back-off: how long to wait before the next attempt at something that has failed."""

from __future__ import annotations

_ENOUGH = 64
"""Doublings after which any wait has reached its bound; more would overflow a float after a thousand failures."""


def backoff(failures: int, *, first: float, longest: float) -> float:
    """Return the seconds to wait after `failures` earlier attempts: min(first * 2 ** failures, longest).

    With first=30 and longest=600 the waits are 30, 60, 120, 240, 480, 600, 600, … The result never shrinks as failures
    add up, is never more than `longest`, and is defined for any number of failures. It is not spread at random: what
    would meet others at the same moment spreads its waits itself.

    Parameters: `failures` counts from 0, the wait after the first failure; `first` and `longest` are seconds. Raises
    ValueError on a negative number of failures.
    """
    if failures < 0:
        raise ValueError(f"{failures} failures")
    return min(first * 2.0 ** min(failures, _ENOUGH), longest)
