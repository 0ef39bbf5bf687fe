"""May a tenant take more of the hour's points without taking them from those who have had less? Pure arithmetic.

No tenant has a fixed part of the pool, because most need little and not at the same time. Whoever asks must leave
enough that every other tenant known to want points could come as far as the asker gets, and must leave room for
tenants that nobody knows of yet (docs/adr/0015). So those who have had least always come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

NEWCOMERS = 8
"""One part in this many of a pool is kept for tenants that have had little of it."""
NEWCOMERS_AHEAD = 2
"""Within the kept part: as many others must still be able to come as far as the asker gets."""
UNBOUNDED = 1 << 40


@dataclass(frozen=True, slots=True)
class Standing:
    """Another tenant in this hour: the points it has had, and those it is expected to want in all."""

    had: int
    wants: int


class Verdict(Enum):
    """What a tenant that asks for points hears."""

    GRANTED = "granted"
    OTHERS_FIRST = "others first"
    """There are points, but other tenants have a claim to them: ask again later in the hour."""
    USED_UP = "used up"
    """Nothing for this tenant in this hour."""


def ask(points: int, *, had: int, taken: int, limit: int, others: Iterable[Standing]) -> Verdict:
    """Say whether a tenant may take `points` more.

    Parameters: what it `had` in this hour; what all tenants together have `taken` of the pool's `limit`; the `others`
    that are drawing now or are expected. All in points.
    """
    reach = had + points
    after = taken + points + min(limit // NEWCOMERS, NEWCOMERS_AHEAD * reach)
    if after > limit:
        # The very last points go to whoever has had none of them: a pool must not end with a rest nobody may touch.
        return Verdict.GRANTED if had == 0 and taken + points <= limit else Verdict.USED_UP
    kept = sum(max(0, min(each.wants, reach) - each.had) for each in others)
    return Verdict.GRANTED if after + kept <= limit else Verdict.OTHERS_FIRST
