"""What is due now? Leaderless: every process asks, and whoever inserts the slot's row has fired it.

See docs/rules/schedules.md 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, get_logger, is_away
from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.errors import DATABASE_AWAY, Busy, NotAdmitted, log_failure
from addon.engine.job import JobRefused
from addon.engine.models import ExecutionSpace, JobExecution, JobSchedule, Lane, RetryDue, ScheduleFire, is_active
from addon.engine.schedule import wrong_clock
from addon.engine.schedule.missed import NO_BLOCKERS, find_blockers
from addon.engine.schedule.schedules import stop_unreadable
from addon.engine.schedule.slots import (
    LONGEST_LATENESS,
    PendingSlots,
    advance,
    pending_slots,
    slot_records,
    write_records,
)
from addon.engine.state.admission import end_chains, on_hold
from addon.engine.state.start import StartRequest, start

log = get_logger(__name__)

ROUND_SECONDS = 5.0
"""A tick begins with no further tenant after so long: stopping the process waits for it. The next one goes on."""
SLOW_SECONDS = 1.0
"""A tenant that took longer comes after all others from then on, until it is quick again."""
_KEYS = 500
_DUE = "due"


def schedule_tick(context: EngineContext) -> int:
    """Start what is due, at most one execution per tenant; return how many were started.

    Slots that have to stay pending (a job that refuses, a retry that others wait for) keep no other tenant waiting, nor
    does one whose look fails or takes long.
    """
    deadline = context.clock.monotonic() + ROUND_SECONDS
    with context.db.read_all() as session:
        now = context.time.read(session)
        rows = session.execute(sa.union_all(_tenants_with_due(context, now), *wrong_clock.suspects(context, now))).all()
        wrong = wrong_clock.judge(context, session, rows, now)
    due = sorted((row for row in rows if row.kind == _DUE), key=lambda row: row.at)
    tenants = [TenantId(row.tenant_id) for row in due]

    def mend(session: Session, tenant_id: TenantId) -> bool:
        return wrong_clock.mend(context, session, wrong, tenant_id, now)

    def start_due(session: Session, tenant_id: TenantId) -> bool:
        return next_start(context, session, tenant_id, now) is not None

    round_ = _Round(context)
    for tenant_id in wrong.tenants():
        if context.clock.monotonic() > deadline:
            break
        round_.look(tenant_id, mend)
    if context.passed_over.issuperset(tenants):
        context.passed_over.clear()
    started = 0
    for tenant_id in sorted(tenants, key=lambda each: (each in context.slow, each in context.passed_over)):
        if context.clock.monotonic() > deadline:
            break
        context.passed_over.add(tenant_id)
        if round_.look(tenant_id, start_due):
            context.passed_over.discard(tenant_id)
            started += 1
    return started


class _Round:
    """The looks at one tenant after the other. What goes wrong with one reaches no other."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._was_away = False

    def look(self, tenant_id: TenantId, what: Callable[[Session, TenantId], bool]) -> bool:
        """Return what `what` does in a transaction; False when it failed.

        Raises only when the database is away twice in a row: a transaction that takes too long loses its connection,
        which is its tenant's trouble.
        """
        context, began = self._context, self._context.clock.monotonic()
        context.slow.add(tenant_id)
        try:
            with context.db.write(tenant_id) as session:
                found = what(session, tenant_id)
        except (Busy, NotAdmitted):
            log.debug(
                "the lane was taken or put on hold while its slot was started", action="slot_raced", tenant=tenant_id
            )
            found = False
        except DATABASE_AWAY as error:
            if is_away(error) and self._was_away:
                raise
            self._was_away = is_away(error)
            log_failure(log, error, "the slots of a tenant could not be read", action="slots_unread", tenant=tenant_id)
            return False
        except Exception:
            log.exception("the slots of a tenant could not be planned", action="slots_failed", tenant=tenant_id)
            return False
        self._was_away = False
        if context.clock.monotonic() - began <= SLOW_SECONDS:
            context.slow.discard(tenant_id)
        return found


def next_start(context: EngineContext, session: Session, tenant_id: TenantId, now: datetime) -> JobExecution | None:
    """Start the tenant's next due execution in this transaction, or return None.

    Nothing is written while the lane is busy, closed, held or in its first run. Raises Busy when another transaction
    took the lane meanwhile; roll back then.
    """
    busy = sa.exists().where(JobExecution.tenant_id == tenant_id, is_active())
    waits = sa.exists().where(RetryDue.tenant_id == tenant_id)
    found = session.execute(
        sa.select(Lane, waits.label("waits"))
        .where(Lane.tenant_id == tenant_id, Lane.open, ~Lane.first_run, ~busy)
        .with_for_update(of=Lane, key_share=True, skip_locked=True)
    ).one_or_none()
    if found is None or on_hold(found.Lane, now):
        return None
    due, without = _due_by_job(context, session, tenant_id, now)
    for row in without:
        _advance(session, row, now)
    retries = _retries(session, tenant_id) if found.waits else []
    own = {job_type for job_type, slots in due.items() if any(not slot.too_late for slot in slots)}
    # A slot of the job itself takes the retry's place, if it starts: what is only skipped as late does not.
    foreign = [retry for retry in retries if retry.job_type not in own]
    for retry in foreign:
        if precedes(context, retry):
            if retry.due_at > now:
                return None
            execution = _start_retry(context, session, retry, now)
            if execution is not None:
                return execution
    for job_type, slots in due.items():
        ends_chain = any(retry.job_type == job_type for retry in retries)
        execution = _start_slots(context, session, tenant_id, job_type, slots, now, ends_chain=ends_chain)
        if execution is not None:
            _end_late_chains(context, session, retries)
            return execution
    for retry in foreign:
        if not precedes(context, retry) and retry.due_at <= now:
            execution = _start_retry(context, session, retry, now)
            if execution is not None:
                return execution
    return None


