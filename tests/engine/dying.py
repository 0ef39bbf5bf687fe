"""Which ways does an execution go, and what must be true after a process died anywhere on one of them?

The stories run in a process that dies at a failpoint: pretended in the test's own process, or a real child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from addon.base import Database, ScheduleSpec, TenantId
from addon.engine import (
    ACTIVE,
    TERMINAL,
    Abandon,
    AuditEvent,
    Busy,
    Engine,
    EngineSettings,
    ExecutionItem,
    ExecutionSpace,
    Fatal,
    JobExecution,
    Pause,
    RetryDue,
    Run,
    RunSpace,
    failpoints,
)
from addon.engine.job import Metrics
from addon.engine.models import ScheduleFire
from addon.engine.runner import run_next
from addon.engine.transitions import MAX_LOSSES, TABLE
from tests.support.clock import VirtualClock
from tests.support.fakejob import SubmittingJob, Trouble

POINTS = [f"{name}:{side}" for name in (*(row.name for row in TABLE), *failpoints.OTHER) for side in failpoints.SIDES]
TERMINAL_TAGS = {f"job:execution:{row.event}" for row in TABLE if row.terminal}
CHECKED = 10
SQL = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""Mark for tests of what is in the database, whoever wakes the runners."""


class Died(BaseException):
    """The process ended here: whatever it still tries to write is not written."""


class Gone(BaseException):
    """An earlier worker of a story ended; its lease stays behind."""


class CountingJob(SubmittingJob):
    """Leaves ten checked contents in the transaction of each item, so that a second one would show."""

    def read_back(self, run: Run, session: Session, space: RunSpace, outcome: str, reason: str | None = None) -> None:
        super().read_back(run, session, space, outcome, reason)
        run.add(session, {"contentsChecked": CHECKED})


@dataclass
class World:
    """One tenant as the workers of one process see it."""

    db: Database
    clock: VirtualClock
    tenant: TenantId
    job: CountingJob = field(default_factory=CountingJob)
    engines: list[Engine] = field(default_factory=list)

    def engine(self) -> Engine:
        settings = EngineSettings(ttl=60.0, call_threads=1, runners=0)
        engine = Engine(self.db, self.clock, settings, {self.job.type: self.job})
        self.engines.append(engine)
        return engine

    def start(self) -> str:
        engine = self.engine()
        with self.db.write(self.tenant) as session:
            return engine.start(session, tenant_id=self.tenant, job_type=self.job.type, scope="site").id

    def cancel(self, execution_id: str) -> None:
        engine = self.engine()
        with self.db.write(self.tenant) as session:
            engine.cancel(session, tenant_id=self.tenant, execution_id=execution_id, actor_id="u-boss")

    def drive(self, engine: Engine | None = None) -> bool:
        engine = engine or self.engine()
        return run_next(engine._core, engine._heart)

    def lose_a_worker(self) -> None:
        try:
            self.drive()
        except Gone:
            self.clock.advance(61)

    def close(self) -> None:
        for engine in self.engines:
            engine._heart.stop()
            engine._release()


def at(key: str, act: Callable[[Run], None]) -> Callable[[Run, RunSpace], Metrics]:
    """Return a call that does `act` at the space `key`, the first time only."""
    seen: list[str] = []

    def call(run: Run, space: RunSpace) -> Metrics:
        if space.key == key and not seen:
            seen.append(key)
            act(run)
        return {}

    return call


def throw(error: BaseException) -> Callable[[Run], None]:
    def act(run: Run) -> None:
        raise error

    return act


def success(world: World) -> None:
    world.job.side_by_side = True
    world.start()
    world.drive()


def beating(world: World) -> None:
    engine = world.engine()
    world.job.call = at("B", lambda run: engine._heart.beat())
    world.start()
    world.drive(engine)


def pausing(world: World) -> None:
    world.job.call = at("B", lambda run: throw(Pause(world.clock.now() + timedelta(hours=1), "quota"))(run))
    world.start()
    world.drive()
    world.clock.advance(3601)
    world.drive()


def handing_over(world: World) -> None:
    world.job.call = at("B", stop)
    world.start()
    world.drive()
    world.drive()


def cancelled_while_running(world: World) -> None:
    world.job.call = at("B", lambda run: world.cancel(run.execution_id))
    world.start()
    world.drive()


def cancelled_while_waiting(world: World) -> None:
    world.cancel(world.start())


