"""The engine of one process: what other rooms may do to executions, schedules and lanes, and the life of its threads.

The methods delegate; their decisions are in the rooms below. Only boot, drain and shutdown have an order of their own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from addon.base import Clock, Database, ScheduleSpec, Space, TenantId, get_logger, seconds_since
from addon.engine import failpoints
from addon.engine.context import EngineContext, LeaseTime, PolicyVersion
from addon.engine.errors import DATABASE_AWAY
from addon.engine.job import Job
from addon.engine.lease import reaper
from addon.engine.lease.lockfile import LockFile
from addon.engine.models import JobExecution, Worker
from addon.engine.schedule import scheduler, schedules, starts
from addon.engine.schedule.plan import Candidate
from addon.engine.settings import EngineSettings
from addon.engine.state import admission, cancel, start
from addon.engine.state.retry_failed import retry_failed
from addon.engine.state.start import StartRequest
from addon.engine.state.transitions import Actor
from addon.engine.wake.dispatcher import Dispatcher, LocalDispatcher
from addon.engine.wake.metronome import Tick
from addon.engine.worker.heartbeat import Heartbeat
from addon.engine.worker.pool import RunnerPool
from addon.engine.worker.runner import run_next

log = get_logger(__name__)


def _first_version(session: Session, tenant_id: TenantId) -> int:
    return 1


class Engine:
    """One process's engine. Methods that take a session work in the caller's transaction."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: EngineSettings,
        jobs: Mapping[str, Job],
        dispatcher: Dispatcher | None = None,
        policy_version: PolicyVersion = _first_version,
    ) -> None:
        """Build the engine; nothing runs before `boot`.

        Parameters:
            db, clock, settings: the database, the present, and the engine's numbers.
            jobs: the jobs by type.
            dispatcher: wakes runners of other processes; None wakes those of this one only.
            policy_version: returns the version of the policies that a new execution of a tenant keeps.
        """
        self._local = dispatcher if isinstance(dispatcher, LocalDispatcher) else LocalDispatcher()
        time = LeaseTime(db, clock)
        self._context = EngineContext(db, clock, settings, dict(jobs), dispatcher or self._local, policy_version, time)
        self._heartbeat = Heartbeat(self._context)
        self._pool = RunnerPool(self._context, self._heartbeat, self._local)
        self._lock: LockFile | None = None
        self._booted = False

    @property
    def worker_id(self) -> str:
        """Return the id of this process in the worker registry, new at every start."""
        return self._context.worker_id

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Return the jobs by type."""
        return self._context.jobs

    @property
    def settings(self) -> EngineSettings:
        """Return the engine's numbers."""
        return self._context.settings

    # Executions

    def start(self, session: Session, request: StartRequest) -> JobExecution:
        """Start an execution in the caller's transaction and return its row, accepted but not claimed yet.

        A manual start of a job ends the retry chain of the same job. Raises Busy with the active execution,
        NotAdmitted with the reason, UnknownJob, JobRefused by the job, and ValueError when scope and space do not fit
        together.
        """
        return start.start(self._context, session, request)

    def retry_failed(
        self,
        session: Session,
        *,
        tenant_id: TenantId,
        execution_id: str,
        space: Space | None = None,
        started_by: str | None = None,
    ) -> JobExecution:
        """Start a failed execution's job again by hand, over exactly the spaces that failed; return the new row.

        `space` is that of a space-scope execution. Raises NotFound, NotRetryable, and what `start` raises.
        """
        return retry_failed(self._context, session, tenant_id, execution_id, space=space, by=started_by)

    def cancel(
        self,
        session: Session,
        *,
        tenant_id: TenantId,
        execution_id: str,
        actor_id: str | None = None,
    ) -> JobExecution:
        """Cancel an execution and return its row: cancelling while it has an owner, else cancelled at once. Idempotent.

        `actor_id` is the account of the person who asks. Raises NotFound, or NotCancellable when it is finalizing or
        has ended.
        """
        execution = cancel.cancel(self._context, session, tenant_id, execution_id, Actor("user", actor_id))
        self._notify_cancelled(session, execution.id)
        return execution

    def cancel_active(self, session: Session, tenant_id: TenantId, actor_type: str) -> None:
        """End what the tenant has at work, waiting retries included (uninstall). One that is finalizing stays.

        `actor_type` is uninstall or disable.
        """
        execution = admission.active(session, tenant_id)
        cancel.cancel_active(self._context, session, tenant_id, Actor(actor_type))
        if execution is not None:
            self._notify_cancelled(session, execution.id)

    def _notify_cancelled(self, session: Session, execution_id: str) -> None:
        """Stop a run of this process right after the commit, so that it need not wait for the next heartbeat."""

        def notify(session: Session) -> None:
            run = self._heartbeat.run_of(execution_id)
            if run is not None and not session.in_nested_transaction():
                run.cancelled.set()

        event.listen(session, "after_commit", notify)

    # The lane and its schedules

    def open_lane(self, session: Session, tenant_id: TenantId, *, first_run: bool) -> None:
        """Let the tenant's executions start. `first_run` counts for a tenant never seen before."""
        admission.open_lane(self._context, session, tenant_id, first_run=first_run)

    def close_lane(self, session: Session, tenant_id: TenantId) -> None:
        """Let nothing start any more (disabled, uninstalled)."""
        admission.close_lane(self._context, session, tenant_id)

    def confirm_first_run(self, session: Session, tenant_id: TenantId, by: str | None = None) -> None:
        """Confirm the first run: from now on executions start. Raises NotAdmitted when the tenant has no lane."""
        admission.confirm_first_run(self._context, session, tenant_id, by)

    def set_hold(
        self,
        session: Session,
        tenant_id: TenantId,
        *,
        on: bool,
        reason: str | None = None,
        by: str | None = None,
        until: datetime | None = None,
    ) -> None:
        """Put schedules on hold or release them; manual starts work meanwhile. Raises NotAdmitted without a lane.

        `until` ends the hold automatically; `reason` and `by` (an account) are shown to people.
        """
        admission.set_hold(self._context, session, tenant_id, on=on, reason=reason, by=by, until=until)

    def replace_schedules(self, session: Session, tenant_id: TenantId, specs: Sequence[ScheduleSpec]) -> None:
        """Make `specs` the tenant's schedules; unchanged ones keep their next time. Raises ValueError on a bad cron."""
        schedules.replace_schedules(self._context, session, tenant_id, specs)

    def restart_schedules(self, session: Session, tenant_id: TenantId) -> None:
        """Compute every next time again, from now on (re-install)."""
        schedules.restart_schedules(self._context, session, tenant_id)

    def waiting(self, session: Session, tenant_id: TenantId) -> list[Candidate]:
        """Return what starts when the lane is free, in order; nothing while schedules are on hold."""
        return starts.waiting(self._context, session, tenant_id)

    # Ticks

    def schedule_tick(self) -> int:
        """Start what is due; return how many executions were started."""
        return scheduler.schedule_tick(self._context)

    def reaper_tick(self) -> int:
        """Take executions from dead or stuck owners and wake runners for what no one has claimed; return the former."""
        taken = reaper.reap(self._context)
        if reaper.wake_claimable(self._context):
            self._local.notify()
        reaper.forget_old_workers(self._context)
        return taken

    def ticks(self) -> list[Tick]:
        """Return the engine's ticks for the metronome."""
        settings = self._context.settings
        return [
            Tick("schedule", settings.tick_seconds, self.schedule_tick, settings.tick_seconds / 10),
            Tick("reaper", settings.reaper, self.reaper_tick, settings.margin),
        ]

    # The life of the process

    def run_due(self) -> int:
        """Claim and run in the calling thread until nothing is claimable; return how many were run."""
        began_heart = self._heartbeat.start()
        count = 0
        try:
            while run_next(self._context, self._heartbeat):
                count += 1
        finally:
            if began_heart:
                self._heartbeat.stop()
        return count

    def run_one(self) -> bool:
        """Claim and run one execution in the calling thread, for dispatchers with threads of their own.

        False when there was none to claim, all runners are busy, or the engine is shutting down.
        """
        return self._pool.run_one()

    def boot(self) -> None:
        """Register the worker and start heartbeat and runners.

        On SQLite the process takes the lock file first, which proves every other owner dead, and reaps their leases at
        once. Raises LockTaken when another process has the database.
        """
        context = self._context
        if context.db.is_sqlite and context.db.url.database not in (None, "", ":memory:"):
            self._lock = LockFile.beside(str(context.db.url.database))
            self._lock.take(context.worker_id, context.clock)
        try:
            self._register()
        except BaseException:
            self._release()
            raise
        self._heartbeat.start()
        self._pool.start()
        self._booted = True

    def _register(self) -> None:
        context = self._context
        now = context.clock.now()
        with context.db.write_all() as session:
            session.add(
                Worker(
                    id=context.worker_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    version=context.settings.version,
                    started_at=now,
                    heartbeat_at=now,
                    runners=context.settings.runners,
                )
            )
            failpoints.boundary(session, "boot")
        if context.db.is_sqlite:
            reaper.reap(context, everyone=True)
        schedules.resume_unreadable(context)

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def drain(self) -> None:
        """Begin to stop: nothing more is claimed, runs stop at their next check point. `shutdown` waits for them."""
        self._pool.drain()

    def shutdown(self, wait_seconds: float = 25) -> bool:
        """Stop claiming, stop the runs at their next check point, hand over what has stopped; then stop beating.

        Return whether all have stopped. A run that does not stop in time keeps its lease until that expires.
        """
        context = self._context
        if self._booted:
            try:
                with context.db.write_all() as session:
                    session.execute(sa.update(Worker).where(Worker.id == context.worker_id).values(draining=True))
            except DATABASE_AWAY:
                log.warning(
                    "the database is away while this process stops; its leases will expire",
                    action="stop_without_database",
                    exc_info=True,
                )
        stopped = self._pool.stop(wait_seconds)
        if not stopped:
            log.warning(
                "some runs did not stop in time; their leases will expire",
                action="stop_timed_out",
                seconds=wait_seconds,
            )
        self._heartbeat.stop()
        if stopped:
            self._release()
        self._booted = False
        return stopped

    def active_runs(self) -> int:
        """Return how many executions this process works on."""
        return len(self._heartbeat.runs())

    def heartbeat_age(self, session: Session) -> float | None:
        """Return the seconds since this process's last good heartbeat, or None when it has not booted."""
        beat = session.scalar(sa.select(Worker.heartbeat_at).where(Worker.id == self._context.worker_id))
        return None if beat is None else seconds_since(beat, self._context.clock.now())
