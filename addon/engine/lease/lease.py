"""The owner's side of a lease: claiming an execution, showing the fence, and giving the execution back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import backoff
from addon.engine.context import EngineContext
from addon.engine.errors import DATABASE_AWAY, Fenced
from addon.engine.models import AuditEvent, ExecutionSpace, JobExecution, is_active
from addon.engine.state.settlement import SETTLE_LATER, Later
from addon.engine.state.transitions import Actor, Lease, claimable, move

OUTAGES_AT_ONCE = 5
"""After so many outages of the database within OUTAGES_COUNT_FOR an execution still resumes without waiting."""
OUTAGES_COUNT_FOR = timedelta(hours=1)
OUTAGE = "databaseLost"
OUTAGE_REASON = "the database could not be used several times; the run resumes automatically"


def fenced(session: Session, lease: Lease) -> JobExecution:
    """Lock the execution's row until the transaction ends and return it. Raises Fenced when the lease is not ours.

    The first statement of every transaction on behalf of an execution; the lock order is the execution's row first.
    """
    # Locked and compared in one statement: a check without the lock could be true and outdated before the next write.
    # Without KEY, so that rows which refer to the execution can be inserted meanwhile. The cost is that two writes of
    # one run queue up; they come from one thread anyway.
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


@dataclass(frozen=True, slots=True)
class Claim:
    """An execution that was claimed.

    Parameters:
        lease: the right to act for it.
        row: the execution as it was read under the claim's lock, detached from any session.
        unsure: the error with which the claim's transaction ended; then the lease may be ours or not.
    """

    lease: Lease
    row: JobExecution
    unsure: Exception | None = None


def claim(context: EngineContext, stopping: threading.Event | None = None) -> Claim | None:
    """Take the oldest claimable execution of any tenant, or return None. An expired lease is never taken.

    Nothing is taken once `stopping` is set: what this process hands over is for others. Raises the database's errors
    while nothing was taken.
    """
    # Everything that a runner needs of the row is read in this transaction. A second one could fail after the claim,
    # and leave an execution owned by a process that does not know it: its tenant would wait for the lease to expire.
    # When the commit itself fails its effect is unknown, so the claim is returned with the error: the runner gives it
    # back as soon as the database answers, which costs a lookup and no lease.
    taken: Claim | None = None
    try:
        with context.db.write_all() as session:
            taken = _claim(context, session, stopping)
    except DATABASE_AWAY as error:
        if taken is None:
            raise
        return replace(taken, unsure=error)
    return taken


def _claim(context: EngineContext, session: Session, stopping: threading.Event | None) -> Claim | None:
    now = context.clock.now()
    row = JobExecution
    # SKIP LOCKED lets many runners ask at once: each takes another row, and none waits. Oldest first, by id, so that
    # no tenant is passed over for long. `is_active` is spelled as in the partial index, or the index would not serve.
    candidate = session.execute(
        sa.select(row.id, row.tenant_id)
        .where(
            is_active(),
            claimable(now),
            row.job_type.in_(tuple(context.jobs)),
        )
        .order_by(row.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    ).one_or_none()
    # Asked after the look: what this process hands over becomes claimable only after `stopping` was set, so a candidate
    # seen without it cannot be ours. Asked before, our own other runner would take what we have just handed over.
    if candidate is None or (stopping is not None and stopping.is_set()):
        return None
    moved = move(
        session,
        "claim",
        candidate.id,
        at=now,
        actor=Actor("runner", context.worker_id),
        values={
            "owner": context.worker_id,
            "lease_until": context.time.after(context.settings.ttl),
            "progress_at": context.time.now(),
        },
    )
    if moved is None:
        return None
    taken = session.get_one(row, candidate.id, populate_existing=True)
    session.expunge(taken)
    return Claim(Lease(candidate.id, moved.tenant_id, context.worker_id, moved.fence), taken)


def hand_over(context: EngineContext, lease: Lease, counters: dict[str, Any]) -> bool:
    """Give a running or finalizing execution back, to be claimed at once. False when it is being cancelled.

    Only to be called when all threads of the run have stopped. `counters` are newer columns of the row. Raises Fenced
    when the lease was not ours.
    """
    with context.db.write(lease.tenant_id) as session:
        fenced(session, lease)
        return _handed_over(context, session, lease, counters, {})


def hand_over_after_outage(context: EngineContext, lease: Lease, counters: dict[str, Any]) -> bool:
    """Give a running or finalizing execution back whose owner lost the database and has it again. As `hand_over`.

    No lease expired, so nothing counts as lost. An execution that meets outages again and again waits longer each
    time: a running one is put aside, a finalizing one is left to its lease.
    """
    now = context.clock.now()
    with context.db.write(lease.tenant_id) as session:
        row = fenced(session, lease)
        more = _outages(session, lease.execution_id, now - OUTAGES_COUNT_FOR) - OUTAGES_AT_ONCE
        if more < 0 or row.status == "cancelling":
            return _handed_over(context, session, lease, counters, {OUTAGE: True})
        if row.status == "finalizing":
            return True
        wait = backoff(more, first=context.settings.ttl / 2, longest=context.settings.ttl * 10)
        until = now + timedelta(seconds=wait)
        return _put_aside(context, session, lease, until, OUTAGE_REASON, counters, {OUTAGE: True})


def _handed_over(
    context: EngineContext, session: Session, lease: Lease, counters: dict[str, Any], detail: dict[str, Any]
) -> bool:
    _reopen_spaces(session, lease.execution_id)
    moved = _left(context, session, "hand_over", lease, counters, detail)
    if moved:
        context.dispatcher.wake(session, lease.tenant_id)
    return moved


def _left(
    context: EngineContext, session: Session, name: str, lease: Lease, values: dict[str, Any], detail: dict[str, Any]
) -> bool:
    """Make a transition by which the owner gives its lease away; False when the row's status does not allow it."""
    at, actor = context.clock.now(), Actor("runner", context.worker_id)
    moved = move(session, name, lease.execution_id, at=at, actor=actor, lease=lease, values=values, detail=detail)
    return moved is not None


