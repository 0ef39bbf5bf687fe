"""The firing times of a cron in its time zone: once per local wall minute, across every change of the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from addon.base import known_zone

SECOND = timedelta(seconds=1)


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


def fires_back(cron: str, time_zone: str, until: datetime) -> Iterator[datetime]:
    """Yield the firings up to and including `until`, in UTC, the latest first; raises as `next_fire` does."""
    zone = known_zone(time_zone)
    last: datetime | None = None
    try:
        for candidate in read_cron(cron, _not_shown(until, zone), back=True):
            instant = _instant(candidate, zone)
            if last is None or instant < last:
                last = instant
                yield instant
    except OverflowError as error:
        raise ValueError(f"the cron {cron!r} leads out of the calendar") from error


def read_cron(cron: str, wall: datetime, *, back: bool = False) -> CronSim:
    """Return what yields the wall minutes of `cron` after `wall`, or before it. Raises ValueError when malformed."""
    if len(cron.split()) != 5:
        raise ValueError(f"a cron has five fields: {cron!r}")
    try:
        return CronSim(cron, wall, reverse=back)
    except CronSimError as error:
        raise ValueError(f"malformed cron {cron!r}: {error}") from error


def offset_change(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Return the second between two moments from which on the clock of `zone` goes by another offset."""
    before = early.astimezone(zone).utcoffset()
    while late - early > SECOND:
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


def _fires(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    zone = known_zone(time_zone)
    last = after.astimezone(UTC)
    try:
        for candidate in read_cron(cron, last.astimezone(zone).replace(tzinfo=None)):
            instant = _instant(candidate, zone)
            if instant > last:
                last = instant
                yield instant
    except OverflowError as error:
        raise ValueError(f"the cron {cron!r} leads out of the calendar") from error


def _not_shown(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return a wall time that the local clock has not shown by `instant`, all earlier full seconds being over.

    In an hour that the clocks repeat that is its end: the first time they have shown all of it.
    """
    instant = instant.astimezone(UTC).replace(microsecond=0)
    local = instant.astimezone(zone)
    if not local.fold:
        return local.replace(tzinfo=None) + SECOND
    first, again = local.replace(fold=0).utcoffset(), local.utcoffset()
    assert first is not None
    assert again is not None
    change = offset_change(zone, instant - (first - again), instant)
    return (change + first).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when the local clock first shows `wall`, or the end of the gap that swallows it."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return instant
    return _gap_end(wall, zone)


def _gap_end(wall: datetime, zone: ZoneInfo) -> datetime:
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return offset_change(zone, early, late)
