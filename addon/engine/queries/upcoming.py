"""What comes next for one tenant: its lane, the next times of its schedules, and those that cannot be read."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.models import JobSchedule, Lane


def lane(session: Session, tenant_id: TenantId) -> Lane | None:
    """Return the tenant's lane: open, first run, hold with reason, who and until when."""
    return session.scalars(sa.select(Lane).where(Lane.tenant_id == tenant_id)).one_or_none()


def next_fires(session: Session, tenant_id: TenantId) -> dict[str, datetime | None]:
    """Return when each job type is due next; None when all its schedules are off. Removed ones do not count."""
    rows = session.execute(
        sa.select(JobSchedule.job_type, sa.func.min(JobSchedule.next_fire_at).label("due"))
        .where(JobSchedule.tenant_id == tenant_id, JobSchedule.removed_at.is_(None))
        .group_by(JobSchedule.job_type)
    )
    return {row.job_type: row.due for row in rows}


def unreadable(session: Session, tenant_id: TenantId) -> list[JobSchedule]:
    """Return the schedules that are on and have stopped because they cannot be read."""
    stopped = sa.select(JobSchedule).where(JobSchedule.tenant_id == tenant_id, JobSchedule.enabled)
    return list(session.scalars(stopped.where(JobSchedule.unreadable.is_not(None)).order_by(JobSchedule.name)))
