"""Which crons does a tenant have, and when is each due next?"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import ScheduleSpec, TenantId, new_id
from addon.engine.core import Core
from addon.engine.cron import next_fire
from addon.engine.lane import end_chains
from addon.engine.models import JobSchedule


def replace_schedules(core: Core, session: Session, tenant_id: TenantId, specs: Sequence[ScheduleSpec]) -> None:
    """Make `specs` the tenant's schedules. What is unchanged keeps its next time, a pending slot included.

    Raises ValueError on a malformed cron, an unknown zone, or two specs of one job type with the same rule id.
    """
    wanted = {(spec.job_type, spec.rule_id): spec for spec in specs}
    if len(wanted) != len(specs):
        raise ValueError("two schedules of one job type have the same rule id")
    now = core.clock.now()
    for row in session.scalars(sa.select(JobSchedule).where(JobSchedule.tenant_id == tenant_id)).all():
        spec = wanted.pop((row.job_type, row.rule_id), None)
        if spec is None:
            session.delete(row)
            continue
        lateness = int(spec.max_lateness.total_seconds())
        new = (spec.cron, spec.time_zone, spec.enabled, lateness)
        if new != (row.cron, row.time_zone, row.enabled, row.max_lateness_s):
            when = next_fire(spec.cron, spec.time_zone, now)
            same_times = (spec.cron, spec.time_zone) == (row.cron, row.time_zone) and row.enabled and spec.enabled
            row.cron, row.time_zone, row.enabled, row.max_lateness_s = new
            if not same_times:
                row.next_fire_at = when if spec.enabled else None
            row.version += 1
        row.name = spec.name
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


def restart_schedules(core: Core, session: Session, tenant_id: TenantId) -> None:
    """Compute every next time anew from now, forgetting pending slots and retries (re-install, PROTOCOLS.md 3)."""
    end_chains(session, tenant_id)
    now = core.clock.now()
    for row in session.scalars(sa.select(JobSchedule).where(JobSchedule.tenant_id == tenant_id)):
        row.next_fire_at = next_fire(row.cron, row.time_zone, now) if row.enabled else None
    session.flush()