def fatal(world: World) -> None:
    world.job.call = at("B", throw(Fatal("the site is read-only", transient=False)))
    world.start()
    world.drive()


def abandoned(world: World) -> None:
    world.job.call = at("B", throw(Abandon("uninstalled")))
    world.start()
    world.drive()


def scheduled_and_retried(world: World) -> None:
    world.job.call = at("B", throw(Trouble("503", transient=True)))
    engine = world.engine()
    with world.db.write(world.tenant) as session:
        spec = ScheduleSpec(world.job.type, "", "Refresh", "0 13 22 11 *", "UTC")
        engine.replace_schedules(session, world.tenant, [spec])
    world.clock.advance(3601)
    engine.schedule_tick()
    world.drive()
    world.clock.advance(301)
    engine.schedule_tick()
    world.drive()


def lost(world: World) -> None:
    world.job.call = at("B", throw(Gone()))
    world.start()
    world.lose_a_worker()
    world.engine().reaper_tick()
    world.drive()


def lost_and_booted(world: World) -> None:
    """A restart: on SQLite it takes the lock file and all leases at once."""
    world.job.call = at("B", throw(Gone()))
    world.start()
    world.lose_a_worker()
    engine = world.engine()
    engine.boot()
    engine.shutdown()


def lost_for_good(world: World) -> None:
    listing = world.job.listing

    def deadly(run: Run) -> Sequence[RunSpace]:
        raise Gone

    world.start()
    world.job.listing = deadly
    for _ in range(MAX_LOSSES + 1):
        world.lose_a_worker()
        world.engine().reaper_tick()
    world.job.listing = listing


def lost_while_cancelling(world: World) -> None:
    def cancel_and_go(run: Run) -> None:
        world.cancel(run.execution_id)
        raise Gone

    world.job.call = at("B", cancel_and_go)
    world.start()
    world.lose_a_worker()
    world.engine().reaper_tick()


def stop(run: Run) -> None:
    run.stop.set()  # type: ignore[attr-defined]
    run.check()


def left_to_settle(world: World) -> None:
    def cancel_and_stop(run: Run) -> None:
        world.cancel(run.execution_id)
        stop(run)

    world.job.submits = {"B"}
    world.job.call = at("B", cancel_and_stop)
    world.start()
    world.drive()
    world.drive()


def cancelled_unsettled_while_waiting(world: World) -> None:
    world.job.submits = {"B"}
    world.job.call = at("B", stop)
    execution = world.start()
    world.drive()
    world.cancel(execution)
    world.drive()


def lost_while_cancelling_unsettled(world: World) -> None:
    world.job.submits = {"B"}
    lost_while_cancelling(world)
    world.drive()


def lost_for_good_unsettled(world: World) -> None:
    world.job.submits = {"B"}
    world.job.call = at("B", throw(Gone()))
    world.start()
    for _ in range(MAX_LOSSES + 1):
        world.lose_a_worker()
        world.engine().reaper_tick()
        world.job.settling = throw(Gone())
    world.job.settling = lambda run: None
    world.drive()


def hang(world: World, engine: Engine, run: Run) -> None:
    """Pass no safe point for half an hour while the heart goes on beating."""
    for _ in range(31):
        world.clock.advance(59)
        engine._heart.beat()
    world.engine().reaper_tick()
    engine._heart.beat()
    run.check()


def stuck(world: World) -> None:
    engine = world.engine()
    world.job.call = at("B", lambda run: hang(world, engine, run))
    world.start()
    world.drive(engine)
    world.drive()


def stuck_while_finalizing(world: World) -> None:
    engine = world.engine()
    left = [True]

    def finalizing(run: Run) -> Metrics:
        if left:
            left.clear()
            hang(world, engine, run)
        return {}

    world.job.finalizing = finalizing
    world.start()
    world.drive(engine)


STORIES: dict[str, Callable[[World], None]] = {
    story.__name__: story
    for story in (
        success,
        beating,
        pausing,
        handing_over,
        cancelled_while_running,
        cancelled_while_waiting,
        fatal,
        abandoned,
        scheduled_and_retried,
        lost,
        lost_and_booted,
        lost_for_good,
        lost_while_cancelling,
        left_to_settle,
        cancelled_unsettled_while_waiting,
        lost_while_cancelling_unsettled,
        lost_for_good_unsettled,
        stuck,
        stuck_while_finalizing,
    )
}