def _outages(session: Session, execution_id: str, since: datetime) -> int:
    details = session.scalars(
        sa.select(AuditEvent.detail).where(AuditEvent.execution_id == execution_id, AuditEvent.at > since)
    )
    return sum(bool(detail.get(OUTAGE)) for detail in details)


def pause(
    context: EngineContext,
    lease: Lease,
    until: datetime,
    reason: str,
    counters: dict[str, Any],
    *,
    to_settle: bool = False,
) -> bool:
    """Put the execution aside until a time; no thread waits with it. False when it is being cancelled meanwhile.

    `to_settle`: it waits for nothing but what it has submitted.
    """
    with context.db.write(lease.tenant_id) as session:
        fenced(session, lease)
        return _put_aside(context, session, lease, until, reason, counters, {SETTLE_LATER: True} if to_settle else {})


def _put_aside(
    context: EngineContext,
    session: Session,
    lease: Lease,
    until: datetime,
    reason: str,
    counters: dict[str, Any],
    detail: dict[str, Any],
) -> bool:
    _reopen_spaces(session, lease.execution_id)
    values = {"not_before": until, "pause_reason": reason, **counters}
    return _left(context, session, "pause", lease, values, {"until": until.isoformat(), "reason": reason} | detail)


def defer_settlement(
    context: EngineContext, session: Session, lease: Lease, counters: dict[str, Any], later: Later | None = None
) -> bool:
    """Let the next runner settle an execution that is being cancelled; False when it is not.

    `later` says from when on. The caller has locked the row, and all threads of the run have stopped.
    """
    values, detail = dict(counters), {}
    if later is not None:
        values |= {"not_before": later.until, "pause_reason": later.reason}
        detail = {SETTLE_LATER: True, "until": later.until.isoformat(), "reason": later.reason}
    moved = _left(context, session, "defer_settlement", lease, values, detail)
    if moved:
        context.dispatcher.wake(session, lease.tenant_id)
    return moved


def _reopen_spaces(session: Session, execution_id: str) -> None:
    session.execute(
        sa.update(ExecutionSpace)
        .where(ExecutionSpace.execution_id == execution_id, ExecutionSpace.state == "running")
        .values(state="pending")
        .execution_options(synchronize_session=False)
    )
