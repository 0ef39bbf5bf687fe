"""The reaper: a tick of every process that takes executions from owners that are dead or stuck.

What becomes of each is in the table of lease/__init__. An execution is taken in a transaction of its own, under the
lock of its row, so that one that cannot be taken keeps no other from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, get_logger
from addon.engine.context import EngineContext
from addon.engine.errors import DATABASE_AWAY
from addon.engine.models import ExecutionSpace, JobExecution, Worker, is_active
from addon.engine.state.finish import INTERRUPTED, OPEN, close_open_spaces, end
from addon.engine.state.settlement import MAX_TRIES, SETTLE_LATER, tries, unsettled
from addon.engine.state.table import MAX_LOSSES, TO_SETTLE
from addon.engine.state.transitions import Actor, claimable, move

log = get_logger(__name__)

TWICE = "the worker crashed twice while processing this space"
STUCK = "stuck: no progress for {minutes} minutes"
_MORE_LOSSES = 3
"""Leases that may be lost beyond MAX_LOSSES while an execution is only settled."""
_BATCH = 200
_WORKER_SECONDS = 86400.0


def reap(context: EngineContext, *, everyone: bool = False) -> int:
    """Take executions from owners that are dead or stuck; return how many.

    Parameters: `everyone`: every owner but this process is known to be dead (SQLite under its lock file), so leases
    need not expire first. Raises the database's errors; any other error concerns one execution and is logged.
    """
    # Dead before stuck: an owner whose lease is over is blamed for the lease, and found no second time as stuck.
    settings, time = context.settings, context.time
    stuck = JobExecution.progress_at < time.after(-settings.stuck_seconds)
    expired = time.over(JobExecution.lease_until, settings.ttl)
    dead = JobExecution.owner != context.worker_id if everyone else expired
    found = _find(context, dead)
    reaped = sum(_try(context, tenant_id, execution_id, dead, stuck=False) for tenant_id, execution_id in found)
    if everyone:
        return reaped
    found = _find(context, stuck)
    return reaped + sum(_try(context, tenant_id, execution_id, stuck, stuck=True) for tenant_id, execution_id in found)


def wake_claimable(context: EngineContext) -> int:
    """Wake runners for what no one has claimed, so that a lost wakeup costs a tick and never a job; return how many."""
    now = context.clock.now()
    row = JobExecution
    unclaimed = sa.select(row.tenant_id).where(is_active(), claimable(now)).limit(_BATCH)
    with context.db.read_all() as session:
        tenants = session.scalars(unclaimed).all()
    for tenant_id in tenants:
        with context.db.write(tenant_id) as session:
            context.dispatcher.wake(session, tenant_id)
    return len(tenants)


def forget_old_workers(context: EngineContext) -> None:
    """Delete the registry rows of processes that stopped long ago, or beat by a clock that was days ahead."""
    beat, day = Worker.heartbeat_at, context.time.after(_WORKER_SECONDS)
    old = sa.or_(beat < context.time.after(-_WORKER_SECONDS), beat > day)
    gone = sa.and_(Worker.id != context.worker_id, old)
    with context.db.read_all() as session:
        if session.scalar(sa.select(sa.func.count()).select_from(Worker).where(gone)) == 0:
            return
    with context.db.write_all() as session:
        session.execute(sa.delete(Worker).where(gone))


def _find(context: EngineContext, condition: sa.ColumnElement[bool]) -> list[tuple[TenantId, str]]:
    row = JobExecution
    statement = (
        sa.select(row.tenant_id, row.id)
        .where(is_active(), row.owner != TO_SETTLE, condition)
        .order_by(row.id)
        .limit(_BATCH)
    )
    with context.db.read_all() as session:
        return [(found.tenant_id, found.id) for found in session.execute(statement)]


def _try(
    context: EngineContext, tenant_id: TenantId, execution_id: str, dead: sa.ColumnElement[bool], *, stuck: bool
) -> bool:
    """Take one execution; what goes wrong with it must not keep the others from being taken."""
    try:
        return _take(context, tenant_id, execution_id, dead, stuck=stuck)
    except DATABASE_AWAY:
        raise
    except Exception:
        log.exception(
            "could not take an execution from its owner", action="take_failed", tenant=tenant_id, execution=execution_id
        )
        return False


def _take(
    context: EngineContext, tenant_id: TenantId, execution_id: str, dead: sa.ColumnElement[bool], *, stuck: bool
) -> bool:
    """Take one execution from its owner. False when the owner came back or another process was first."""
    with context.db.write(tenant_id) as session:
        # The condition is asked again under the lock: between the look and here the owner may have beaten. SKIP LOCKED,
        # because who has the row locked now is either its owner, alive after all, or another reaper that takes it.
        execution = session.scalars(
            sa.select(JobExecution)
            .where(JobExecution.id == execution_id, is_active(), JobExecution.owner != TO_SETTLE)
            .where(dead)
            .with_for_update(skip_locked=True, key_share=True)
        ).one_or_none()
        if execution is None:
            return False
        owner = execution.owner
        _Reaping(context, session, execution, dead, stuck=stuck).take()
    log.warning(
        "took an execution from its owner",
        action="execution_taken",
        tenant=tenant_id,
        execution=execution_id,
        owner=owner,
        why="stuck" if stuck else "lease expired",
    )
    return True


@dataclass(frozen=True, slots=True)
class _Reaping:
    """One execution whose row is locked, and what becomes of it.

    Parameters: `dead` is the proof against the owner, which the UPDATE repeats; `stuck` whether that proof is a missing
    safe point rather than a lease that is over.
    """

    context: EngineContext
    session: Session
    execution: JobExecution
    dead: sa.ColumnElement[bool]
    stuck: bool

    def take(self) -> None:
        """Make the transition that its status, its losses and what it has submitted ask for."""
        # Cancelling first: whatever its owner has come to, a person has asked for its end. Then stuck, which costs the
        # spaces in work and no loss. Losses are bounded, because what kills one process would kill the next as well;
        # beyond the bound only something without a known outcome on the site is worth more leases, and few of them.
        row = self.execution
        if row.status == "cancelling":
            self._cancelling()
        elif self.stuck:
            self._stuck()
        elif row.lease_losses < MAX_LOSSES:
            self._give_back_spaces()
            self._move("expire_lease")
        elif row.status == "running" and row.lease_losses < MAX_LOSSES + _MORE_LOSSES and self._unsettled():
            close_open_spaces(self.session, row.id, "failed", at=self.context.clock.now(), reason=INTERRUPTED)
            self._move("expire_unsettled", error=INTERRUPTED, error_transient=False)
        else:
            self._end("interrupt")

    def _cancelling(self) -> None:
        row = self.execution
        worth = row.lease_losses < MAX_LOSSES and self._unsettled() and tries(self.session, row.id) < MAX_TRIES
        if not worth:
            self._end("finish_cancelling")
        elif self.stuck:
            # No lease has expired: the count that the transition raises is put back to what it was.
            self._move("expire_cancelling", lease_losses=row.lease_losses)
        else:
            self._move("expire_cancelling")

    def _stuck(self) -> None:
        """Blame the spaces in work, or without any the whole run. No lease has expired, so no loss is counted."""
        # A thread cannot be killed: the one that hangs stays, with its process, until its call ends. Its fence is
        # outdated by then. To fail its spaces at once costs the work on them, but a retry by the next owner would most
        # likely hang in the same place, and the tenant would wait another half hour for it.
        at, space = self.context.clock.now(), ExecutionSpace
        reason = STUCK.format(minutes=round(self.context.settings.stuck_seconds / 60))
        failed = {"state": "failed", "reason": reason, "transient": False, "ended_at": at}
        in_work = self.session.scalars(
            sa.update(space)
            .where(space.execution_id == self.execution.id, space.state == "running")
            .values(failed)
            .returning(space.space_id)
            .execution_options(synchronize_session=False)
        ).all()
        row = self.execution
        error = {"error": row.error or reason, "error_transient": False}
        # A run that has failed as a whole, and hangs again and again while it is settled, is not rescued without end.
        if row.status == "finalizing" or (row.error is not None and tries(self.session, row.id) >= MAX_TRIES):
            self._end("fail_stuck", **error)
        elif in_work:
            self._move("rescue_stuck")
        else:
            close_open_spaces(self.session, row.id, "failed", at=at, reason=reason)
            self._move("rescue_stuck", **error)

    def _give_back_spaces(self) -> None:
        """Make the spaces in work pending suspects; one that was alone in two lost leases fails."""
        # Several were in work and one of them may have killed the process, but no one can tell which. Blaming all would
        # fail good spaces; blaming none would let a bad one use up the five losses and fail the whole execution. So
        # they run alone from then on, which costs concurrency once and finds the bad one (docs/adr/0026).
        space = ExecutionSpace
        of_this = sa.update(space).where(space.execution_id == self.execution.id)
        in_work = of_this.where(space.state == "running").execution_options(synchronize_session=False)
        suspected: dict[str, Any] = {"state": "pending", "suspect": True}
        if self._alone():
            at, losses = self.context.clock.now(), space.lease_losses + 1
            failed = {"state": "failed", "reason": TWICE, "transient": False, "ended_at": at}
            self.session.execute(in_work.where(space.lease_losses >= 1).values(failed | {"lease_losses": losses}))
            suspected["lease_losses"] = losses
        self.session.execute(in_work.values(suspected))

    def _alone(self) -> bool:
        """Return whether one space was in work and the job had been given no other."""
        space = ExecutionSpace
        open_ = sa.select(space.space_id, space.suspect, space.state).where(
            space.execution_id == self.execution.id, space.state.in_(OPEN)
        )
        rows = self.session.execute(open_).all()
        in_work = [row for row in rows if row.state == "running"]
        if len(in_work) != 1:
            return False
        return in_work[0].suspect or not any(row.state == "pending" and not row.suspect for row in rows)

    def _unsettled(self) -> bool:
        return unsettled(self.context, self.session, self.execution)

    def _move(self, name: str, **values: Any) -> None:
        context, row = self.context, self.execution
        at, actor = context.clock.now(), Actor("reaper", context.worker_id)
        only_settled = name == "expire_cancelling" or (name == "rescue_stuck" and row.error is not None)
        detail = self._lost() | ({SETTLE_LATER: True} if only_settled else {})
        if move(self.session, name, row.id, at=at, actor=actor, dead=self.dead, values=values, detail=detail) is None:
            raise RuntimeError("a locked execution changed under its lock")
        context.dispatcher.wake(self.session, row.tenant_id)

    def _end(self, name: str, **values: Any) -> None:
        context, actor = self.context, Actor("reaper", self.context.worker_id)
        end(
            context, self.session, name, self.execution, actor=actor, dead=self.dead, values=values, detail=self._lost()
        )

    def _lost(self) -> dict[str, Any]:
        return {"owner": self.execution.owner, "losses": self.execution.lease_losses, "stuck": self.stuck}
