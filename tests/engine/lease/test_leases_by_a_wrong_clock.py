"""A clock that is ten years ahead for one tick: the next tick is right, whatever was written meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.engine import JobExecution, Run, RunSpace, live_progress
from addon.engine.models import Worker
from tests.engine.conftest import BOTH, EVERYWHERE, Killed, Rig

TEN_YEARS = timedelta(days=3650)


def for_one_tick(rig: Rig, act: Any) -> None:
    """Do something while the wall clock is ten years ahead; the monotonic one runs as before."""
    clock = rig.clock
    clock._now += TEN_YEARS
    act()
    clock._now -= TEN_YEARS


@EVERYWHERE
def test_an_execution_claimed_by_it_is_taken_from_a_dead_worker_at_the_next_tick(rig: Rig) -> None:
    deadly = [True]

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if deadly:
            deadly.clear()
            raise Killed
        return {}

    rig.job.call = call
    started = rig.start(rig.engine())
    for_one_tick(rig, lambda: rig.kill_during(rig.engine()))
    assert rig.row(started.id).lease_until > rig.clock.now() + TEN_YEARS  # type: ignore[operator]
    other = rig.engine()
    assert other.reaper_tick() == 1
    other.run_due()
    assert rig.row(started.id).status == "successful"


@EVERYWHERE
def test_a_live_lease_is_set_right_by_the_next_beat(rig: Rig) -> None:
    engine, other = rig.engine(), rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        for_one_tick(rig, engine._heartbeat.beat)
        engine._heartbeat.beat()
        row = rig.row(run.execution_id)
        assert row.lease_until == rig.clock.now() + timedelta(seconds=60)
        assert row.progress_at == rig.clock.now()
        assert other.reaper_tick() == 0
        return {}

    rig.job.call = call
    started = rig.start(engine)
    rig.drive(engine)
    assert (rig.row(started.id).status, rig.row(started.id).lease_losses) == ("successful", 0)


@EVERYWHERE
def test_progress_and_time_left_written_by_it_mean_nothing(rig: Rig) -> None:
    engine = rig.engine()
    seen: list[Any] = []

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            with rig.db.write_all() as session:
                ahead = rig.clock.now() + TEN_YEARS
                session.execute(sa.update(JobExecution).values(expected_end_at=ahead, progress_at=ahead))
            seen.append(live_progress(rig.row(run.execution_id), rig.clock.now()))
            for _ in range(13):
                rig.clock.advance(50)
                engine._heartbeat.beat()
            seen.append(live_progress(rig.row(run.execution_id), rig.clock.now()))
        return {}

    rig.job.call = call
    rig.start(engine)
    rig.drive(engine)
    assert seen[0].seconds_left is None
    assert seen[1].stalled_since is not None, "after ten minutes without a safe point"


@BOTH
def test_a_process_keeps_its_own_row_and_no_future_beat_makes_a_dead_one_live(rig: Rig) -> None:
    engine, dead = rig.engine(), rig.engine()
    with rig.db.write_all() as session:
        for worker, beat in ((engine, rig.clock.now()), (dead, rig.clock.now() + TEN_YEARS)):
            session.add(
                Worker(id=worker.worker_id, host="h", pid=1, version="1", started_at=rig.clock.now(), heartbeat_at=beat)
            )
    for_one_tick(rig, engine.reaper_tick)
    with rig.db.read_all() as session:
        assert set(session.scalars(sa.select(Worker.id))) >= {engine.worker_id}, "a process keeps its own row"
    engine.reaper_tick()
    with rig.db.read_all() as session:
        assert set(session.scalars(sa.select(Worker.id))) == {engine.worker_id}
        assert engine.heartbeat_age(session) == 0


def test_a_heartbeat_age_is_never_negative(rig: Rig) -> None:
    engine = rig.engine()
    with rig.db.write_all() as session:
        ahead = rig.clock.now() + timedelta(seconds=30)
        session.add(Worker(id=engine.worker_id, host="h", pid=1, version="1", started_at=ahead, heartbeat_at=ahead))
    with rig.db.read_all() as session:
        assert engine.heartbeat_age(session) == pytest.approx(0)
