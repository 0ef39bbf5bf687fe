"""What becomes of executions whose owner is silent? They go on elsewhere, or fail, or end cancelled."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.core import Core
from addon.engine.ending import end
from addon.engine.errors import DATABASE_AWAY
from addon.engine.models import ExecutionSpace, JobExecution, Worker, is_active
from addon.engine.transitions import MAX_LOSSES, Actor, move

log = logging.getLogger(__name__)

TWICE = "stopped the worker twice"
STUCK = "stuck: no progress for {minutes} minutes"
_BATCH = 200
_WORKER_DAYS = 1


def reap(core: Core, *, everyone: bool = False) -> int:
    """Take executions from owners that are dead or stuck; return how many.

    `everyone`: every owner but this process is known to be dead (SQLite under its lock file).
    """
    now = core.clock.now()
    stuck = JobExecution.progress_at < now - timedelta(seconds=core.settings.stuck_seconds)
    dead = JobExecution.owner != core.worker_id if everyone else JobExecution.lease_until < now
    found = _find(core, dead)
    reaped = sum(_try(core, tenant_id, execution_id, dead, stuck=False) for tenant_id, execution_id in found)
    if everyone:
        return reaped
    found = _find(core, stuck)
    return reaped + sum(_try(core, tenant_id, execution_id, stuck, stuck=True) for tenant_id, execution_id in found)


def wake_claimable(core: Core) -> int:
    """Wake runners for what nobody has claimed, so that a lost wake costs a tick and never a job; return how many."""
    now = core.clock.now()
    row = JobExecution
    claimable = (
        sa.select(row.tenant_id)
        .where(
            is_active(),
            row.status.in_(("running", "finalizing")),
            row.owner.is_(None),
            sa.or_(row.not_before.is_(None), row.not_before <= now),
        )
        .limit(_BATCH)
    )
    with core.db.read_all() as session:
        tenants = session.scalars(claimable).all()
    for tenant_id in tenants:
        with core.db.write(tenant_id) as session:
            core.dispatcher.wake(session, tenant_id)
    return len(tenants)


def forget_old_workers(core: Core) -> None:
    """Delete the registry rows of processes that stopped long ago."""
    before = core.clock.now() - timedelta(days=_WORKER_DAYS)
    with core.db.read_all() as session:
        if session.scalar(sa.select(sa.func.count()).select_from(Worker).where(Worker.heartbeat_at < before)) == 0:
            return
    with core.db.write_all() as session:
        session.execute(sa.delete(Worker).where(Worker.heartbeat_at < before))


def _find(core: Core, condition: sa.ColumnElement[bool]) -> list[tuple[TenantId, str]]:
    row = JobExecution
    statement = (
        sa.select(row.tenant_id, row.id)
        .where(is_active(), row.owner.is_not(None), condition)
        .order_by(row.id)
        .limit(_BATCH)
    )
    with core.db.read_all() as session:
        return [(found.tenant_id, found.id) for found in session.execute(statement)]


def _try(core: Core, tenant_id: TenantId, execution_id: str, dead: sa.ColumnElement[bool], *, stuck: bool) -> bool:
    """Take one execution; what goes wrong with it must not keep the others from being taken."""
    try:
        return _take(core, tenant_id, execution_id, dead, stuck=stuck)
    except DATABASE_AWAY:
        raise
    except Exception:
        log.exception("could not take execution %s from its owner", execution_id)
        return False


def _take(core: Core, tenant_id: TenantId, execution_id: str, dead: sa.ColumnElement[bool], *, stuck: bool) -> bool:
    """Take one execution from its owner. False when the owner came back or another process was first."""
    now = core.clock.now()
    actor = Actor("reaper", core.worker_id)
    with core.db.write(tenant_id) as session:
        execution = session.scalars(
            sa.select(JobExecution)
            .where(JobExecution.id == execution_id, is_active(), JobExecution.owner.is_not(None))
            .where(dead)
            .with_for_update(skip_locked=True, key_share=True)
        ).one_or_none()
        if execution is None:
            return False
        lost = {"owner": execution.owner, "losses": execution.losses, "stuck": stuck}
        if execution.status == "cancelling":
            end(core, session, "reap_cancelling", execution, actor=actor, dead=dead, detail=lost)
        elif execution.losses >= MAX_LOSSES:
            end(core, session, "interrupt", execution, actor=actor, dead=dead, detail=lost)
        else:
            _give_back_spaces(core, session, execution_id, now, stuck=stuck)
            if move(session, "lose", execution_id, at=now, actor=actor, dead=dead, detail=lost) is None:
                raise RuntimeError("a locked execution changed under its lock")
            core.dispatcher.wake(session, tenant_id)
    log.warning("took execution %s from %s (%s)", execution_id, lost["owner"], "stuck" if stuck else "lease expired")
    return True


def _give_back_spaces(core: Core, session: Session, execution_id: str, now: datetime, *, stuck: bool) -> None:
    """Spaces in work go back to pending, unless this is the second lease lost with them, or they are stuck."""
    space = ExecutionSpace
    in_work = (
        sa.update(space)
        .where(space.execution_id == execution_id, space.state == "running")
        .execution_options(synchronize_session=False)
    )
    if stuck:
        reason = STUCK.format(minutes=round(core.settings.stuck_seconds / 60))
        session.execute(in_work.values(state="failed", reason=reason, transient=False, ended_at=now))
        return
    failed = {"state": "failed", "reason": TWICE, "transient": False, "ended_at": now, "losses": space.losses + 1}
    session.execute(in_work.where(space.losses >= 1).values(failed))
    session.execute(in_work.values(state="pending", losses=space.losses + 1))
