"""The number of firings between two moments, by the calendar: its cost grows with the years and never with the firings.

Between two changes of its clocks a zone's wall time runs evenly, so that matching days times matching minutes is the
number. At a change the rules of `addon.engine.schedule.cron` hold: what is skipped fires once together, what comes
twice fires the first time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from addon.base import known_zone
from addon.engine.schedule.cron import SECOND, offset_change, read_cron

DAY = timedelta(days=1)
_ANY = datetime(2026, 1, 1)  # noqa: DTZ001  (a wall time: where the reading of a cron begins decides nothing here)


def count_fires(cron: str, time_zone: str, after: datetime, until: datetime) -> int:
    """Return how many firings there are after `after` and up to `until`; raises as `next_fire` does."""
    minutes, zone = _minutes(cron), known_zone(time_zone)
    since, until = (moment.astimezone(UTC).replace(microsecond=0) for moment in (after, until))
    total = 0
    for change in _changes(zone, since - 2 * DAY, until):
        total += minutes.between(since + change.before, change.at - SECOND + change.before)
        if change.shift < timedelta(0):
            # The repeated minutes were counted before.
            since = max(since, change.at - change.shift - SECOND)
        elif change.at > since:
            skipped = minutes.between(change.at - SECOND + change.before, change.at + change.after)
            total += min(skipped, 1)
            since = change.at
    offset = until.astimezone(zone).utcoffset()
    assert offset is not None
    return total + minutes.between(since + offset, until + offset)


@dataclass(frozen=True, slots=True)
class _Change:
    """From `at` on a zone's clocks go by the offset `after` instead of `before`."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def shift(self) -> timedelta:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class _Minutes:
    """The wall minutes of a cron: its minutes of a day, and by `days` on which days they are."""

    of_day: tuple[int, ...]
    days: tuple[str, str, str]

    def between(self, after: datetime, until: datetime) -> int:
        """Return how many there are after one wall time and up to another, both written as if they were UTC."""
        if until <= after:
            return 0
        whole = _matching(self.days, after.date(), until.date()) * len(self.of_day)
        return whole + self._up_to(until) - self._up_to(after)

    def _up_to(self, wall: datetime) -> int:
        """Return how many of its day are over at a wall time."""
        day = wall.date()
        if not _matching(self.days, day, day + DAY):
            return 0
        return bisect_right(self.of_day, wall.hour * 60 + wall.minute)


@lru_cache(maxsize=4096)
def _minutes(cron: str) -> _Minutes:
    read = read_cron(cron, _ANY)
    of_day = sorted(hour * 60 + minute for hour in read.hours for minute in read.minutes)
    _, _, day, month, weekday = cron.split()
    return _Minutes(tuple(of_day), (day, month, weekday))


def _matching(days: tuple[str, str, str], since: date, until: date) -> int:
    """Return how many days match from `since` on and before `until`."""
    years = range(since.year, until.year + 1)
    found = sum(_by_day(days, year)[-1] for year in years[:-1])
    return found + _by_day(days, until.year)[_number(until)] - _by_day(days, since.year)[_number(since)]


def _number(day: date) -> int:
    return day.timetuple().tm_yday - 1


@lru_cache(maxsize=4096)
def _by_day(days: tuple[str, str, str], year: int) -> tuple[int, ...]:
    """Return for each day of a year how many before it match, and at last how many do in all."""
    read = read_cron(" ".join(("0", "0", *days)), _ANY)
    first = date(year, 1, 1)
    all_days = (first + n * DAY for n in range((date(year + 1, 1, 1) - first).days))
    return tuple(accumulate((day.month in read.months and read.match_day(day) for day in all_days), initial=0))


def _changes(zone: ZoneInfo, since: datetime, until: datetime) -> list[_Change]:
    years = range(since.year, until.year + 1)
    return [each for year in years for each in _of_year(zone, year) if since < each.at <= until]


@lru_cache(maxsize=4096)
def _of_year(zone: ZoneInfo, year: int) -> tuple[_Change, ...]:
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    days = [begin + n * DAY for n in range((end - begin).days + 1)]
    offsets = [day.astimezone(zone).utcoffset() or timedelta(0) for day in days]
    return tuple(
        _Change(offset_change(zone, early, late), before, after)
        for (early, before), (late, after) in pairwise(zip(days, offsets, strict=True))
        if before != after
    )
