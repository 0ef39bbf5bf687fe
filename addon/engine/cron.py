"""When does a cron fire next in its time zone? Once per local wall minute, across every change of the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


def next_fire(cron: str, time_zone: str, after: datetime) -> datetime | None:
    """Return the first firing strictly after `after`, in UTC; None when there is none within fifty years.

    `cron` has five fields and is matched against local wall minutes. A minute that the clocks repeat fires the first
    time only; minutes that they skip fire together, once, at the first instant after the gap. Raises ValueError on a
    malformed cron or an unknown zone.
    """
    return next(_fires(cron, time_zone, after), None)


def fires(cron: str, time_zone: str, after: datetime, limit: int) -> list[datetime]:
    """Return the next `limit` firings strictly after `after`, in UTC, ascending; raises as `next_fire` does."""
    return list(islice(_fires(cron, time_zone, after), limit))


def fires_until(cron: str, time_zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the firings after `after` and up to `until`, in UTC, ascending; raises as `next_fire` does."""
    return takewhile(lambda when: when <= until, _fires(cron, time_zone, after))


def _fires(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    zone = _zone(time_zone)
    if len(cron.split()) != 5:
        raise ValueError(f"a cron has five fields: {cron!r}")
    last = after.astimezone(UTC)
    wall = last.astimezone(zone).replace(tzinfo=None)
    try:
        for candidate in CronSim(cron, wall):
            instant = _instant(candidate, zone)
            if instant > last:
                last = instant
                yield instant
    except CronSimError as error:
        raise ValueError(f"malformed cron {cron!r}: {error}") from error


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when the local clock first shows `wall`, or the end of the gap that swallows it."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return instant
    return _gap_end(wall, zone)


def _gap_end(wall: datetime, zone: ZoneInfo) -> datetime:
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError(f"unknown time zone {name!r}") from error