def _end_late_chains(context: EngineContext, session: Session, retries: list[RetryDue]) -> None:
    """A chain whose attempts with precedence are used up ends when another type has started before it."""
    for retry in retries:
        if not precedes(context, retry):
            end_chains(session, retry.tenant_id, retry.job_type)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that starts when the lane is free: `due` since then, or a `retry` that others wait for until then."""

    job_type: str
    due: datetime
    retry: RetryDue | None = None


def waiting(context: EngineContext, session: Session, tenant_id: TenantId) -> list[Waiting]:
    """Return what `next_start` would start one after the other from now on, without starting it."""
    now = context.clock.now()
    lane = session.get(Lane, tenant_id)
    if lane is None or not lane.open or lane.first_run or on_hold(lane, now):
        return []
    slots = []
    for job_type, due in _due_by_job(context, session, tenant_id, now)[0].items():
        in_time = [slot.oldest for slot in due if not slot.too_late]
        if in_time:
            slots.append(Waiting(job_type, max(min(in_time), now - LONGEST_LATENESS)))
    own = {slot.job_type for slot in slots}
    first, last = [], []
    for retry in _retries(session, tenant_id):
        if retry.job_type in own:
            continue
        if precedes(context, retry) and (slots or retry.due_at <= now):
            first.append(Waiting(retry.job_type, retry.due_at, retry))
        elif retry.due_at <= now and not slots:
            last.append(Waiting(retry.job_type, retry.due_at, retry))
    return first + slots + last


def precedes(context: EngineContext, retry: RetryDue) -> bool:
    """Return whether a waiting retry keeps other job types' slots waiting: while at most three attempts have failed."""
    return retry.attempt - 1 <= context.settings.precedence_attempts


def _tenants_with_due(context: EngineContext, now: datetime) -> sa.Select[Any]:
    """Return what reads the tenants for which something may start, each with the time of what is due for longest."""
    schedules = sa.select(JobSchedule.tenant_id, JobSchedule.next_fire_at.label("due")).where(
        JobSchedule.enabled, JobSchedule.next_fire_at <= now, JobSchedule.job_type.in_(tuple(context.jobs))
    )
    retries = sa.select(RetryDue.tenant_id, RetryDue.due_at.label("due")).where(RetryDue.due_at <= now)
    due = sa.union_all(schedules, retries).subquery()
    busy = sa.exists().where(JobExecution.tenant_id == Lane.tenant_id, is_active())
    not_held = sa.or_(~Lane.hold, Lane.hold_until <= now)
    return (
        wrong_clock.alike(_DUE, Lane.tenant_id, at=sa.func.min(due.c.due))
        .join(due, due.c.tenant_id == Lane.tenant_id)
        .where(Lane.open, ~Lane.first_run, not_held, ~busy)
        .group_by(Lane.tenant_id)
    )


def _due_by_job(
    context: EngineContext, session: Session, tenant_id: TenantId, now: datetime
) -> tuple[dict[str, list[PendingSlots]], list[JobSchedule]]:
    """Return the due schedules by job type, the job type with the oldest slot first.

    Then those that are due and have no slot that could start: they cannot be read, or all their slots have a record.
    """
    rows = session.scalars(
        sa.select(JobSchedule)
        .where(JobSchedule.tenant_id == tenant_id, JobSchedule.enabled, JobSchedule.next_fire_at <= now)
        .where(JobSchedule.job_type.in_(tuple(context.jobs)))
        .order_by(JobSchedule.next_fire_at, JobSchedule.id)
    )
    due: dict[str, list[PendingSlots]] = {}
    without = []
    for row in rows:
        try:
            found = pending_slots(row, now)
        except ValueError:
            found = None
        if found is None:
            without.append(row)
        else:
            due.setdefault(row.job_type, []).append(found)
    return due, without


def _advance(session: Session, row: JobSchedule, now: datetime) -> None:
    """Take a schedule on from a time of which nothing is to be made; one that cannot be read stops itself."""
    try:
        advance(row, now)
    except ValueError:
        stop_unreadable(session, row, now)


def _start_slots(
    context: EngineContext,
    session: Session,
    tenant_id: TenantId,
    job_type: str,
    due: list[PendingSlots],
    now: datetime,
    *,
    ends_chain: bool,
) -> JobExecution | None:
    """Start one execution for all due schedules of a job type; None when all of them are too late, or it is refused."""
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
    for first in range(0, len(ids), _KEYS):
        some = ids[first : first + _KEYS]
        times = {newest[each] for each in some}
        rows = sa.select(fire.schedule_id, fire.scheduled_for).where(fire.schedule_id.in_(some))
        found |= {
            row.schedule_id
            for row in session.execute(rows.where(fire.scheduled_for.in_(times)))
            if newest[row.schedule_id] == row.scheduled_for
        }
    return found


def _retries(session: Session, tenant_id: TenantId) -> list[RetryDue]:
    return list(session.scalars(sa.select(RetryDue).where(RetryDue.tenant_id == tenant_id).order_by(RetryDue.due_at)))


def _start_retry(context: EngineContext, session: Session, retry: RetryDue, now: datetime) -> JobExecution | None:
    """Start the retry over exactly the spaces not done before.

    None when its job refuses: like a slot it stays then, for a day, and keeps nobody waiting.
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
