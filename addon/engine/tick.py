"""What is due now? Leaderless: every process asks, and whoever inserts the slot's row has fired it (PROTOCOLS.md 2)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine import failpoints
from addon.engine.core import Core
from addon.engine.cron import next_fire
from addon.engine.errors import DATABASE_AWAY, Busy, Held
from addon.engine.job import Refused
from addon.engine.lane import end_chains, held
from addon.engine.models import ExecutionSpace, JobExecution, JobSchedule, Lane, RetryDue, ScheduleFire, is_active
from addon.engine.obstacles import NONE, in_the_way
from addon.engine.slots import LONGEST_LATENESS, Due, look, record
from addon.engine.start import Start, start

log = logging.getLogger(__name__)

ROUND_SECONDS = 5.0
"""A tick begins with no further tenant after so long: stopping the process waits for it. The next one goes on."""


def schedule_tick(core: Core) -> int:
    """Start what is due, at most one execution per tenant; return how many were started.

    Slots that have to stay pending (a job that refuses, a retry that others wait for) keep no other tenant waiting.
    """
    started = 0
    deadline = core.clock.monotonic() + ROUND_SECONDS
    with core.db.read_all() as session:
        now = core.time.read(session)
        tenants = _tenants_with_due(core, session, now)
    if core.passed_over.issuperset(tenants):
        core.passed_over.clear()
    for tenant_id in sorted(tenants, key=core.passed_over.__contains__):
        if core.clock.monotonic() > deadline:
            break
        core.passed_over.add(tenant_id)
        try:
            with core.db.write(tenant_id) as session:
                if next_start(core, session, tenant_id, now) is None:
                    continue
            core.passed_over.discard(tenant_id)
            started += 1
        except (Busy, Held):
            log.debug("tenant %s was taken or held while its slot was started", tenant_id)
        except DATABASE_AWAY:
            raise
        except Exception:
            # One tenant's broken schedule must not keep the others waiting.
            log.exception("the slot of tenant %s could not be started", tenant_id)
    return started


def next_start(core: Core, session: Session, tenant_id: TenantId, now: datetime) -> JobExecution | None:
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
    if found is None or held(found.Lane, now):
        return None
    due = _due_by_job(core, session, tenant_id, now)
    retries = _retries(session, tenant_id) if found.waits else []
    own = {job_type for job_type, slots in due.items() if any(not slot.too_late for slot in slots)}
    # A slot of the job itself takes the retry's place, if it starts: what is only skipped as late does not.
    foreign = [retry for retry in retries if retry.job_type not in own]
    for retry in foreign:
        if precedes(core, retry):
            if retry.due_at > now:
                return None
            execution = _start_retry(core, session, retry, now)
            if execution is not None:
                return execution
    for job_type, slots in due.items():
        ends_chain = any(retry.job_type == job_type for retry in retries)
        execution = _start_slots(core, session, tenant_id, job_type, slots, now, ends_chain=ends_chain)
        if execution is not None:
            _end_late_chains(core, session, retries)
            return execution
    for retry in foreign:
        if not precedes(core, retry) and retry.due_at <= now:
            execution = _start_retry(core, session, retry, now)
            if execution is not None:
                return execution
    return None


def _end_late_chains(core: Core, session: Session, retries: list[RetryDue]) -> None:
    """A chain whose attempts with precedence are used up ends when another type has started before it."""
    for retry in retries:
        if not precedes(core, retry):
            end_chains(session, retry.tenant_id, retry.job_type)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that starts when the lane is free: `due` since then, or a `retry` that others wait for until then."""

    job_type: str
    due: datetime
    retry: RetryDue | None = None


def waiting(core: Core, session: Session, tenant_id: TenantId) -> list[Waiting]:
    """Return what `next_start` would start one after the other from now on, without starting it."""
    now = core.clock.now()
    lane = session.get(Lane, tenant_id)
    if lane is None or not lane.open or lane.first_run or held(lane, now):
        return []
    slots = []
    for job_type, due in _due_by_job(core, session, tenant_id, now).items():
        in_time = [slot.older[0] if slot.older else slot.newest for slot in due if not slot.too_late]
        if in_time:
            slots.append(Waiting(job_type, max(min(in_time), now - LONGEST_LATENESS)))
    own = {slot.job_type for slot in slots}
    first, last = [], []
    for retry in _retries(session, tenant_id):
        if retry.job_type in own:
            continue
        if precedes(core, retry) and (slots or retry.due_at <= now):
            first.append(Waiting(retry.job_type, retry.due_at, retry))
        elif retry.due_at <= now and not slots:
            last.append(Waiting(retry.job_type, retry.due_at, retry))
    return first + slots + last


