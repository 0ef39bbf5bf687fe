"""Bounds of what comes from outside: numbers, ids and times that every column, sum and calendar of ours can take.

What is read through here can be added, compared and stored without another look.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

MOST = 2**31 - 1
"""What an integer column holds."""
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
"""Times before and after are as good as these, and leave room for time zones and sums."""
ID_LENGTH = 32
ACCOUNT_LENGTH = 128
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9_:.-]+\Z")


def number(value: object, most: int = MOST) -> int:
    """Return a whole number from 0 to `most`, given as a number or in digits. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"not a whole number up to {most}")
    return value


def identifier(value: object, most: int = ID_LENGTH) -> str:
    """Return an id of at most `most` letters, digits and `_:.-`, or given as a number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(number(value, 10**20 - 1))
    if not isinstance(value, str) or len(value) > most or not _ID.match(value):
        raise ValueError(f"not an id of up to {most} characters")
    return value


def within_calendar(at: datetime) -> datetime:
    """Return `at`, a time that a person set. Raises ValueError where it lies before EARLIEST or after LATEST."""
    if not EARLIEST.year <= at.year <= LATEST.year:
        raise ValueError(f"must lie between the years {EARLIEST.year} and {LATEST.year}")
    return at


def utc(at: datetime) -> datetime:
    """Return `at` in UTC (it is UTC where it has no zone), moved to EARLIEST or LATEST where it lies beyond."""
    if at.year < EARLIEST.year:
        return EARLIEST
    if at.year > LATEST.year:
        return LATEST
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
