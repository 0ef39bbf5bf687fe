"""The crons of a tenant, each with the time at which it is due next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import ScheduleSpec, TenantId, get_logger, new_id
from addon.engine.context import EngineContext
from addon.engine.models import JobSchedule, ScheduleFire
from addon.engine.schedule.cron import next_fire
from addon.engine.schedule.slots import Withdrawals, withdraw_unread
from addon.engine.state.admission import end_chains, lock_lane

log = get_logger(__name__)


def replace_schedules(
    context: EngineContext, session: Session, tenant_id: TenantId, specs: Sequence[ScheduleSpec]
) -> None:
    """Make `specs` the tenant's schedules. What is unchanged keeps its next time, a pending slot included.

    What was pending of a schedule that is changed, switched off or removed is recorded as withdrawn. A removed one
    stays for the record of its slots, and comes back when it is specified again. Raises ValueError on a malformed cron,
    an unknown zone, or two specs of one job type with the same rule id.
    """
    wanted = {(spec.job_type, spec.rule_id): spec for spec in specs}
    if len(wanted) != len(specs):
        raise ValueError("two schedules of one job type have the same rule id")
    rows, now = _locked(context, session, tenant_id)
    pending = Withdrawals(context, session, rows, now)
    for row in rows:
        spec = wanted.pop((row.job_type, row.rule_id), None)
        if spec is not None:
            _follow(row, spec, now, pending)
        elif row.removed_at is None:
            pending.withdraw(row, "removed")
            row.enabled, row.next_fire_at, row.removed_at, row.unreadable = False, None, now, None
            row.version += 1
    for spec in wanted.values():
        when = next_fire(spec.cron, spec.time_zone, now)
        session.add(
            JobSchedule(
                id=new_id(),
                tenant_id=tenant_id,
                job_type=spec.job_type,
                rule_id=spec.rule_id,
                name=spec.name,
                cron=spec.cron,
                time_zone=spec.time_zone,
                enabled=spec.enabled,
                next_fire_at=when if spec.enabled else None,
                max_lateness_s=int(spec.max_lateness.total_seconds()),
            )
        )
    session.flush()


def restart_schedules(context: EngineContext, session: Session, tenant_id: TenantId) -> None:
    """Compute every next time from now again, ending waiting retries (re-install, docs/rules/sites.md 3.3).

    Pending slots are recorded as withdrawn. A schedule that cannot be read stops; the others do not.
    """
    rows, now = _locked(context, session, tenant_id)
    end_chains(session, tenant_id)
    pending = Withdrawals(context, session, rows, now)
    for row in rows:
        pending.withdraw(row, "installed")
        if row.enabled:
            reschedule(row, now)
    session.flush()


def reschedule(row: JobSchedule, now: datetime) -> None:
    """Let an enabled schedule be due at its next time after `now`; one that cannot be read stops and says why."""
    try:
        row.next_fire_at, row.unreadable = next_fire(row.cron, row.time_zone, now), None
    except ValueError as error:
        row.next_fire_at, row.unreadable = None, str(error)
        log.error(
            "a schedule that cannot be read stops",
            action="schedule_unreadable",
            tenant=row.tenant_id,
            schedule=row.id,
            title=row.name,
            error=str(error),
        )
    row.recorded_until = None


def stop_unreadable(session: Session, row: JobSchedule, now: datetime) -> None:
    """Stop a due schedule that cannot be read, and record its pending slot as withdrawn for that reason."""
    withdraw_unread(session, row, now, "unreadable")
    reschedule(row, now)


def resume_unreadable(context: EngineContext) -> int:
    """Resume schedules that could not be read where they can be now; return how many.

    What can be read depends on the time zones that this process knows: it asks when it begins.
    """
    with context.db.read_all() as session:
        stopped = sa.select(JobSchedule.tenant_id).where(JobSchedule.unreadable.is_not(None), JobSchedule.enabled)
        tenants = session.scalars(stopped.distinct()).all()
    healed = 0
    for tenant_id in tenants:
        with context.db.write(tenant_id) as session:
            rows, now = _locked(context, session, tenant_id)
            for row in rows:
                if row.enabled and row.unreadable is not None:
                    reschedule(row, now)
                    healed += row.unreadable is None
    return healed


def forget_removed(session: Session, tenant_id: TenantId, limit: int) -> int:
    """Delete at most `limit` removed schedules of whose slots no record is left; return how many."""
    lock_lane(session, tenant_id)
    recorded = sa.exists().where(ScheduleFire.schedule_id == JobSchedule.id)
    forgotten = (
        sa.select(JobSchedule.id)
        .where(JobSchedule.tenant_id == tenant_id, JobSchedule.removed_at.is_not(None), ~recorded)
        .limit(limit)
    )
    ids = session.scalars(forgotten).all()
    if ids:
        session.execute(sa.delete(JobSchedule).where(JobSchedule.id.in_(ids)))
    return len(ids)


def _locked(context: EngineContext, session: Session, tenant_id: TenantId) -> tuple[Sequence[JobSchedule], datetime]:
    """Return the tenant's schedules, removed ones included, and the time.

    With the lane locked no tick starts a slot between the look at what is pending and the change of it: either its
    start is seen here, or it sees the change.
    """
    lock_lane(session, tenant_id)
    every = sa.select(JobSchedule).where(JobSchedule.tenant_id == tenant_id)
    rows = session.scalars(every.execution_options(populate_existing=True)).all()
    return rows, context.time.read(session)


def _follow(row: JobSchedule, spec: ScheduleSpec, now: datetime, pending: Withdrawals) -> None:
    """Make a schedule what `spec` says; one that was removed comes back with a fresh next time."""
    new = (spec.cron, spec.time_zone, spec.enabled, int(spec.max_lateness.total_seconds()))
    if row.removed_at is not None or new != (row.cron, row.time_zone, row.enabled, row.max_lateness_s):
        when = next_fire(spec.cron, spec.time_zone, now)
        same_times = (spec.cron, spec.time_zone) == (row.cron, row.time_zone) and row.enabled and spec.enabled
        if not same_times:
            pending.withdraw(row, "changed" if spec.enabled else "switched_off")
            row.next_fire_at, row.unreadable, row.recorded_until = when if spec.enabled else None, None, None
        row.cron, row.time_zone, row.enabled, row.max_lateness_s = new
        row.removed_at = None
        row.version += 1
    elif row.enabled and row.unreadable is not None:
        reschedule(row, now)
    row.name = spec.name