@contextmanager
def dead_databases(db: Database) -> Iterator[list[bool]]:
    """Yield a list that is empty while `db`'s process lives: once it has an entry, no transaction begins any more."""
    dead: list[bool] = []

    def refuse(_connection: sa.Connection) -> None:
        if dead:
            raise Died

    event.listen(db.engine, "begin", refuse, insert=True)
    try:
        yield dead
    finally:
        event.remove(db.engine, "begin", refuse)


def die_at(world: World, story: str, point: str, number: int) -> bool:
    """Run a story until its process dies when it passes `point` for the `number`th time; False if it never does."""
    left = [number]
    with dead_databases(world.db) as dead:

        def call(passed: str) -> None:
            if passed == point and not dead:
                left[0] -= 1
                if left[0] == 0:
                    dead.append(True)
            if dead:
                raise Died

        with failpoints.armed(call):
            try:
                STORIES[story](world)
            except Died:
                return True
            finally:
                world.close()
    return False


def passed_points(world: World, story: str) -> list[str]:
    """Return the points that a story passes when nobody dies, in order."""
    passed: list[str] = []
    with failpoints.armed(passed.append):
        STORIES[story](world)
    world.close()
    return passed


def recover(world: World) -> None:
    """Let another process go on until nothing is left to do; what never began is asked for once more."""
    other = world.engine()
    for _ in range(40):
        other.reaper_tick()
        other.schedule_tick()
        while world.drive(other):
            assert_one_active(world)
        with world.db.read_all() as session:
            left = session.scalar(sa.select(sa.func.count()).where(JobExecution.status.in_(ACTIVE)))
            waiting = session.scalar(sa.select(sa.func.count()).select_from(RetryDue))
        if not left and not waiting:
            break
        assert_one_active(world)
        world.clock.advance(301)
    else:
        raise AssertionError("the tenant's lane is still not free")
    try:
        world.start()
    except Busy as busy:
        raise AssertionError("the lane is taken although nothing is active") from busy
    assert world.drive(other)
    world.close()


def assert_one_active(world: World) -> None:
    with world.db.read_all() as session:
        count = sa.select(sa.func.count()).where(JobExecution.status.in_(ACTIVE))
        assert (session.scalar(count) or 0) <= 1


def assert_whole(world: World) -> None:
    """Assert what must hold of all executions once recovery has ended."""
    with world.db.read_all() as session:
        executions = session.scalars(sa.select(JobExecution).order_by(JobExecution.id)).all()
        assert executions[-1].status == "successful", "the tenant can run again"
        for row in executions:
            _assert_execution_whole(session, row)
        fires = session.scalars(sa.select(ScheduleFire)).all()
        scheduled = [row for row in executions if row.trigger == "scheduled"]
        assert sorted(fire.execution_id or "" for fire in fires) == [row.id for row in scheduled]
        retried = [row.retry_of for row in executions if row.trigger == "retry"]
        assert len(retried) == len(set(retried)), "nothing is retried twice"


def _assert_execution_whole(session: Any, row: JobExecution) -> None:
    assert row.status in TERMINAL
    assert row.owner is None
    tags = session.execute(
        sa.select(AuditEvent.seq, AuditEvent.tag).where(AuditEvent.execution_id == row.id).order_by(AuditEvent.seq)
    ).all()
    assert [event.seq for event in tags] == list(range(1, row.seq + 1)), "no event is missing"
    ends = [event.tag in TERMINAL_TAGS for event in tags]
    assert ends.count(True) == 1, "one terminal event"
    assert ends[-1], "the terminal event is the last"
    spaces = session.scalars(sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == row.id)).all()
    done = sorted(space.space_id for space in spaces if space.state == "done")
    acted = sorted(space.space_id for space in spaces if space.metrics.get("contentsArchived"))
    assert set(done) <= set(acted)
    assert not [space for space in spaces if (space.checkpoint or {}).get("submitted")], "all was read back"
    assert not [space for space in spaces if space.state in ("pending", "running")]
    items = session.scalars(sa.select(ExecutionItem).where(ExecutionItem.execution_id == row.id)).all()
    assert sorted(item.space_id for item in items) == acted, "each outcome once"
    assert row.metrics is not None
    counted = [row.metrics.get(name, 0) for name in ("spacesProcessed", "contentsArchived", "contentsChecked")]
    assert counted == [len(done), len(acted), CHECKED * len(acted)]
    assert (row.status == "cancelled") == (row.cancel_requested_at is not None), "no cancel is lost"
