"""The slots of a cron, found by looking at the wall clock minute by minute: an oracle that shares no code."""

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
def plain_slots(
    cron: str, zone: str, start: datetime, *, step: timedelta = _QUARTER, span: timedelta = timedelta(days=DAYS + 3)
) -> tuple[datetime, ...]:
    """Return the slots of a cron of minutes and hours from `start` on, by looking at the wall clock at each `step`.

    A wall time the clocks repeat counts once; those they skip count together at the first instant after the gap.
    """
    minutes, hours = (_numbers(field, top) for field, top in zip(cron.split(), (60, 24), strict=False))
    assert not any(minute * 60 % step.total_seconds() for minute in minutes), "else it would be overlooked"
    latest: datetime | None = None
    found = []
    for number in range(span // step):
        instant = start + number * step
        wall = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        walls = [wall]
        if latest is not None:
            walls = [latest + n * step for n in range(1, (wall - latest) // step + 1)]
        if any(each.minute in minutes and each.hour in hours for each in walls):
            found.append(instant)
        latest = max(latest or wall, wall)
    return tuple(found)


def _numbers(field: str, top: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, top, int(field[2:] or 1)))
    return {int(number) for number in field.split(",")}
