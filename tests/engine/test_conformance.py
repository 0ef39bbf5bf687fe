"""Real threads wake each other the same way on SQLite, on PostgreSQL, and through procrastinate: no tick is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import SystemClock
from addon.engine import Engine, EngineSettings, Run, RunSpace, StartRequest
from addon.engine.wake.procrastinate import WakeWorker
from tests.engine.conftest import EVERYWHERE, Rig
from tests.support.fakejob import spaces
from tests.support.servers import eventually

SETTINGS = EngineSettings(ttl=3600.0, runners=2, call_threads=2)


@pytest.fixture
def booted(rig: Rig, backend: str) -> Iterator[Callable[[], Engine]]:
    """A function that boots an engine as a process would: the runners, and with procrastinate its worker."""
    rig.clock = SystemClock()  # type: ignore[assignment]
    began: list[tuple[Engine, WakeWorker | None]] = []

    def boot() -> Engine:
        engine = rig.engine(settings=SETTINGS)
        engine.boot()
        worker = WakeWorker(rig.db, rig.clock, engine.run_one, 2) if backend == "procrastinate" else None
        if worker is not None:
            worker.start()
        began.append((engine, worker))
        return engine

    yield boot
    for engine, worker in began:
        engine.shutdown()
        assert worker is None or worker.stop(60)
    if backend == "procrastinate":
        with rig.db.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM procrastinate_jobs"))


@EVERYWHERE
def test_a_start_is_claimed_and_ends_without_any_tick(rig: Rig, booted: Callable[[], Engine]) -> None:
    engine = booted()
    started = [rig.start(engine).id]
    eventually(lambda: rig.row(started[0]).status == "successful")
    for _ in range(2):
        started.append(rig.start(engine).id)
        eventually(lambda: rig.row(started[-1]).status == "successful")
    for execution in started:
        assert rig.events(execution) == ["started", "claimed", "finalizing", "successful"]


@EVERYWHERE
def test_several_sites_run_side_by_side_and_no_site_twice(rig: Rig, booted: Callable[[], Engine]) -> None:
    engine = booted()
    both = threading.Barrier(2, timeout=60)

    def together(run: Run, space: RunSpace) -> Mapping[str, Any]:
        both.wait()
        return {"contentsChecked": 1}

    rig.job.listing, rig.job.call = lambda run: spaces("A"), together
    other = rig.new_tenant()
    rig.open(engine, other)
    first, second = rig.start(engine), rig.start(engine, tenant_id=other)
    eventually(lambda: {rig.row(one.id).status for one in (first, second)} == {"successful"})


@EVERYWHERE
def test_a_start_that_is_rolled_back_wakes_nobody_and_leaves_nothing(rig: Rig, booted: Callable[[], Engine]) -> None:
    engine = booted()

    def give_up() -> None:
        with rig.db.write(rig.tenant) as session:
            engine.start(session, StartRequest(tenant_id=rig.tenant, job_type=rig.job.type, scope="site"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up()
    assert rig.rows() == []
    started = rig.start(engine)
    eventually(lambda: rig.row(started.id).status == "successful")


@EVERYWHERE
def test_cancel_reaches_a_run_at_work(rig: Rig, booted: Callable[[], Engine]) -> None:
    engine = booted()
    began, go_on = threading.Event(), threading.Event()

    def wait(run: Run, space: RunSpace) -> Mapping[str, Any]:
        began.set()
        go_on.wait(60)
        return {}

    rig.job.call = wait
    started = rig.start(engine)
    assert began.wait(60)
    rig.cancel(engine, started.id)
    go_on.set()
    eventually(lambda: rig.row(started.id).status == "cancelled")
    assert rig.events(started.id) == ["started", "claimed", "cancel_requested", "cancelled"]


@EVERYWHERE
def test_what_a_stopping_process_hands_over_is_taken_up_once_another_one_is_there(
    rig: Rig, booted: Callable[[], Engine]
) -> None:
    first = booted()
    began = threading.Event()

    def slow(run: Any, space: RunSpace) -> Mapping[str, Any]:
        began.set()
        run.clock.wait(run.stop, 0.2 if space.key != "A" else 60)
        return {}

    rig.job.call = slow
    started = rig.start(first)
    assert began.wait(60)
    assert first.shutdown(60)
    assert rig.row(started.id).owner is None
    booted()
    eventually(lambda: rig.row(started.id).status == "successful")
    assert rig.events(started.id) == ["started", "claimed", "handed_over", "claimed", "finalizing", "successful"]
