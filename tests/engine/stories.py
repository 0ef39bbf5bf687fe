"""The ways of an execution: each story passes failpoints that no other passes, in a world of one tenant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.orm import Session

from addon.base import Database, ScheduleSpec, TenantId
from addon.engine import (
    Abandon,
    Engine,
    EngineSettings,
    Fatal,
    Pause,
    Run,
    RunSpace,
    StartRequest,
)
from addon.engine.job import Metrics
from addon.engine.state.table import MAX_LOSSES
from addon.engine.worker.runner import run_next
from tests.support.clock import VirtualClock
from tests.support.fakejob import SubmittingJob, Trouble

CHECKED = 10


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
            return engine.start(session, StartRequest(tenant_id=self.tenant, job_type=self.job.type, scope="site")).id

    def cancel(self, execution_id: str) -> None:
        engine = self.engine()
        with self.db.write(self.tenant) as session:
            engine.cancel(session, tenant_id=self.tenant, execution_id=execution_id, actor_id="u-boss")

    def drive(self, engine: Engine | None = None) -> bool:
        engine = engine or self.engine()
        return run_next(engine._context, engine._heartbeat)

    def lose_a_worker(self) -> None:
        try:
            self.drive()
        except Gone:
            self.clock.advance(61)

    def close(self) -> None:
        for engine in self.engines:
            engine._heartbeat.stop()
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
    world.job.call = at("B", lambda run: engine._heartbeat.beat())
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
    """Pass no safe point for half an hour while the heart keeps beating."""
    for _ in range(31):
        world.clock.advance(59)
        engine._heartbeat.beat()
    world.engine().reaper_tick()
    engine._heartbeat.beat()
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
