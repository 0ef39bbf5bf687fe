"""Who may act for an execution now? Claiming, checking the fence, and giving the lease back."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.engine.core import Core
from addon.engine.errors import Fenced
from addon.engine.models import ExecutionSpace, JobExecution, is_active
from addon.engine.settling import DETAIL, Later
from addon.engine.transitions import MAX_LOSSES, Actor, Lease, claimable, move


def fenced(session: Session, lease: Lease) -> JobExecution:
    """Lock the execution's row for this transaction and return it. Raises Fenced when the lease is not ours any more.

    First statement of every transaction on behalf of an execution (lock order: execution row first).
    """
    row = session.scalars(
        sa.select(JobExecution)
        .where(
            JobExecution.id == lease.execution_id,
            JobExecution.fence == lease.fence,
            JobExecution.owner == lease.owner,
        )
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise Fenced(f"execution {lease.execution_id} is not ours any more (fence {lease.fence})")
    return row


def claim(core: Core, stopping: threading.Event | None = None) -> Lease | None:
    """Take the oldest claimable execution of any tenant, or return None. An expired lease is never taken.

    Nothing is taken once `stopping` is set: what this process hands over is for others.
    """
    now = core.clock.now()
    row = JobExecution
    with core.db.write_all() as session:
        candidate = session.execute(
            sa.select(row.id, row.tenant_id)
            .where(
                is_active(),
                claimable(now),
                row.job_type.in_(tuple(core.jobs)),
            )
            .order_by(row.id)
            .limit(1)
            .with_for_update(skip_locked=True, key_share=True)
        ).one_or_none()
        # Asked after the look, because what this process handed over was not to be seen before it was set.
        if candidate is None or (stopping is not None and stopping.is_set()):
            return None
        moved = move(
            session,
            "claim",
            candidate.id,
            at=now,
            actor=Actor("runner", core.worker_id),
            values={"owner": core.worker_id, "lease_until": core.time.after(core.settings.ttl)},
        )
        if moved is None:
            return None
        return Lease(candidate.id, moved.tenant_id, core.worker_id, moved.fence)


def hand_over(core: Core, lease: Lease, counters: dict[str, Any], *, database_lost: bool = False) -> bool:
    """Give a running or finalizing execution back, to be claimed at once. False when it is being cancelled.

    Only to be called when all threads of the run have stopped. `database_lost` counts against the execution, never
    against its spaces; one that has lost too often is left to its lease. Raises Fenced when it was not ours.
    """
    now = core.clock.now()
    with core.db.write(lease.tenant_id) as session:
        row = fenced(session, lease)
        values = dict(counters)
        if database_lost:
            if row.losses >= MAX_LOSSES:
                return True
            values["losses"] = row.losses + 1
        _reopen_spaces(session, lease.execution_id)
        actor = Actor("runner", core.worker_id)
        moved = move(session, "hand_over", lease.execution_id, at=now, actor=actor, lease=lease, values=values)
        if moved is None:
            return False
        core.dispatcher.wake(session, lease.tenant_id)
        return True


def pause(
    core: Core, lease: Lease, until: datetime, reason: str, counters: dict[str, Any], *, to_settle: bool = False
) -> bool:
    """Put the execution aside until a time; no thread is held. False when it is being cancelled meanwhile.

    `to_settle`: it waits for nothing but what it has submitted.
    """
    with core.db.write(lease.tenant_id) as session:
        fenced(session, lease)
        _reopen_spaces(session, lease.execution_id)
        moved = move(
            session,
            "pause",
            lease.execution_id,
            at=core.clock.now(),
            actor=Actor("runner", core.worker_id),
            lease=lease,
            values={"not_before": until, "pause_reason": reason, **counters},
            detail={"until": until.isoformat(), "reason": reason} | ({DETAIL: True} if to_settle else {}),
        )
        return moved is not None


def leave_to_settle(
    core: Core, session: Session, lease: Lease, counters: dict[str, Any], later: Later | None = None
) -> bool:
    """Let the next runner settle an execution that is being cancelled; False when it is not.

    `later` says from when on. The caller has locked the row, and all threads of the run have stopped.
    """
    values, detail = dict(counters), {}
    if later is not None:
        values |= {"not_before": later.until, "pause_reason": later.reason}
        detail = {DETAIL: True, "until": later.until.isoformat(), "reason": later.reason}
    moved = move(
        session,
        "leave_to_settle",
        lease.execution_id,
        at=core.clock.now(),
        actor=Actor("runner", core.worker_id),
        lease=lease,
        values=values,
        detail=detail,
    )
    if moved is None:
        return False
    core.dispatcher.wake(session, lease.tenant_id)
    return True


def _reopen_spaces(session: Session, execution_id: str) -> None:
    session.execute(
        sa.update(ExecutionSpace)
        .where(ExecutionSpace.execution_id == execution_id, ExecutionSpace.state == "running")
        .values(state="pending")
        .execution_options(synchronize_session=False)
    )
