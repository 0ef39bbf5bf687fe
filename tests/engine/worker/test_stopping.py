"""Pause, shutdown and standstill: how a run stops before its end, and how it resumes."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from addon.engine import EngineSettings, Interrupted, Pause, Run, RunSpace, queries
from tests.engine.conftest import EVERYWHERE, Killed, Rig
from tests.support.servers import eventually


@EVERYWHERE
def test_a_paused_run_holds_no_thread_and_goes_on_with_what_is_left_when_its_time_has_come(rig: Rig) -> None:
    engine = rig.engine()
    until = rig.clock.now() + timedelta(minutes=40)
    pauses = iter([True])

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B" and next(pauses, False):
            raise Pause(until, "the hour's API points are used up")
        return {}

    rig.job.call = call
    started = rig.start(engine)
    assert engine.run_due() == 1
    row = rig.row(started.id)
    assert (row.status, row.owner, row.not_before) == ("running", None, until)
    assert row.pause_reason == "the hour's API points are used up"
    assert rig.states(started.id) == {"A": "done", "B": "pending", "C": "pending"}
    assert (row.points, row.calls) == (3, 1)
    rig.clock.advance(timedelta(minutes=39))
    assert engine.run_due() == 0
    rig.clock.advance(timedelta(minutes=1))
    assert engine.run_due() == 1
    row = rig.row(started.id)
    assert (row.status, row.pause_reason, row.not_before) == ("successful", None, None)
    assert rig.job.worked == ["A", "B", "C"], "a finished space is never redone"
    assert (row.points, row.calls) == (9, 3)
    assert rig.events(started.id) == ["started", "claimed", "paused", "claimed", "finalizing", "successful"]
    assert rig.event(started.id, "paused").detail["reason"] == "the hour's API points are used up"


@EVERYWHERE
def test_a_paused_run_is_cancelled_at_once_and_one_cancelled_while_pausing_settles(rig: Rig) -> None:
    engine = rig.engine()
    until = rig.clock.now() + timedelta(hours=1)
    settled: list[str] = []
    also_cancel = False

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if also_cancel:
            rig.cancel(rig.engine(), run.execution_id)
        raise Pause(until, "quota")

    rig.job.call = call
    rig.job.settling = lambda run: settled.append(run.execution_id)
    paused = rig.start(engine)
    engine.run_due()
    assert rig.cancel(engine, paused.id).status == "cancelled"
    assert set(rig.states(paused.id).values()) == {"cancelled"}
    also_cancel = True
    second = rig.start(engine)
    engine.run_due()
    assert rig.row(second.id).status == "cancelled"
    assert settled == [second.id]


@EVERYWHERE
def test_a_shutdown_hands_over_and_another_process_goes_on_with_the_rest(rig: Rig) -> None:
    engine, other = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B" and run.lease.owner == engine.worker_id:  # type: ignore[attr-defined]
            engine._heartbeat.run_of(run.execution_id).stop.set()  # type: ignore[union-attr]
            run.check()
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    row = rig.row(started.id)
    assert (row.status, row.owner) == ("running", None)
    assert rig.states(started.id) == {"A": "done", "B": "pending", "C": "pending"}
    assert other.run_due() == 1
    assert rig.row(started.id).status == "successful"
    assert rig.job.worked == ["A", "B", "C"]
    assert rig.row(started.id).lease_losses == 0
    assert "handed_over" in rig.events(started.id)


@EVERYWHERE
def test_a_shutdown_while_cancelling_ends_it_cancelled(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        rig.cancel(rig.engine(), run.execution_id)
        engine._heartbeat.run_of(run.execution_id).stop.set()  # type: ignore[union-attr]
        run.check()
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.row(started.id).status == "cancelled"


@EVERYWHERE
def test_a_run_handed_over_while_finalizing_is_finalized_again_and_summed_once(rig: Rig) -> None:
    engine = rig.engine()
    interruptions = iter([True])

    def finalizing(run: Run) -> dict[str, Any]:
        if next(interruptions, False):
            raise Interrupted
        return {"emailsSent": 2}

    rig.job.finalizing = finalizing
    started = rig.start(engine)
    assert engine.run_due() == 2
    row = rig.row(started.id)
    assert row.status == "successful"
    assert row.metrics is not None
    assert (row.metrics["emailsSent"], row.metrics["contentsChecked"]) == (2, 30)
    assert rig.job.worked == ["A", "B", "C"]


@EVERYWHERE
def test_a_run_without_progress_for_half_an_hour_has_its_space_failed_as_stuck_and_goes_on(rig: Rig) -> None:
    rig.settings = EngineSettings(ttl=400)
    engine, other = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            for _ in range(20):
                rig.clock.advance(100)
                engine._heartbeat.beat()
                other.reaper_tick()
                if rig.row(run.execution_id).owner is None:
                    engine._heartbeat.beat()
                    run.check()
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "pending"}
    assert rig.reasons(started.id) == {"B": "stuck: no progress for 30 minutes"}
    assert rig.row(started.id).lease_losses == 0, "no lease has expired"
    other.run_due()
    assert rig.states(started.id)["C"] == "done"
    assert rig.row(started.id).status == "failed"
    assert rig.event(started.id, "stuck").detail["stuck"] is True
    assert "lease_lost" not in rig.events(started.id)


@EVERYWHERE
def test_a_run_that_does_not_obey_its_cancel_for_half_an_hour_is_ended_by_the_reaper(rig: Rig) -> None:
    rig.settings = EngineSettings(ttl=400)
    engine, other = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        rig.cancel(other, run.execution_id)
        for _ in range(20):
            rig.clock.advance(100)
            engine._heartbeat.beat()
            other.reaper_tick()
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.row(started.id).status == "cancelled"
    assert rig.event(started.id, "cancelled").actor_type == "reaper"


def test_real_threads_run_what_is_started_and_stop_within_the_time_given(rig: Rig) -> None:
    from addon.base import SystemClock

    rig.clock = SystemClock()  # type: ignore[assignment]
    engine = rig.engine(settings=EngineSettings(ttl=3600, runners=2))
    engine.boot()
    try:
        first = rig.start(engine)
        eventually(lambda: rig.row(first.id).status == "successful" and engine.active_runs() == 0)
        working, held = threading.Event(), threading.Event()

        def call(run: Run, space: RunSpace) -> dict[str, Any]:
            working.set()
            while not held.wait(0.01):
                run.check()
            return {}

        rig.job.call = call
        second = rig.start(engine)
        assert working.wait(60)
        assert engine.active_runs() == 1
    finally:
        engine.shutdown(60)
    row = rig.row(second.id)
    assert (row.status, row.owner) == ("running", None), "handed over"
    held.set()
    rig.engine().run_due()
    assert rig.row(second.id).status == "successful"


def test_a_run_that_does_not_stop_in_time_keeps_its_lease(rig: Rig) -> None:
    from addon.base import SystemClock

    rig.clock = SystemClock()  # type: ignore[assignment]
    engine = rig.engine(settings=EngineSettings(ttl=3600, runners=1))
    working, release = threading.Event(), threading.Event()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        working.set()
        release.wait(60)
        return {}

    rig.job.call = call
    engine.boot()
    started = rig.start(engine)
    assert working.wait(60)
    engine.shutdown(0.05)
    assert rig.row(started.id).owner == engine.worker_id
    with rig.db.read(rig.tenant) as session:
        assert queries.active(session, rig.tenant) is not None
    release.set()
    engine.shutdown(60)
    assert rig.row(started.id).owner is None


def test_a_killed_run_keeps_its_lease_until_it_expires(rig: Rig) -> None:
    engine, other = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Killed

    rig.job.call = call
    started = rig.start(engine)
    rig.kill_during(engine)
    rig.clock.advance(59)
    assert other.reaper_tick() == 0
    assert other.run_due() == 0
    rig.clock.advance(2)
    assert other.reaper_tick() == 1
    assert rig.row(started.id).owner is None
