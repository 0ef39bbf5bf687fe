"""The starts of one tenant: what is pending is read, the plan made, and the plan's first start executed.

Everything about one tenant happens in one transaction that has its lane locked: the execution, the records of its
slots, the end of a retry's wait. A second process that looks at the same tenant meanwhile passes it over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, chunks, get_logger
from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.job import JobRefused
from addon.engine.models import ExecutionSpace, JobExecution, JobSchedule, Lane, RetryDue, ScheduleFire, is_active
from addon.engine.schedule.missed import NO_BLOCKERS, find_blockers
from addon.engine.schedule.plan import Candidate, DueJob, LaneState, Plan, plan, precedes
from addon.engine.schedule.schedules import stop_unreadable
from addon.engine.schedule.slots import (
    LONGEST_LATENESS,
    PendingSlots,
    advance,
    pending_slots,
    slot_records,
    write_records,
)
from addon.engine.state.admission import active, end_chains, on_hold
from addon.engine.state.start import StartRequest, start

log = get_logger(__name__)

_KEYS = 500


def start_next(context: EngineContext, session: Session, tenant_id: TenantId, now: datetime) -> JobExecution | None:
    """Start the first of the tenant's plan that its job accepts, in this transaction; None when nothing starts.

    Nothing is written while the lane is busy, closed, on hold or in its first run. Raises Busy when another transaction
    took the lane meanwhile; roll back then.
    """
    locked = _lock_lane(session, tenant_id)
    if locked is None:
        return None
    lane = _lane_state(locked.Lane, now, busy=locked.runs)
    if lane.why is not None:
        return None
    pending = _pending_by_job(context, session, tenant_id, now)
    for row in pending.without_slots:
        _advance(session, row, now)
    retries = pending_retries(session, tenant_id) if locked.waits else []
    for candidate in _plan(context, pending, retries, lane, now).starts:
        if candidate.retry is not None:
            execution = _start_retry(context, session, candidate.retry, now)
        else:
            slots = pending.slots[candidate.job_type]
            ends_chain = any(retry.job_type == candidate.job_type for retry in retries)
            execution = _start_slots(context, session, candidate.job_type, slots, now, ends_chain=ends_chain)
            if execution is not None:
                _end_late_chains(context, session, retries)
        if execution is not None:
            return execution
    return None


def waiting(context: EngineContext, session: Session, tenant_id: TenantId) -> list[Candidate]:
    """Return what will start one after the other once the lane is free, the first one first, without starting it.

    Nothing is promised while the lane is closed, on hold or in its first run.
    """
    now = context.clock.now()
    row = session.get(Lane, tenant_id)
    if row is None:
        return []
    lane = _lane_state(row, now, busy=active(session, tenant_id) is not None)
    if lane.why not in (None, "busy"):
        return []
    pending = _pending_by_job(context, session, tenant_id, now)
    return _plan(context, pending, pending_retries(session, tenant_id), lane, now).queue()


@dataclass(frozen=True, slots=True)
class _Pending:
    """A tenant's due schedules: their slots by job type, and those of which no slot can start.

    The latter cannot be read, or all their slots have a record.
    """

    slots: dict[str, list[PendingSlots]]
    without_slots: list[JobSchedule]


def _lock_lane(session: Session, tenant_id: TenantId) -> sa.Row[Lane, bool, bool] | None:
    """Lock the tenant's lane; return it as `Lane`, with whether anything `runs` and any retry `waits`.

    None when there is none, or another process has it locked: that one starts what is due.
    """
    runs = sa.exists().where(JobExecution.tenant_id == tenant_id, is_active())
    waits = sa.exists().where(RetryDue.tenant_id == tenant_id)
    return session.execute(
        sa.select(Lane, runs.label("runs"), waits.label("waits"))
        .where(Lane.tenant_id == tenant_id)
        .with_for_update(of=Lane, key_share=True, skip_locked=True)
    ).one_or_none()


def _lane_state(lane: Lane, now: datetime, *, busy: bool) -> LaneState:
    return LaneState(open=lane.open, first_run=lane.first_run, on_hold=on_hold(lane, now), busy=busy)


def _plan(
    context: EngineContext, pending: _Pending, retries: Sequence[RetryDue], lane: LaneState, now: datetime
) -> Plan:
    """Make the values of which the plan is a function."""
    due = []
    for job_type, slots in pending.slots.items():
        in_time = [each.oldest for each in slots if not each.too_late]
        since = min(each.schedule.next_fire_at or now for each in slots)
        startable = max(min(in_time), now - LONGEST_LATENESS) if in_time else None
        due.append(DueJob(job_type, since, startable))
    return plan(due, retries, lane, now, precedence_attempts=context.settings.precedence_attempts)


def _pending_by_job(context: EngineContext, session: Session, tenant_id: TenantId, now: datetime) -> _Pending:
    rows = session.scalars(
        sa.select(JobSchedule)
        .where(JobSchedule.tenant_id == tenant_id, JobSchedule.enabled, JobSchedule.next_fire_at <= now)
        .where(JobSchedule.job_type.in_(tuple(context.jobs)))
        .order_by(JobSchedule.next_fire_at, JobSchedule.id)
    )
    pending = _Pending({}, [])
    for row in rows:
        try:
            found = pending_slots(row, now)
        except ValueError:
            found = None
        if found is None:
            pending.without_slots.append(row)
        else:
            pending.slots.setdefault(row.job_type, []).append(found)
    return pending


def pending_retries(session: Session, tenant_id: TenantId) -> list[RetryDue]:
    """Return the waiting retries of a tenant, the next one first."""
    return list(session.scalars(sa.select(RetryDue).where(RetryDue.tenant_id == tenant_id).order_by(RetryDue.due_at)))


def _advance(session: Session, row: JobSchedule, now: datetime) -> None:
    """Move a schedule on whose next time leads to no slot; one that cannot be read is stopped."""
    try:
        advance(row, now)
    except ValueError:
        stop_unreadable(session, row, now)


def _start_slots(
    context: EngineContext,
    session: Session,
    job_type: str,
    due: list[PendingSlots],
    now: datetime,
    *,
    ends_chain: bool,
) -> JobExecution | None:
    """Start one execution for all due schedules of a job type; None when all of them are too late, or it is refused."""
    tenant_id = due[0].schedule.tenant_id
    fired = _fired(session, [slot for slot in due if not slot.too_late])
    in_time = {slot.schedule.id: slot for slot in due if not slot.too_late and slot.schedule.id not in fired}
    execution: JobExecution | None = None
    if in_time:
        rules = [slot.schedule.rule_id for slot in in_time.values() if slot.schedule.rule_id]
        params = {"rules": rules} if rules else {}
        try:
            wanted = StartRequest(
                tenant_id, job_type, "site", "scheduled", params=params, lane_locked=True, ends_chain=ends_chain
            )
            execution = start(context, session, wanted)
        except JobRefused as refusal:
            log.info(
                "a slot stays pending", action="slot_pending", tenant=tenant_id, job=job_type, reason=refusal.reason
            )
            return None
    since = min((slot.oldest for slot in due if slot.older or slot.too_late), default=None)
    blockers = NO_BLOCKERS if since is None else find_blockers(context, session, tenant_id, since)
    most = context.settings.recorded_slots // len(due)
    rows: list[dict[str, object]] = []
    for slot in due:
        rows += slot_records(slot, execution if slot.schedule.id in in_time else None, now, blockers, most)
        advance(slot.schedule, now)
    write_records(session, rows)
    session.flush()
    failpoints.boundary(session, "slot")
    return execution


def _fired(session: Session, due: Sequence[PendingSlots]) -> set[str]:
    """Return the schedules whose newest slot has a record already."""
    newest = {slot.schedule.id: slot.newest for slot in due}
    ids = list(newest)
    fire, found = ScheduleFire, set()
    for some in chunks(ids, _KEYS):
        times = {newest[each] for each in some}
        rows = sa.select(fire.schedule_id, fire.scheduled_for).where(fire.schedule_id.in_(some))
        found |= {
            row.schedule_id
            for row in session.execute(rows.where(fire.scheduled_for.in_(times)))
            if newest[row.schedule_id] == row.scheduled_for
        }
    return found


def _start_retry(context: EngineContext, session: Session, retry: RetryDue, now: datetime) -> JobExecution | None:
    """Start the retry over exactly the spaces not done before.

    None when its job refuses: like a slot it then stays pending, for a day at most, and keeps no other job waiting.
    """
    failed = session.get_one(JobExecution, retry.failed_execution_id)
    params = {key: value for key, value in failed.params.items() if key != "spaces"}
    if failed.listed:
        left = sa.select(ExecutionSpace.space_id).where(
            ExecutionSpace.execution_id == failed.id, ExecutionSpace.state != "done"
        )
        params["spaces"] = list(session.scalars(left.order_by(ExecutionSpace.position)))
    elif "spaces" in failed.params:
        params["spaces"] = failed.params["spaces"]
    wanted = StartRequest(
        retry.tenant_id,
        retry.job_type,
        failed.scope,
        "retry",
        params=params,
        policy_version=failed.policy_version,
        retry_of=failed.id,
        attempt=retry.attempt,
        lane_locked=True,
    )
    execution: JobExecution | None = None
    try:
        execution = start(context, session, wanted)
    except JobRefused as refusal:
        log.info(
            "a retry waits", action="retry_pending", tenant=failed.tenant_id, execution=failed.id, reason=refusal.reason
        )
        if now - retry.due_at <= LONGEST_LATENESS:
            return None
    session.delete(retry)
    session.flush()
    failpoints.boundary(session, "retry_start")
    return execution


def _end_late_chains(context: EngineContext, session: Session, retries: Sequence[RetryDue]) -> None:
    """End the chains that other jobs no longer wait for: a slot of another job has started before them."""
    for retry in retries:
        if not precedes(retry.attempt, context.settings.precedence_attempts):
            end_chains(session, retry.tenant_id, retry.job_type)
