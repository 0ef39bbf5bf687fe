"""Cancel and uninstall: a run stops at its next safe point, what nobody works on ends at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from addon.engine import CancelRequested, EngineSettings, NotCancellable, Run, RunSpace
from tests.engine.conftest import EVERYWHERE, Rig
from tests.support.fakejob import spaces
from tests.support.servers import eventually


@EVERYWHERE
def test_a_running_execution_stops_at_its_next_safe_point_and_ends_cancelled(rig: Rig) -> None:
    engine = rig.engine()
    settled: list[str] = []

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            assert rig.cancel(engine, run.execution_id).status == "cancelling"
            assert rig.cancel(engine, run.execution_id).status == "cancelling", "cancelling twice is once"
            run.check()
        return {"statusesChanged": 4}

    def settling(run: Run) -> None:
        run.safe_point()
        assert [result for _, result in run.map(lambda n: n + 1, [1, 2])] != []
        settled.append(run.execution_id)

    rig.job.call, rig.job.settling = call, settling
    started = rig.start(engine)
    engine.run_due()
    row = rig.row(started.id)
    assert row.status == "cancelled"
    assert rig.states(started.id) == {"A": "done", "B": "done", "C": "cancelled"}
    assert settled == [started.id]
    assert row.metrics is not None
    assert (row.metrics["statusesChanged"], row.metrics["spacesProcessed"], row.metrics["spacesFailed"]) == (8, 2, 0)
    assert (row.cancel_requested_by, row.cancel_requested_at) == ("u-boss", rig.clock.now())
    assert rig.events(started.id) == ["started", "claimed", "cancel_requested", "cancelled"]
    rig.start(engine)


@EVERYWHERE
def test_a_space_cancelled_half_way_is_shown_with_its_metrics_so_far_as_neither_done_nor_failed(rig: Rig) -> None:
    engine = rig.engine()

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        with run.write() as session:
            run.begin(session, given)
            run.save(session, given[0], {"cursor": 7}, metrics={"statusesChanged": 7})
        rig.cancel(engine, run.execution_id)
        with run.write() as session:
            run.add(session, {"contentsMatched": 1})
        run.safe_point()

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(engine)
    engine.run_due()
    metrics = rig.row(started.id).metrics
    assert rig.states(started.id) == {"A": "cancelled", "B": "cancelled", "C": "cancelled"}
    assert metrics is not None
    assert (metrics["statusesChanged"], metrics["contentsMatched"]) == (7, 1)
    assert (metrics["spacesProcessed"], metrics["spacesFailed"], metrics["spacesTotal"]) == (0, 0, 3)
    assert (metrics["spacesSkipped"], metrics["spacesCancelled"]) == (0, 3)


def test_a_cancel_from_another_process_arrives_with_the_heartbeat(rig: Rig) -> None:
    engine, elsewhere = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        rig.cancel(elsewhere, run.execution_id)
        run.safe_point()
        engine._heartbeat.beat()
        with pytest.raises(CancelRequested):
            run.safe_point()
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.states(started.id) == {"A": "done", "B": "cancelled", "C": "cancelled"}
    assert rig.row(started.id).status == "cancelled"


def test_a_cancel_lets_no_further_item_begin_on_the_call_threads(rig: Rig) -> None:
    engine = rig.engine()
    begun: list[int] = []
    every_thread_busy, asked = threading.Barrier(4), threading.Event()

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        def call(number: int) -> int:
            begun.append(number)
            if number < 4:
                every_thread_busy.wait(60)
            if number == 2:
                rig.cancel(engine, run.execution_id)
                asked.set()
            asked.wait(60)
            return number

        outcomes = [item for item, _ in run.map(call, iter(range(100)))]
        pytest.fail(f"a cancelled map ends by raising, not with {outcomes}")

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(engine)
    engine.run_due()
    assert rig.row(started.id).status == "cancelled"
    assert sorted(begun) == [0, 1, 2, 3]


@EVERYWHERE
def test_a_cancel_that_was_rolled_back_changes_nothing(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "A":
            with pytest.raises(ZeroDivisionError):
                rolled_back(run)
        if space.key == "B" and not rig.job.worked.count("B"):
            engine._heartbeat.run_of(run.execution_id).cancelled.set()  # type: ignore[union-attr]
        return {}

    def rolled_back(run: Run) -> None:
        with rig.db.write(rig.tenant) as session:
            engine.cancel(session, tenant_id=rig.tenant, execution_id=run.execution_id, actor_id="u-1")
            with session.begin_nested():
                pass
            raise ZeroDivisionError

    rig.job.call = call
    started = rig.start(engine)
    engine.run_due()
    assert rig.row(started.id).status == "successful"
    assert rig.job.worked == ["A", "B", "C"]
    assert rig.row(started.id).cancel_requested_at is None


@EVERYWHERE
def test_an_execution_nobody_has_claimed_is_cancelled_at_once(rig: Rig) -> None:
    engine = rig.engine()
    started = rig.start(engine)
    cancelled = rig.cancel(engine, started.id)
    assert (cancelled.status, cancelled.ended_at) == ("cancelled", rig.clock.now())
    assert cancelled.metrics is not None
    assert cancelled.metrics["spacesTotal"] == 0
    assert engine.run_due() == 0
    assert rig.events(started.id) == ["started", "cancelled"]


@EVERYWHERE
def test_finalizing_and_ended_executions_cannot_be_cancelled(rig: Rig) -> None:
    engine = rig.engine()

    def finalizing(run: Run) -> dict[str, Any]:
        with pytest.raises(NotCancellable) as refused:
            rig.cancel(engine, run.execution_id)
        assert refused.value.status == "finalizing"
        run.safe_point()
        with rig.db.write(rig.tenant) as session:
            engine.close_lane(session, rig.tenant)
            engine.cancel_active(session, rig.tenant, "uninstall")
        return {}

    rig.job.finalizing = finalizing
    started = rig.start(engine)
    engine.run_due()
    assert rig.row(started.id).status == "successful", "an uninstall leaves what is finalizing"
    with pytest.raises(NotCancellable) as refused:
        rig.cancel(engine, started.id)
    assert refused.value.status == "successful"


@EVERYWHERE
def test_an_uninstall_cancels_the_run_and_ends_waiting_retries(rig: Rig) -> None:
    engine = rig.engine()
    started = rig.start(engine)
    with rig.db.write(rig.tenant) as session:
        engine.close_lane(session, rig.tenant)
        engine.cancel_active(session, rig.tenant, "uninstall")
    row = rig.row(started.id)
    assert (row.status, row.cancel_requested_by) == ("cancelled", "uninstall")
    assert rig.event(started.id, "cancelled").actor_type == "uninstall"


def test_a_cancel_by_the_same_process_needs_no_heartbeat(rig: Rig) -> None:
    from addon.base import SystemClock

    rig.clock = SystemClock()  # type: ignore[assignment]
    engine = rig.engine(settings=EngineSettings(ttl=3600, runners=1))
    rig.job.listing = lambda run: spaces(*"ABCDEFGH")
    working = threading.Event()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        working.set()
        while True:
            threading.Event().wait(0.01)
            run.safe_point()

    rig.job.call = call
    engine.boot()
    try:
        started = rig.start(engine)
        assert working.wait(60)
        rig.cancel(engine, started.id)
        eventually(lambda: rig.row(started.id).status == "cancelled")
    finally:
        engine.shutdown(60)
