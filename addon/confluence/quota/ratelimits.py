"""The rate-limit headers of an answer, and what they demand (docs/rules/confluence-api.md 4). Pure reading.

The same headers come with a `Beta-` prefix until Atlassian enforces them for an app; both are believed. Their
spellings differ between documentation and real traffic, so reasons are matched loosely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

BURST_SECONDS = 5.0
"""How long to leave an endpoint alone that answered 429 without saying for how long."""
LONGEST = timedelta(hours=2)
"""How long anything is left alone at most, whatever number a header names."""
_DIGITS = 18
_HOURLY_AT_LEAST = 10_000
"""Limits below this are per-second buckets, not an hour's quota."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A demand of the site: whose calls must wait, until when, and why. `burst` concerns the one endpoint only."""

    scope: Literal["pool", "tenant", "burst"]
    until: datetime
    reason: str


def rate_limit(status: int, headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """Return what an answer with `status` and `headers` (case-insensitive) demands at `now`; None: nothing."""
    if status == 429:
        return _refused(headers, now)
    if _left(headers) != 0:
        return None
    reset = _reset(headers, now) or next_hour(now)
    return RateLimit(_owner(headers), _within(reset, now), "Atlassian reports that this hour's points are used up")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that Retry-After asks for, given as a number or as an HTTP date, at most LONGEST.

    None without one, and for one that is neither.
    """
    value = headers.get("Retry-After") or headers.get("Beta-Retry-After")
    if not value:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return min(float(value), LONGEST.total_seconds())
    try:
        at = parsedate_to_datetime(value)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, min(wait, LONGEST).total_seconds())


def next_hour(now: datetime) -> datetime:
    """Return the start of the UTC hour after `now`: when quotas start again."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _refused(headers: Mapping[str, str], now: datetime) -> RateLimit:
    reason = (_header(headers, "RateLimit-Reason") or "").lower()
    wait = retry_after(headers, now)
    reset = now + timedelta(seconds=wait) if wait is not None else _reset(headers, now)
    quota = any(word in reason for word in ("quota", "global", "tenant"))
    if not quota and reset is not None and reset - now > timedelta(minutes=1):
        quota = "burst" not in reason and not _left(headers)
    if "burst" in reason or not quota:
        until = reset or now + timedelta(seconds=BURST_SECONDS)
        return RateLimit("burst", _within(until, now), "too many requests at once")
    scope: Literal["pool", "tenant"] = (
        "pool" if "global" in reason else "tenant" if "tenant" in reason else _owner(headers)
    )
    whose = "of the add-on" if scope == "pool" else "of this site"
    return RateLimit(scope, _within(reset or next_hour(now), now), f"this hour's API points {whose} are used up")


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name) or headers.get(f"Beta-{name}")


def _owner(headers: Mapping[str, str]) -> Literal["pool", "tenant"]:
    policies = f"{_header(headers, 'RateLimit') or ''} {_header(headers, 'RateLimit-Policy') or ''}".lower()
    return "pool" if "global" in policies else "tenant"


def _left(headers: Mapping[str, str]) -> int | None:
    for policy in (_header(headers, "RateLimit") or "").split(","):
        if "quota" in policy and (match := re.search(r"\br=([0-9]+)", policy)):
            return _bounded(match[1])
    limit, remaining = _header(headers, "X-RateLimit-Limit"), _header(headers, "X-RateLimit-Remaining")
    if limit and remaining and all(re.fullmatch("[0-9]+", each) for each in (limit, remaining)):
        return _bounded(remaining) if _bounded(limit) >= _HOURLY_AT_LEAST else None
    return None


def _bounded(digits: str) -> int:
    # More digits than a number of points has are more than enough of them; Python refuses to read thousands.
    return int(digits[:_DIGITS])


def _reset(headers: Mapping[str, str], now: datetime) -> datetime | None:
    value = _header(headers, "X-RateLimit-Reset")
    if not value:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at > now else None


def _within(until: datetime, now: datetime) -> datetime:
    return min(max(until, now), now + LONGEST)
