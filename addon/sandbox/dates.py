"""Moments of CQL dates: literals in the site's zone, now(), startOf…() and endOf…() with increments.

Forms and increments: docs/rules/confluence-api.md 8. A moment carries its width, because `=` on a plain date means that
day.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from addon.base.bounds import utc

_FORMATS = (
    ("%Y/%m/%d %H:%M", timedelta(minutes=1)),
    ("%Y-%m-%d %H:%M", timedelta(minutes=1)),
    ("%Y/%m/%d", timedelta(days=1)),
    ("%Y-%m-%d", timedelta(days=1)),
)
_INCREMENT = re.compile(r"([+-]?)(\d+)([yMwdhm]?)")
_STARTS = {"startofday": "d", "startofweek": "w", "startofmonth": "M", "startofyear": "y"}
_ENDS = {"endofday": "d", "endofweek": "w", "endofmonth": "M", "endofyear": "y"}


class NotADate(ValueError):
    """The text is no date CQL knows, or the function is no date function."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time (aware, UTC) and how long `=` reaches from it."""

    at: datetime
    width: timedelta

    @property
    def until(self) -> datetime:
        """Return the end of the span that `=` covers (exclusive)."""
        return self.at + self.width


def literal(text: str, zone: ZoneInfo) -> Moment:
    """Return the moment a quoted date means in the site's zone. Raises NotADate."""
    for form, width in _FORMATS:
        try:
            local = datetime.strptime(text.strip(), form).replace(tzinfo=zone)
        except ValueError:
            continue
        return Moment(local.astimezone(UTC), width)
    raise NotADate(text)


def function(name: str, args: tuple[str, ...], now: datetime, zone: ZoneInfo) -> Moment:
    """Return what `name(args)` means at `now` (aware). Raises NotADate on unknown names or increments."""
    lowered = name.lower()
    if len(args) > 1:
        raise NotADate(f"{name} takes one increment")
    if lowered == "now":
        return Moment(_shift(now.astimezone(zone), args, "d").astimezone(UTC), timedelta(minutes=1))
    unit = _STARTS.get(lowered) or _ENDS.get(lowered)
    if unit is None:
        raise NotADate(f"{name}()")
    start = _shift(_start(now.astimezone(zone), unit), args, unit)
    if lowered in _ENDS:
        start = _shift_by(start, 1, unit) - timedelta(seconds=1)
        return Moment(start.astimezone(UTC), timedelta(seconds=1))
    return Moment(start.astimezone(UTC), timedelta(days=1))


def stored(value: object) -> datetime | None:
    """Return the time a date extraction of a content property holds: ISO 8601, UTC where it names no zone."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return utc(parsed)


def _start(local: datetime, unit: str) -> datetime:
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "w":
        return day - timedelta(days=(day.weekday() + 1) % 7)
    if unit == "M":
        return day.replace(day=1)
    if unit == "y":
        return day.replace(month=1, day=1)
    return day


def _shift(local: datetime, args: tuple[str, ...], default_unit: str) -> datetime:
    if not args:
        return local
    match = _INCREMENT.fullmatch(args[0].strip())
    if match is None:
        raise NotADate(f"increment {args[0]!r}")
    sign = -1 if match[1] == "-" else 1
    try:
        return _shift_by(local, sign * int(match[2]), match[3] or default_unit)
    except (OverflowError, ValueError):
        raise NotADate(f"increment {args[0]!r}") from None


def _shift_by(local: datetime, count: int, unit: str) -> datetime:
    if unit in "yM":
        months = local.year * 12 + local.month - 1 + count * (12 if unit == "y" else 1)
        year, month = divmod(months, 12)
        day = min(local.day, calendar.monthrange(year, month + 1)[1])
        return local.replace(year=year, month=month + 1, day=day)
    if unit in "wd":
        return local + timedelta(days=count * (7 if unit == "w" else 1))
    return (local.astimezone(UTC) + timedelta(**{"hours" if unit == "h" else "minutes": count})).astimezone(
        local.tzinfo
    )
