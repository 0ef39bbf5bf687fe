"""The times of a schedule as they are saved: five cron fields that come true, never less than 5 minutes apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from cronsim import CronSim, CronSimError

LEAST_MINUTES = 5
"""One site runs one job at a time: what is due more often would only be joined to the next run."""
TOO_OFTEN = (
    f"is due twice within less than {LEAST_MINUTES} minutes: leave {LEAST_MINUTES} minutes between any two times, as "
    f"*/{LEAST_MINUTES} in the first field does"
)
REFERENCE = datetime(2026, 1, 1, tzinfo=UTC)
FOUR_YEARS = 4 * 365 + 1
DAY_MINUTES = 24 * 60

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(8))
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
NUMBERS: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: position + 1 for position, name in enumerate(MONTHS)},
    {name: position for position, name in enumerate(WEEKDAYS)},
)
_RANGE = re.compile(r"([0-9A-Z]+)-([0-9A-Z]+)")
_STEP = re.compile(r"(.+)/([0-9]+)")


def mistake(cron: str) -> str | None:
    """Return what is wrong with `cron` (minute, hour, day of month, month, day of week), or None."""
    if len(cron.split()) != 5:
        return "needs five fields: minute, hour, day of month, month, day of week"
    try:
        read = CronSim(cron, REFERENCE)
        next(read)
    except CronSimError as error:
        reason = f"is not a cron expression: {str(error).removeprefix('Bad ')} is not valid"
        return "; ".join([reason, *_backwards(cron)])
    except StopIteration:
        return "would never be due"
    if _least_minutes(CronSim(cron, REFERENCE)) < LEAST_MINUTES:
        return TOO_OFTEN
    return None


def hints(cron: str) -> Iterator[str]:
    """Yield what a `cron` without a mistake may not do as its author thinks: steps that are longer than their range."""
    for name, known, numbers, field in zip(FIELDS, RANGES, NUMBERS, cron.upper().split(), strict=True):
        for term in field.split(","):
            found = _STEP.fullmatch(term)
            if found is None:
                continue
            values = _values(found[1], known, numbers)
            if len(values) > 1 and int(found[2]) >= len(values):
                yield (
                    f"{term.lower()} steps beyond the range of the {name} ({values[0]} to {values[-1]}): only "
                    f"{values[0]} is left of it; a step begins again with each range"
                )


def _backwards(cron: str) -> Iterator[str]:
    """Yield how to write each range that runs from a higher number to a lower one, as MON-SUN does."""
    for name, known, numbers, field in zip(FIELDS, RANGES, NUMBERS, cron.upper().split(), strict=True):
        for term in field.split(","):
            found = _RANGE.fullmatch(term)
            ends = [_number(word, known, numbers) for word in found.groups()] if found else []
            if found is None or None in ends or not ends[0] or ends[0] <= (ends[1] or 0):
                continue
            first = _words(ends[1] or 0, known[0], numbers)
            last = _words(ends[0], 6 if name == "day of week" else known[-1], numbers)
            why = "Sunday is day 0, so that " if name == "day of week" else ""
            yield f"{why}{found[0]} runs backwards: write {last},{first}"


def _words(one: int, other: int, numbers: dict[str, int]) -> str:
    names = {number: name for name, number in numbers.items()}
    low, high = sorted((one, other))
    words = [str(names.get(number, number)) for number in (low, high)]
    return words[0] if low == high else "-".join(words)


def _number(word: str, known: range, numbers: dict[str, int]) -> int | None:
    number = int(word) if word.isdecimal() else numbers.get(word)
    return number if number is not None and number in known else None


def _values(term: str, known: range, numbers: dict[str, int]) -> list[int]:
    """Return the numbers that are stepped through: of *, of a range, or from one number to the end."""
    if term == "*":
        return list(known)
    ends = [_number(word, known, numbers) for word in term.split("-")]
    if not ends or ends[0] is None or len(ends) > 2:
        return []
    last = known[-1] if len(ends) == 1 else ends[1]
    return [] if last is None else list(range(ends[0], last + 1))


def _least_minutes(read: CronSim) -> int:
    """Return the fewest minutes between two times of a cron, by the wall clock."""
    times = sorted(hour * 60 + minute for hour in read.hours for minute in read.minutes)
    within = min((later - earlier for earlier, later in pairwise(times)), default=DAY_MINUTES)
    over_night = DAY_MINUTES + times[0] - times[-1]
    if over_night >= within or over_night >= LEAST_MINUTES or not _on_two_days_running(read):
        return within
    return over_night


def _on_two_days_running(read: CronSim) -> bool:
    days = (date(2026, 1, 1) + timedelta(days=number) for number in range(FOUR_YEARS))
    matching = [day.month in read.months and read.match_day(day) for day in days]
    return any(one and other for one, other in pairwise(matching))
