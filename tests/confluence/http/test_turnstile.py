"""People's calls: a slow site holds a quarter of the threads, and one that is silent is left alone for a moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from addon.base import TenantId
from addon.confluence.errors import SiteBusy, Timeout
from addon.confluence.http.turnstile import REQUEST_SECONDS, REST_SECONDS, Turnstile
from tests.support.clock import VirtualClock

ONE, TWO, THREE, FOUR = (TenantId(f"0192f000-0000-7000-8000-00000000000{number}") for number in range(1, 5))


@pytest.fixture
def turnstile(clock: VirtualClock) -> Iterator[Turnstile]:
    made = Turnstile(clock, threads=16)
    yield made
    made.end_request()


@contextmanager
def _calls(turnstile: Turnstile, tenant: TenantId, number: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(turnstile.turn(tenant))
        yield


def _silent(turnstile: Turnstile, tenant: TenantId = ONE) -> None:
    with pytest.raises(Timeout), turnstile.turn(tenant):
        raise Timeout("no complete answer")


def test_one_site_has_a_quarter_of_the_threads_and_the_others_go_on(turnstile: Turnstile) -> None:
    with _calls(turnstile, ONE, 4):
        with pytest.raises(SiteBusy, match="answers slowly") as busy, turnstile.turn(ONE):
            pass
        assert busy.value.retry_after == 1.0
        with turnstile.turn(TWO):
            pass
    with turnstile.turn(ONE):
        pass


def test_all_slow_sites_together_leave_a_quarter_free(turnstile: Turnstile) -> None:
    slow = [_calls(turnstile, tenant, 4) for tenant in (ONE, TWO, THREE)]
    with ExitStack() as stack:
        for calls in slow:
            stack.enter_context(calls)
        with pytest.raises(SiteBusy):
            stack.enter_context(turnstile.turn(FOUR))


def test_a_call_that_comes_a_moment_too_early_gets_the_place_that_becomes_free(turnstile: Turnstile) -> None:
    entered, leave = threading.Event(), threading.Event()

    def holds() -> None:
        with _calls(turnstile, ONE, 4):
            entered.set()
            leave.wait(30)

    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(holds)
        assert entered.wait(30)
        timer = threading.Timer(0.05, leave.set)
        timer.start()
        with turnstile.turn(ONE):
            assert leave.is_set()
        held.result(30)


def test_a_site_that_was_silent_twice_running_is_left_alone_and_one_call_finds_out(
    turnstile: Turnstile, clock: VirtualClock
) -> None:
    _silent(turnstile)
    with turnstile.turn(ONE):
        pass
    _silent(turnstile)
    with turnstile.turn(ONE):
        pass  # an answer in between: it was not silent twice running
    _silent(turnstile)
    _silent(turnstile)
    with pytest.raises(SiteBusy, match="has not answered") as busy, turnstile.turn(ONE):
        pass
    assert busy.value.retry_after == REST_SECONDS
    with turnstile.turn(TWO):
        pass
    clock.advance(REST_SECONDS)
    with turnstile.turn(ONE), pytest.raises(SiteBusy, match="has not answered"), turnstile.turn(ONE):
        pass
    with turnstile.turn(ONE):
        pass


def test_all_calls_of_one_request_share_its_time(turnstile: Turnstile, clock: VirtualClock) -> None:
    turnstile.begin_request()
    with turnstile.turn(ONE) as seconds:
        assert seconds == REQUEST_SECONDS
        clock.advance(10)
    with turnstile.turn(ONE) as seconds:
        assert seconds == REQUEST_SECONDS - 10
        clock.advance(10)
    with pytest.raises(SiteBusy, match="too long"), turnstile.turn(ONE):
        pass
    turnstile.begin_request()
    with turnstile.turn(ONE) as seconds:
        assert seconds == REQUEST_SECONDS
