"""A clock that moves only when a test turns it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Implements addon.base.Clock: `advance` moves wall clock and monotonic clock together."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._moved = threading.Condition()

    def now(self) -> datetime:
        with self._moved:
            return self._now

    def monotonic(self) -> float:
        with self._moved:
            return self._monotonic

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Return once `event` is set or the clock was turned past `seconds` from now."""
        deadline = self.monotonic() + seconds
        while not event.is_set() and self.monotonic() < deadline:
            with self._moved:
                self._moved.wait(0.01)
        return event.is_set()

    def advance(self, delta: timedelta | float) -> None:
        step = delta if isinstance(delta, timedelta) else timedelta(seconds=delta)
        with self._moved:
            self._now += step
            self._monotonic += step.total_seconds()
            self._moved.notify_all()

    def set(self, now: datetime) -> None:
        self.advance(now - self.now())
