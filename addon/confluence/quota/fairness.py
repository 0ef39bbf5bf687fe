"""The fair sharing of an hour's points between tenants, in pure arithmetic.

No tenant has a fixed part of the pool, because most need little and not at the same time. The tenant that asks must
leave enough for every other tenant known to want points to come as far as the asker gets, and must leave room for
tenants that are not known yet (docs/adr/0015). So those that have had least always come first.
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
class TenantUsage:
    """Another tenant in this hour: the points it has had, and those it is expected to want in all, `had` included."""

    had: int
    wants: int


class Decision(Enum):
    """The answer to a tenant that asks for points."""

    GRANTED = "granted"
    OTHERS_FIRST = "others first"
    """There are points, but other tenants have a claim to them: ask again later in the hour."""
    USED_UP = "used up"
    """Nothing for this tenant in this hour."""


def decide(points: int, *, had: int, taken: int, limit: int, others: Iterable[TenantUsage]) -> Decision:
    """Return whether a tenant may take `points` more.

        reach    = had + points                             as far as the asker would get
        after    = taken + points                           what the pool would have lost
        newcomer = min(limit / 8, 2 * reach)                room for tenants not known yet
        claims   = sum of max(0, min(wants, reach) - had)   over the others, up to the asker's own reach

    It may while after + newcomer + claims <= limit. Without claims the rest is free for anyone, so a tenant that is
    alone gets seven eighths of the pool at once.

    Parameters: what it `had` in this hour; what all tenants together have `taken` of the pool's `limit`; the `others`
    that are drawing now or are expected. All in points.
    """
    reach = had + points
    after = taken + points + min(limit // NEWCOMERS, NEWCOMERS_AHEAD * reach)
    if after > limit:
        # The very last points go to a tenant that has had none: a pool must not end with a rest that no one may take.
        return Decision.GRANTED if had == 0 and taken + points <= limit else Decision.USED_UP
    claims = sum(max(0, min(each.wants, reach) - each.had) for each in others)
    return Decision.GRANTED if after + claims <= limit else Decision.OTHERS_FIRST
