"""A run that waits for the site hears a stop, a lost lease and a cancel within a second, wherever it comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from addon.engine import CancelRequested, Interrupted, JobExecution, Run, RunSpace
from tests.engine.conftest import BOTH, EVERYWHERE, Rig
from tests.support.clock import VirtualClock
from tests.support.servers import eventually

FIVE_MINUTES = 300.0


class Ringing(VirtualClock):
    """Waiting takes no time; after `at` seconds of it something happens."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.happens: list[Callable[[], object]] = [lambda: None]

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.advance(seconds)
        if self.happens and self.monotonic() >= self.at:
            self.happens.pop()()
        return event.is_set()


@pytest.fixture
def clock() -> Ringing:
    return Ringing()


def waits(rig: Rig, happens: Callable[[Run], object]) -> dict[str, Any]:
    """Let a run wait for five minutes while its heart beats; after 7.5 s of it something happens. What it heard."""
    clock, engine = rig.clock, rig.engine()
    heard: dict[str, Any] = {}
    assert isinstance(clock, Ringing)

    def call(run: Run, space: RunSpace) -> NoReturn:
        clock.at, clock.happens = clock.monotonic() + 7.5, [lambda: happens(run)]
        began = clock.monotonic()
        try:
            run.wait(FIVE_MINUTES)
        except (Interrupted, CancelRequested) as stop:
            heard["what"] = type(stop)
            raise
        finally:
            heard["after"] = clock.monotonic() - began
        raise AssertionError("the wait came to its end")

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    return heard | {"row": rig.row(started.id)}


@EVERYWHERE
def test_a_cancel_is_heard_and_nothing_more_is_begun(rig: Rig) -> None:
    def cancel(run: Any) -> None:
        rig.cancel(rig.engine(), run.execution_id)
        run.cancelled.set()

    heard = waits(rig, cancel)
    assert heard["what"] is CancelRequested
    assert 7.5 <= heard["after"] <= 8.5
    assert heard["row"].status == "cancelled"


@BOTH
def test_a_stop_of_the_process_is_heard_and_the_run_is_handed_over(rig: Rig) -> None:
    heard = waits(rig, lambda run: run.stop.set())  # type: ignore[attr-defined]
    assert heard["what"] is Interrupted
    assert heard["after"] <= 8.5
    assert (heard["row"].status, heard["row"].owner, heard["row"].lease_losses) == ("running", None, 0)


@BOTH
def test_a_lost_lease_is_heard(rig: Rig) -> None:
    heard = waits(rig, lambda run: run.lose_lease())  # type: ignore[attr-defined]
    assert heard["what"] is Interrupted
    assert heard["after"] <= 8.5


@BOTH
def test_who_waits_until_its_trust_ends_writes_nothing_more(rig: Rig) -> None:
    heard = waits(rig, lambda run: None)
    assert heard["what"] is Interrupted
    assert heard["after"] <= 56, "ttl less the margin, and a second"


@EVERYWHERE
@pytest.mark.parametrize("event", ["cancel", "loss"])
def test_what_another_process_did_is_heard_by_listening_between_two_beats(rig: Rig, event: str) -> None:
    mine, other = rig.engine(), rig.engine()
    told = threading.Event()

    def call(run: Any, space: RunSpace) -> dict[str, Any]:
        assert not run.waiting
        mine._heartbeat.check_waiting()
        if event == "cancel":
            rig.cancel(other, run.execution_id)
        else:
            with rig.db.write_all() as session:
                session.execute(sa.update(JobExecution).values(fence=JobExecution.fence + 1))
        mine._heartbeat.check_waiting()
        assert not run.cancelled.is_set(), "a run that does not wait asks with its next write"

        def listen() -> None:
            mine._heartbeat.check_waiting()
            told.set()

        waiting = threading.Thread(target=listen)

        def until_told() -> None:
            rig.clock.happens = [waiting.start]  # type: ignore[attr-defined]
            rig.clock.at = rig.clock.monotonic()  # type: ignore[attr-defined]
            run.wait(20)
            eventually(told.is_set)
            run.wait(0)

        with pytest.raises(CancelRequested if event == "cancel" else Interrupted):
            until_told()
        waiting.join()
        raise Interrupted

    rig.job.call = call
    rig.start(mine)
    rig.drive(mine)
