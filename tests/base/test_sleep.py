"""A wait that can be stopped."""

from __future__ import annotations

import threading

import pytest

from addon.base import sleep
from tests.support.clock import VirtualClock


class Turning(VirtualClock):
    """A clock that each wait turns to its end, unless the event is set."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.advance(seconds)
        return event.is_set()


def test_a_sleeper_checks_at_the_start_every_second_and_at_the_end() -> None:
    clock, checked = Turning(), list[float]()
    began = clock.monotonic()
    assert not sleep(clock, 2.5, lambda: checked.append(clock.monotonic() - began))
    assert checked == [0.0, 1.0, 2.0, 2.5]


def test_what_the_check_raises_ends_the_sleep() -> None:
    clock, left = Turning(), [None, None]
    with pytest.raises(IndexError):
        sleep(clock, 60, left.pop)
    assert clock.monotonic() == Turning().monotonic() + 2


def test_a_stop_ends_the_sleep_at_once() -> None:
    clock, stop, checks = Turning(), threading.Event(), list[bool]()

    def check() -> None:
        checks.append(True)
        if len(checks) == 3:
            stop.set()

    assert sleep(clock, 60, check, stop=stop)
    assert len(checks) == 3


def test_no_time_is_no_wait() -> None:
    clock, stop = Turning(), threading.Event()
    assert not sleep(clock, 0, lambda: None, stop=stop)
    stop.set()
    assert sleep(clock, 0, lambda: None, stop=stop)