def precedes(core: Core, retry: RetryDue) -> bool:
    """Return whether a waiting retry keeps other job types' slots waiting: while at most three attempts have failed."""
    return retry.attempt - 1 <= core.settings.precedence_attempts


def _tenants_with_due(core: Core, session: Session, now: datetime) -> list[TenantId]:
    schedules = sa.select(JobSchedule.tenant_id, JobSchedule.next_fire_at.label("due")).where(
        JobSchedule.enabled, JobSchedule.next_fire_at <= now, JobSchedule.job_type.in_(tuple(core.jobs))
    )
    retries = sa.select(RetryDue.tenant_id, RetryDue.due_at.label("due")).where(RetryDue.due_at <= now)
    due = sa.union_all(schedules, retries).subquery()
    busy = sa.exists().where(JobExecution.tenant_id == Lane.tenant_id, is_active())
    not_held = sa.or_(~Lane.hold, Lane.hold_until <= now)
    statement = (
        sa.select(Lane.tenant_id)
        .join(due, due.c.tenant_id == Lane.tenant_id)
        .where(Lane.open, ~Lane.first_run, not_held, ~busy)
        .group_by(Lane.tenant_id)
        .order_by(sa.func.min(due.c.due))
    )
    return list(session.scalars(statement))


def _due_by_job(core: Core, session: Session, tenant_id: TenantId, now: datetime) -> dict[str, list[Due]]:
    """Return the due schedules by job type, the job type with the oldest slot first."""
    rows = session.scalars(
        sa.select(JobSchedule)
        .where(JobSchedule.tenant_id == tenant_id, JobSchedule.enabled, JobSchedule.next_fire_at <= now)
        .where(JobSchedule.job_type.in_(tuple(core.jobs)))
        .order_by(JobSchedule.next_fire_at, JobSchedule.id)
    )
    due: dict[str, list[Due]] = {}
    for row in rows:
        due.setdefault(row.job_type, []).append(look(row, now))
    return due


def _start_slots(
    core: Core,
    session: Session,
    tenant_id: TenantId,
    job_type: str,
    due: list[Due],
    now: datetime,
    *,
    ends_chain: bool,
) -> JobExecution | None:
    """Start one execution for all due schedules of a job type; None when all of them are too late, or it is refused."""
    in_time = [slot for slot in due if not slot.too_late and not _fired(session, slot)]
    execution: JobExecution | None = None
    if in_time:
        rules = [slot.schedule.rule_id for slot in in_time if slot.schedule.rule_id]
        params = {"rules": rules} if rules else {}
        try:
            wanted = Start(
                tenant_id, job_type, "site", "scheduled", params=params, lane_held=True, ends_chain=ends_chain
            )
            execution = start(core, session, wanted)
        except Refused as refusal:
            log.info("slot of %s for tenant %s stays pending: %s", job_type, tenant_id, refusal.reason)
            return None
    since = min((slot.oldest for slot in due if slot.older or slot.too_late), default=None)
    obstacles = NONE if since is None else in_the_way(core, session, tenant_id, since)
    for slot in due:
        record(session, slot, execution if slot in in_time else None, now, obstacles)
        slot.schedule.next_fire_at = next_fire(slot.schedule.cron, slot.schedule.time_zone, now)
    session.flush()
    failpoints.boundary(session, "slot")
    return execution


def _fired(session: Session, slot: Due) -> bool:
    return session.get(ScheduleFire, (slot.schedule.id, slot.newest)) is not None


def _retries(session: Session, tenant_id: TenantId) -> list[RetryDue]:
    return list(session.scalars(sa.select(RetryDue).where(RetryDue.tenant_id == tenant_id).order_by(RetryDue.due_at)))


def _start_retry(core: Core, session: Session, retry: RetryDue, now: datetime) -> JobExecution | None:
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
    wanted = Start(
        retry.tenant_id,
        retry.job_type,
        failed.scope,
        "retry",
        params=params,
        policy_version=failed.policy_version,
        retry_of=failed.id,
        attempt=retry.attempt,
        lane_held=True,
    )
    execution: JobExecution | None = None
    try:
        execution = start(core, session, wanted)
    except Refused as refusal:
        log.info("the retry of %s waits: %s", failed.id, refusal.reason)
        if now - retry.due_at <= LONGEST_LATENESS:
            return None
    session.delete(retry)
    session.flush()
    failpoints.boundary(session, "retry_start")
    return execution
