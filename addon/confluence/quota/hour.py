"""The hour of the quota: when it begins, what part of it is whose, and when the refused ones resume. Pure functions."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from addon.base import TenantId
from addon.confluence.quota.budgets import RESERVE_PERCENT
from addon.confluence.quota.quota_table import PoolState, Share

HOUR = timedelta(hours=1)
INTERACTIVE_PERCENT = 10
"""The part of every hour that is kept for people at the screens, so that a long job never locks them out."""
SPREAD_SECONDS = 600
"""The seconds after a reset over which the tenants' jobs resume."""
EXPECTED = timedelta(seconds=SPREAD_SECONDS + 120)
"""How long into an hour points are left for tenants that were refused in the last one: the spread, and two minutes for
their first call."""
TURN_SECONDS = 600
"""How long a run pauses while other tenants have a claim to what is left."""

OTHERS_FIRST = "other sites are getting their share of this hour's API points first"
PERSONS_PART = "your own part of this hour's API points for people's requests is used up"
_HAD_ITS_SHARE = "this site has had its share of this hour's API points; what is left is kept for other sites"
_USED_UP = "this hour's API points {whose} {share} are used up"


def hour_of(moment: datetime) -> datetime:
    """Return the start of the UTC hour that `moment` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def part_of(share: Share, points: int) -> int:
    """Return how many of an hour's `points` are for jobs, or for people."""
    interactive = points * INTERACTIVE_PERCENT // 100
    return interactive if share == "interactive" else points - interactive


def reserve_of(share: Share, limit: int) -> int:
    """Return how many of a tenant's points are kept for Confluence administrators: none of those for jobs."""
    return limit * RESERVE_PERCENT // 100 if share == "interactive" else 0


def spread(tenant_id: TenantId) -> int:
    """Return the seconds after a reset at which this tenant's jobs resume, so that not all start at once."""
    digest = hashlib.sha256(tenant_id.encode()).digest()
    return int.from_bytes(digest[:4]) % SPREAD_SECONDS


def resumes_at(tenant_id: TenantId, share: Share, until: datetime) -> datetime:
    """Return when a tenant whose points are there again at `until` resumes: people at once, jobs after their spread."""
    return until if share == "interactive" else until + timedelta(seconds=spread(tenant_id))


def next_turn(tenant_id: TenantId, share: Share, now: datetime) -> datetime:
    """Return when a tenant asks again that gave way to others, at the latest when it resumes in the next hour."""
    turn = now + timedelta(seconds=TURN_SECONDS + spread(tenant_id) // 10)
    return min(turn, resumes_at(tenant_id, share, hour_of(now) + HOUR))


def reason(share: Share, pool: PoolState, need: int, own_limit: int) -> str:
    """Return in words whose points are used up: the tenant's own, its part of the pool, or the whole pool."""
    own_left = pool.had + need <= own_limit
    if own_left and pool.taken + need <= pool.limit:
        return _HAD_ITS_SHARE
    return _USED_UP.format(
        whose="of the add-on" if own_left else "of this site",
        share="for people's requests" if share == "interactive" else "for jobs",
    )
