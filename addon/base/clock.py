"""The passing of time, through a `Clock` that tests can turn, and the time zones.

Schedules, leases, ages and long waits go by it; only deadlines at a socket and new ids read the machine's clock.
Zones are IANA's names, spelt as IANA spells them, the same on every machine: `localtime`, `Factory` and `posixrules`
are files of a machine rather than zones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones


class Clock(Protocol):
    """The passing of time, as the add-on sees it."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for spans and trust deadlines; a machine's sleep counts."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, for at most `seconds`; return whether it was set."""
        ...


def within(span: timedelta, at: datetime, now: datetime) -> bool:
    """Return whether `at` is less than `span` from `now`.

    What a clock that was years ahead has dated is near nothing: it counts as long ago, and not as fresh for years.
    """
    return abs(now - at) < span


def seconds_since(at: datetime, now: datetime) -> float:
    """Return the seconds from `at` to `now`, never negative: clocks are set back, and hosts differ."""
    return max(0.0, (now - at).total_seconds())


CHECK_SECONDS = 1.0
"""How often a sleeper checks whether it has to stop."""


def sleep(clock: Clock, seconds: float, check: Callable[[], object], *, stop: threading.Event | None = None) -> bool:
    """Wait `seconds`; return True as soon as `stop` is set, False when the time is over.

    `check` is called at the start, every second and at the end; it ends the wait by raising, and what it raises comes
    out here. Every long wait of the engine goes through this function, so that a stop, a cancel and a lost lease each
    end it within a second.
    """
    until, stopped = clock.monotonic() + seconds, stop or threading.Event()
    while True:
        check()
        left = until - clock.monotonic()
        if left <= 0:
            return stopped.is_set()
        if clock.wait(stopped, min(left, CHECK_SECONDS)):
            return True


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux stops CLOCK_MONOTONIC while the machine is suspended, but no lease waits for that."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds since the machine has started."""
        return time.clock_gettime(_SINCE_BOOT)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, for at most `seconds`; return whether it was set."""
        return event.wait(seconds)


NOT_ZONES = {"localtime", "Factory", "posixrules"}


def known_zone(name: str) -> ZoneInfo:
    """Return the time zone that IANA calls `name`. Raises ValueError, with the name in it, when there is none."""
    if name not in zone_names():
        raise ValueError(f"unknown time zone {name!r}")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names of all time zones known here."""
    return frozenset(available_timezones() - NOT_ZONES)
