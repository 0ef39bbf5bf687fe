"""The way of one execution from claim to end: the runner thread drives the job and translates how it stops.

With lease/lease.py (claim, fence, giving back), worker/run.py (what the job holds) and state/finish.py (the end) it is
the whole story; the design page in `addon.engine.worker` draws it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from addon.base import about, get_logger, is_away, is_blocked, sleep
from addon.engine.context import EngineContext
from addon.engine.errors import DATABASE_AWAY, Fenced, internal_error, log_failure
from addon.engine.job import Abandon, CancelRequested, Fatal, Interrupted, Job, Metrics, Pause, RunSpace
from addon.engine.lease.lease import claim, defer_settlement, fenced, hand_over, hand_over_after_outage, pause
from addon.engine.models import JobExecution
from addon.engine.state.finish import close_open_spaces, end
from addon.engine.state.settlement import settler, unsettled
from addon.engine.state.transitions import Actor, Lease, move
from addon.engine.worker.heartbeat import Heartbeat
from addon.engine.worker.run import ActiveRun
from addon.engine.worker.settling import settle
from addon.engine.worker.spaces import freeze_spaces, listed, not_done

log = get_logger(__name__)

LEFT_OPEN = "the job ended without a result for this space; this is a bug"
GONE_WHILE_FINALIZING = "the app was uninstalled while the result was compiled"


def run_next(context: EngineContext, heartbeat: Heartbeat, stopping: threading.Event | None = None) -> bool:
    """Claim one execution and drive it as far as it goes; return False when there was none to claim.

    A shutdown that began (`stopping`) while the claim was under way gives the execution back at once. Returns when the
    process has nothing more to do for the execution: all its threads have stopped and nothing beats for it any more.
    """
    # Trust in the lease is counted from before the claim, as it is from before each beat.
    began = context.clock.monotonic()
    claimed = claim(context, stopping)
    if claimed is None:
        return False
    run = ActiveRun(context, claimed.lease, claimed.row, began)
    heartbeat.register(run)
    if stopping is not None and stopping.is_set():
        run.stop.set()
    runner = ExecutionRunner(context, run, claimed.row)
    with about(tenant=run.tenant_id, execution=run.execution_id, job=run.job_type):
        try:
            if claimed.unsure is not None:
                raise claimed.unsure
            runner.drive()
        except DATABASE_AWAY as error:
            log_failure(log, error, "the database failed while running an execution", action="run_without_database")
            runner.give_back_later(error, stopping or threading.Event())
        finally:
            run.stop.set()
            run.calls.close()
            heartbeat.unregister(run)
    return True


class ExecutionRunner:
    """One claimed execution on its runner thread.

    A step that returns True wants the result compiled next; one that returns False has ended the execution or given it
    away. Every write of a step is one fenced transaction, so that a process may die between any two of them.
    """

    def __init__(self, context: EngineContext, run: ActiveRun, row: JobExecution) -> None:
        self.context = context
        self.run = run
        self.row = row
        self.lease: Lease = run.lease
        self.job: Job = context.jobs[run.job_type]
        self.actor = Actor("runner", context.worker_id)

    def drive(self) -> None:
        """Drive to the end, or to where the execution is given back. Raises on a database error."""
        try:
            if self.row.status == "cancelling":
                self._cancel()
            elif self.row.status == "finalizing" or self._work():
                self._finalize()
        except Fenced:
            # Someone else has the execution. Nothing is given back: whatever this process wrote would be refused.
            log.warning("an execution was taken from this process; nothing more is written for it", action="lease_lost")
        except Interrupted:
            self._give_back()

    def _work(self) -> bool:
        """Work through the spaces, unless a predecessor has seen the run fail as a whole."""
        if self.row.error is not None:
            return self._conclude()
        # The ways to stop. A check point raises Interrupted: the spaces in work are redone by the next owner, which is
        # safe because every effect is safe to repeat. A safe point raises CancelRequested: nothing is redone, so the
        # outcome of the item in work has been recorded before. Only what the job raises itself decides about spaces,
        # and an exception that it did not mean counts as permanent: a bug that is retried would fail in every chain.
        try:
            self._list()
            self._spaces()
        except (Interrupted, *DATABASE_AWAY):
            raise
        except CancelRequested:
            return self._cancel()
        except Pause as stop:
            return self._pause(stop)
        except Abandon as stop:
            return self._abandon(stop)
        except Fatal as stop:
            self._fail_open(stop.reason, transient=stop.transient)
        except Exception as error:
            log.exception("a job failed", action="job_failed")
            self._fail_open(internal_error(error), transient=False)
        else:
            # The job may not have been asked again: the last space that was open can have failed with a lost lease.
            return self._conclude() if settler(self.job) else self._to_finalizing()
        return self._conclude()

    def _list(self) -> None:
        if self.row.listed:
            return
        self.run.safe_point()
        spaces = self.job.list_spaces(self.run)
        wanted = self.run.params.get("spaces")
        with self.run.write() as session:
            previous: dict[str, RunSpace] | None = None
            if wanted is not None:
                known = not_done(session, self.row.retry_of) if self.row.retry_of else {}
                previous = {key: known.get(key, RunSpace(id=key, key=key, name="")) for key in wanted}
            freeze_spaces(session, self.lease, spaces, previous, self.context.clock.now())

    def _spaces(self) -> None:
        """Give the open spaces to the job: first those above suspicion together, then each suspect alone."""
        with self.run.read() as session:
            spaces = listed(session, self.row.id)
        self.run.tally(space for space, _ in spaces)
        left = [(space, suspect) for space, suspect in spaces if space.state in ("pending", "running")]
        together = [space for space, suspect in left if not suspect]
        if together:
            self._give(together)
        for space, suspect in left:
            if suspect:
                self._give([space])

    def _give(self, group: list[RunSpace]) -> None:
        self.run.safe_point()
        self.job.work(self.run, group)
        self._close_left_open(group)

    def _close_left_open(self, group: list[RunSpace]) -> None:
        ids = {space.id for space in group}
        with self.run.read() as session:
            still = [space for space, _ in listed(session, self.row.id) if space.state in ("pending", "running")]
        forgotten = [space for space in still if space.id in ids]
        if not forgotten:
            return
        log.error("a job left spaces open", action="spaces_forgotten", spaces=len(forgotten))
        with self.run.write() as session:
            for space in forgotten:
                self.run.failed(session, space, LEFT_OPEN, transient=False)

    def _fail_open(self, reason: str, *, transient: bool) -> None:
        """Fail the open spaces with the reason, because nothing more can be done in this run."""
        with self.run.write() as session:
            row = fenced(session, self.lease)
            close_open_spaces(
                session, row.id, "failed", at=self.context.clock.now(), reason=reason, transient=transient
            )
            row.error, row.error_transient = reason, transient

    def _conclude(self) -> bool:
        """Read back what was submitted, now or later, as no space is worked on any more; then compile the result."""
        later = settle(self.context, self.run, self.row, self.job)
        if later is None:
            return self._to_finalizing()
        if pause(self.context, self.lease, later.until, later.reason, self.run.counters(), to_settle=True):
            return False
        return self._cancel()

    def _to_finalizing(self) -> bool:
        # The one decision between a cancel and the end: whichever of the two UPDATEs is first wins, and a cancel that
        # comes later is answered with "too late".
        with self.context.db.write(self.lease.tenant_id) as session:
            fenced(session, self.lease)
            at, counters = self.context.clock.now(), self.run.counters()
            moved = move(session, "finalize", self.row.id, at=at, actor=self.actor, lease=self.lease, values=counters)
        return True if moved is not None else self._cancel()

    def _finalize(self) -> None:
        self.run.ignore_cancel()
        extra: Metrics = {}
        error: str | None = None
        transient = False
        try:
            extra = self.job.finalize(self.run)
        except (Interrupted, *DATABASE_AWAY):
            raise
        except Fatal as stop:
            error, transient = stop.reason, stop.transient
        except Pause as stop:
            error, transient = f"could not wait while finalizing: {stop.reason}", True
        except Abandon:
            error = GONE_WHILE_FINALIZING
        except Exception as bug:
            log.exception("a job could not compile its result", action="finalize_failed")
            error = internal_error(bug)
        with self.context.db.write(self.lease.tenant_id) as session:
            row = fenced(session, self.lease)
            values: dict[str, Any] = self.run.counters()
            if error is not None and row.error is None:
                values |= {"error": error, "error_transient": transient}
            failed = error or row.error or any(space.state == "failed" for space, _ in listed(session, row.id))
            end(
                self.context,
                session,
                "fail" if failed else "succeed",
                row,
                actor=self.actor,
                lease=self.lease,
                extra=extra,
                values=values,
            )

    def _pause(self, stop: Pause) -> bool:
        # The threads stop before the lease is given away: a call that is still out would be made by no owner.
        self.run.suspend_calls()
        self.run.calls.close()
        if pause(self.context, self.lease, stop.until, stop.reason, self.run.counters()):
            return False
        self.run.resume_calls()
        return self._cancel()

    def _abandon(self, stop: Abandon) -> bool:
        """The tenant is gone, so nothing can be read back: end cancelled."""
        with self.context.db.write(self.lease.tenant_id) as session:
            row = fenced(session, self.lease)
            at, actor = self.context.clock.now(), Actor("system", "tenant_gone")
            asked = {"cancel_requested_at": at, "cancel_requested_by": "tenant_gone"}
            detail = {"reason": str(stop)}
            move(session, "request_cancel", row.id, at=at, actor=actor, values=asked, detail=detail)
            self._end_cancelled(session, row)
        return False

    def _cancel(self) -> bool:
        later = settle(self.context, self.run, self.row, self.job)
        with self.context.db.write(self.lease.tenant_id) as session:
            row = fenced(session, self.lease)
            if later is not None and defer_settlement(self.context, session, self.lease, self.run.counters(), later):
                return False
            if row.status == "cancelling":
                self._end_cancelled(session, row)
                return False
        # The run saw a cancel that was rolled back: the next owner begins again from where the rows are.
        raise Interrupted("no one has cancelled")

    def _end_cancelled(self, session: Any, row: JobExecution) -> None:
        counters = self.run.counters()
        end(self.context, session, "cancelled", row, actor=self.actor, lease=self.lease, values=counters)

    def give_back_later(self, error: Exception, stopping: threading.Event) -> None:
        """Hand over as soon as the database can be used again after `error`, unless `stopping` is set first.

        No space is to blame, and no site has to wait for the lease. After an error of another kind the lease runs out:
        a statement that takes too long may take as long for every owner, and that has to be counted.
        """
        self._stop_threads()

        def check() -> None:
            if self.run.lost.is_set():
                raise Fenced("the lease is gone")

        try:
            while is_away(error) or is_blocked(error):
                if sleep(self.context.clock, self.context.settings.again, check, stop=stopping):
                    return
                try:
                    self._hand_over(hand_over_after_outage)
                except DATABASE_AWAY as still:
                    error = still
                else:
                    return
        except Fenced:
            log.warning("an execution was taken while the database was away", action="lease_lost_in_outage")

    def _give_back(self) -> None:
        """Hand over after a stop at a check point, once all threads have stopped: another runner resumes at once."""
        self._stop_threads()
        if not self.run.lost.is_set():
            self._hand_over(hand_over)

    def _stop_threads(self) -> None:
        self.run.stop.set()
        self.run.calls.close()

    def _hand_over(self, how: Callable[[EngineContext, Lease, dict[str, Any]], bool]) -> None:
        try:
            if not how(self.context, self.lease, self.run.counters()):
                with self.context.db.write(self.lease.tenant_id) as session:
                    row = fenced(session, self.lease)
                    if not unsettled(self.context, session, row):
                        self._end_cancelled(session, row)
                    elif not defer_settlement(self.context, session, self.lease, self.run.counters()):
                        raise RuntimeError("a locked execution changed under its lock")
        except Fenced:
            log.warning("an execution was taken from this process before it gave it back", action="give_back_fenced")
