"""Dead, stalled and returning workers: what they leave continues, what they write late counts for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from addon.engine import Interrupted, Run, RunSpace
from addon.engine.errors import Fenced
from addon.engine.lease.lease import fenced
from addon.engine.models import JobExecution, Worker
from addon.engine.state.table import MAX_LOSSES
from tests.engine.conftest import EVERYWHERE, Killed, Rig
from tests.support.fakejob import spaces
from tests.support.servers import eventually


@EVERYWHERE
def test_a_zombie_that_wakes_after_its_lease_writes_nothing(rig: Rig) -> None:
    zombie, other = rig.engine(), rig.engine()
    awake: list[str] = []

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if run.lease.owner == zombie.worker_id:  # type: ignore[attr-defined]
            rig.clock.advance(61)
            assert other.reaper_tick() == 1
            assert other.run_due() == 1
            awake.append(space.key)
            return {"contentsChecked": 1000}
        return {"contentsChecked": 1}

    rig.job.call = call
    started = rig.start(zombie)
    rig.drive(zombie)
    row = rig.row(started.id)
    assert awake == ["A"]
    assert row.status == "successful"
    assert row.metrics is not None
    assert (row.metrics["contentsChecked"], row.metrics["points"]) == (3, 9)
    events = rig.events(started.id)
    assert events == ["started", "claimed", "lease_lost", "claimed", "finalizing", "successful"]


@EVERYWHERE
def test_every_write_of_a_lost_run_is_refused_even_before_anyone_else_claims(rig: Rig) -> None:
    zombie, other = rig.engine(), rig.engine()
    refused: list[str] = []

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        rig.clock.advance(61)
        other.reaper_tick()
        for attempt in range(2):
            with pytest.raises(Fenced), run.write() as session:
                run.done(session, given[0], {})
            refused.append(f"write {attempt}")
        with pytest.raises(Interrupted):
            run.check()
        with rig.db.write(rig.tenant) as session, pytest.raises(Fenced):
            fenced(session, run.lease)  # type: ignore[attr-defined]
        run.safe_point()

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(zombie)
    rig.drive(zombie)
    row = rig.row(started.id)
    assert refused == ["write 0", "write 1"]
    assert (row.status, row.owner, row.lease_losses, row.points) == ("running", None, 1, 0)
    assert set(rig.states(started.id).values()) == {"pending"}


@EVERYWHERE
def test_the_execution_of_a_killed_runner_goes_on_and_finished_spaces_are_not_redone(rig: Rig) -> None:
    rig.job.listing = lambda run: spaces("A", "B", "C", "D")
    deadly = True

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "C" and deadly:
            raise Killed
        return {}

    rig.job.call = call
    started = rig.start(rig.engine())
    rig.kill_during(rig.engine())
    assert rig.states(started.id) == {"A": "done", "B": "done", "C": "running", "D": "pending"}
    deadly = False
    after = rig.engine()
    rig.clock.advance(61)
    after.reaper_tick()
    assert after.run_due() == 1
    row = rig.row(started.id)
    assert row.status == "successful"
    assert rig.job.worked == ["A", "B", "D", "C"]
    assert rig.job.groups == [["A", "B", "C", "D"], ["D"], ["C"]], "a suspect runs alone"
    assert row.lease_losses == 0, "spaces finished since"
    assert row.policy_version == 1


@EVERYWHERE
def test_a_space_that_stops_the_worker_twice_is_failed_and_the_others_are_done(rig: Rig) -> None:
    rig.job.side_by_side = True

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            raise Killed
        return {}

    rig.job.call = call
    started = rig.start(rig.engine())
    for _ in range(3):
        rig.kill_during(rig.engine())
        rig.clock.advance(61)
        assert rig.engine().reaper_tick() == 1
    rig.engine().run_due()
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "done"}
    assert rig.reasons(started.id) == {"B": "the worker crashed twice while processing this space"}
    assert rig.row(started.id).status == "failed"


@EVERYWHERE
def test_ten_kills_spread_over_sixty_spaces_blame_none_of_them(rig: Rig) -> None:
    rig.job.side_by_side = True
    keys = [f"S{number:02}" for number in range(60)]
    rig.job.listing = lambda run: spaces(*keys)
    left = keys[3::6]

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key in left:
            left.remove(space.key)
            raise Killed
        return {"contentsChecked": 1}

    rig.job.call = call
    started = rig.start(rig.engine())
    for _ in range(10):
        rig.kill_during(rig.engine())
        rig.clock.advance(61)
        rig.engine().reaper_tick()
    rig.engine().run_due()
    row = rig.row(started.id)
    assert (row.status, rig.reasons(started.id)) == ("successful", {})
    assert row.metrics is not None
    assert row.metrics["contentsChecked"] == 60, "each space counts once"
    assert [len(group) for group in rig.job.groups[1:]] == [1] * (len(rig.job.groups) - 1), "suspects run alone"


@EVERYWHERE
def test_a_space_that_is_the_only_one_left_is_to_blame_for_each_lease_lost_with_it(rig: Rig) -> None:
    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "C":
            raise Killed
        return {}

    rig.job.call = call
    started = rig.start(rig.engine())
    for _ in range(2):
        rig.kill_during(rig.engine())
        rig.clock.advance(61)
        rig.engine().reaper_tick()
    assert rig.states(started.id) == {"A": "done", "B": "done", "C": "failed"}


@EVERYWHERE
def test_an_execution_that_only_ever_loses_its_lease_is_failed_as_interrupted(rig: Rig) -> None:
    def listing(run: Run) -> Sequence[RunSpace]:
        raise Killed

    rig.job.listing = listing
    started = rig.start(rig.engine(), trigger="scheduled")
    for loss in range(MAX_LOSSES + 1):
        rig.kill_during(rig.engine())
        assert rig.row(started.id).lease_losses == loss
        rig.clock.advance(61)
        rig.engine().reaper_tick()
    row = rig.row(started.id)
    assert row.status == "failed"
    assert row.error is not None
    assert row.error.startswith("interrupted")
    assert rig.events(started.id)[-1] == "interrupted"
    assert rig.retries() == []


@EVERYWHERE
def test_a_cancelling_execution_whose_owner_died_ends_cancelled(rig: Rig) -> None:
    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        rig.cancel(rig.engine(), run.execution_id)
        raise Killed

    rig.job.call = call
    started = rig.start(rig.engine())
    rig.kill_during(rig.engine())
    assert rig.row(started.id).status == "cancelling"
    rig.clock.advance(61)
    rig.engine().reaper_tick()
    row = rig.row(started.id)
    assert row.status == "cancelled"
    assert set(rig.states(started.id).values()) == {"cancelled"}
    assert row.metrics is not None


@EVERYWHERE
def test_a_runner_killed_while_finalizing_is_followed_by_one_that_finalizes_only(rig: Rig) -> None:
    deadly = True

    def finalizing(run: Run) -> dict[str, Any]:
        if deadly:
            raise Killed
        return {"emailsSent": 1}

    rig.job.finalizing = finalizing
    started = rig.start(rig.engine())
    rig.kill_during(rig.engine())
    deadly = False
    rig.clock.advance(61)
    other = rig.engine()
    other.reaper_tick()
    other.run_due()
    assert rig.row(started.id).status == "successful"
    assert rig.job.worked == ["A", "B", "C"]


@EVERYWHERE
def test_heartbeats_keep_a_long_call_alive_and_flush_its_counters(rig: Rig) -> None:
    engine, other = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        run.used(points=5, calls=2)
        for _ in range(10):
            rig.clock.advance(15)
            engine._heartbeat.beat()
            assert other.reaper_tick() == 0
        assert rig.row(run.execution_id).points >= 5
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    row = rig.row(started.id)
    assert (row.status, row.points, row.calls, row.lease_losses) == ("successful", 24, 9, 0)


def test_trust_ends_before_the_lease_and_no_write_begins_with_little_of_it(rig: Rig) -> None:
    engine = rig.engine()

    def work(run: Run, given: Sequence[RunSpace]) -> None:
        assert run.call_seconds(write=True) == 30
        rig.clock.advance(40)
        assert run.call_seconds(write=True) == 15
        rig.clock.advance(6)
        assert run.call_seconds(write=False) == 9
        with pytest.raises(Interrupted):
            run.call_seconds(write=True)
        rig.clock.advance(9)
        with pytest.raises(Interrupted):
            run.call_seconds(write=False)
        assert rig.clock.now() < rig.row(run.execution_id).lease_until  # type: ignore[operator]
        engine._heartbeat.beat()
        assert run.call_seconds(write=True) == 30
        with run.write() as session:
            for space in given:
                run.done(session, space, {})

    rig.job.work = work  # type: ignore[method-assign,assignment]
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.row(started.id).status == "successful"


def test_a_lost_database_leaves_the_execution_to_its_lease(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        raise sa.exc.OperationalError("UPDATE", {}, Exception("the database went away"))

    rig.job.call = call
    started = rig.start(engine)
    assert rig.drive(engine)
    row = rig.row(started.id)
    assert (row.status, row.owner) == ("running", engine.worker_id)
    assert engine.active_runs() == 0


def test_a_heart_goes_on_after_a_failed_beat(rig: Rig) -> None:
    engine = rig.engine()
    heartbeat = engine._heartbeat
    beats: list[str] = []
    real = heartbeat.beat

    def beat() -> None:
        beats.append("beat")
        if len(beats) == 1:
            raise sa.exc.OperationalError("UPDATE", {}, Exception("locked"))
        real()

    heartbeat.beat = beat  # type: ignore[method-assign]

    def beaten_again() -> bool:
        rig.clock.advance(1)
        return len(beats) >= 2

    heartbeat.start()
    try:
        eventually(beaten_again)
    finally:
        heartbeat.stop()


def test_a_restart_on_sqlite_takes_back_all_leases_at_once(rig: Rig) -> None:
    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Killed

    rig.job.call = call
    started = rig.start(rig.engine())
    rig.kill_during(rig.engine())
    from addon.engine import EngineSettings

    after = rig.engine(settings=EngineSettings(runners=0))
    after.boot()
    try:
        assert rig.row(started.id).owner is None, "no need to wait for the lease"
        with rig.db.read_all() as session:
            worker = session.get_one(Worker, after.worker_id)
            assert worker.heartbeat_at == rig.clock.now()
            assert after.heartbeat_age(session) == 0
    finally:
        after.shutdown()


@EVERYWHERE
def test_what_nobody_claimed_is_found_by_the_reaper_of_any_process(rig: Rig) -> None:
    from addon.engine.wake.dispatcher import LocalDispatcher

    rig.start(rig.engine())
    local = LocalDispatcher()
    other = rig.engine(dispatcher=local)
    seen = local.count()
    assert other.reaper_tick() == 0
    assert local.count() > seen


@EVERYWHERE
def test_two_runners_never_hold_one_execution(rig: Rig) -> None:
    inside: list[str] = []
    other = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        inside.append(space.key)
        assert other.run_due() == 0
        return {}

    rig.job.call = call
    rig.start(rig.engine())
    rig.engine().run_due()
    assert inside == ["A", "B", "C"]
    with rig.db.read_all() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(JobExecution)) == 1
