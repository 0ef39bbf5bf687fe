"""Which slots does a cron have? Found by looking at the wall clock all the time: an oracle that shares no code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = 24
"""How long a history may take."""
STARTS = (
    datetime(2026, 3, 6, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 27, 23, 30, tzinfo=UTC),
    datetime(2026, 10, 24, 20, 0, tzinfo=UTC),
    datetime(2026, 10, 31, 3, 0, tzinfo=UTC),
)
"""Shortly before the clocks of New York and Berlin change, both ways."""
_QUARTER = timedelta(minutes=15)


@lru_cache(maxsize=64)
def plain_slots(cron: str, zone: str, start: datetime) -> tuple[datetime, ...]:
    """Return the slots after `start` of a cron of a minute and hours, by looking at the wall clock each quarter.

    A quarter the clocks repeat counts once; those they skip count together at the first instant after the gap.
    """
    minute, hours = cron.split()[:2]
    assert int(minute) % 15 == 0, "else it would be overlooked"
    wanted = set(range(0, 24, 6)) if hours == "*/6" else {int(hour) for hour in hours.split(",")}
    latest: datetime | None = None
    found = []
    for number in range((DAYS + 3) * 96):
        instant = start + number * _QUARTER
        wall = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        walls = [wall]
        if latest is not None:
            walls = [latest + n * _QUARTER for n in range(1, (wall - latest) // _QUARTER + 1)]
        if any(each.minute == int(minute) and each.hour in wanted for each in walls):
            found.append(instant)
        latest = max(latest or wall, wall)
    return tuple(found)
