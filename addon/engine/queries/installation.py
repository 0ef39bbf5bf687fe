"""The engine's numbers over all tenants, for operators and for what looks after the whole installation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.models import JobExecution, JobSchedule, RetryDue, Worker, is_active


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the engine has at one moment, over all tenants.

    `executions` counts those that are kept by (job type, status); `paused` those that wait for a time;
    `retries_waiting` the retries; `schedules_due` the schedules with a slot that waits for a free lane.
    """

    executions: dict[tuple[str, str], int]
    paused: int
    retries_waiting: int
    schedules_due: int


def numbers(session: Session, now: datetime) -> Numbers:
    """Return the engine's numbers as they are at `now`; the session is bound to no tenant."""
    by_status = sa.select(JobExecution.job_type, JobExecution.status, sa.func.count().label("number")).group_by(
        JobExecution.job_type, JobExecution.status
    )
    return Numbers(
        executions={(row.job_type, row.status): row.number for row in session.execute(by_status)},
        paused=_count(session, JobExecution, is_active(), JobExecution.not_before > now),
        retries_waiting=_count(session, RetryDue),
        schedules_due=_count(session, JobSchedule, JobSchedule.enabled, JobSchedule.next_fire_at <= now),
    )


def last_heartbeat(session: Session, until: datetime | None = None) -> datetime | None:
    """Return when any process last beat, None when none ever did.

    `until`: a beat dated later was written by a clock that was wrong, and does not count.
    """
    beats = sa.select(sa.func.max(Worker.heartbeat_at))
    return session.scalar(beats if until is None else beats.where(Worker.heartbeat_at <= until))


def tenants_at_work(session: Session) -> list[TenantId]:
    """Return the tenants that have an active execution; the session is bound to none."""
    return list(session.scalars(sa.select(JobExecution.tenant_id).where(is_active())))


def at_work(tenant_id: Any, policy_version: Any = None) -> sa.ColumnElement[bool]:
    """Say of a tenant (an id, or a column of the caller's statement) that an execution of it is active.

    `policy_version`, a number or a column: only one that keeps to that version of the policies counts.
    """
    active = sa.exists().where(JobExecution.tenant_id == tenant_id, is_active())
    return active if policy_version is None else active.where(JobExecution.policy_version == policy_version)


def _count(session: Session, table: type, *conditions: sa.ColumnExpressionArgument[bool]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0
