"""The end of old rows: what the engine deletes of one tenant, in small transactions.

An execution goes after all that hangs on it. The newest ones stay however old they are, and so does one whose retry
waits. How long rows are kept is the caller's decision; several processes may delete at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from addon.base import Database, TenantId, chunks
from addon.base import sweep as rows
from addon.engine.models import (
    AuditEvent,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    RetryDue,
    ScheduleFire,
)
from addon.engine.schedule.schedules import forget_removed


def old_executions(db: Database, tenant_id: TenantId, before: datetime, keep: int) -> list[str]:
    """Return the ids of at most a batch of executions that ended before a time, without the `keep` newest ones."""
    floor = _newest(db, tenant_id, JobExecution.id, keep)
    if floor is None:
        return []
    awaited = sa.exists().where(RetryDue.failed_execution_id == JobExecution.id)
    old = (
        sa.select(JobExecution.id)
        .where(JobExecution.tenant_id == tenant_id, JobExecution.ended_at < before)
        .where(JobExecution.id < floor, ~awaited)
        .order_by(JobExecution.ended_at)
        .limit(rows.BATCH)
    )
    with db.read(tenant_id) as session:
        return list(session.scalars(old))


def forget_executions(db: Database, tenant_id: TenantId, ids: Sequence[str]) -> tuple[int, bool]:
    """Delete executions with their items, spaces and events; return how many rows went, and whether all did.

    False when another process deletes the same ones. What other rooms have on these executions must be gone before.
    """
    gone = sum(
        rows.sweep(db, tenant_id, model, model.execution_id.in_(ids))
        for model in (ExecutionItem, ExecutionSpace, AuditEvent)
    )
    deleted = rows.delete_rows(db, tenant_id, JobExecution, [(each,) for each in ids])
    return gone + deleted, deleted == len(ids)


def forget_details(db: Database, tenant_id: TenantId, ids: Sequence[str]) -> int:
    """Delete the items and spaces of executions, which themselves stay; return how many rows went."""
    return sum(
        rows.sweep(db, tenant_id, model, model.execution_id.in_(some))
        for some in chunks(ids, rows.BATCH)
        for model in (ExecutionItem, ExecutionSpace)
    )


def forget_lane_events(db: Database, tenant_id: TenantId, before: datetime, keep: int) -> int:
    """Delete the events of the tenant's lane before a time, without the `keep` newest; return how many went."""
    of_lane = AuditEvent.execution_id.is_(None)
    floor = _newest(db, tenant_id, AuditEvent.id, keep, of_lane)
    if floor is None:
        return 0
    return rows.sweep(db, tenant_id, AuditEvent, of_lane, AuditEvent.at < before, AuditEvent.id < floor)


def forget_slots(db: Database, tenant_id: TenantId, before: datetime) -> int:
    """Delete what is recorded of slots before a time, and removed schedules without a record; return how many went."""
    gone = rows.sweep(db, tenant_id, ScheduleFire, ScheduleFire.at < before)
    while True:
        with db.write(tenant_id) as session:
            forgotten = forget_removed(session, tenant_id, rows.BATCH)
        gone += forgotten
        if forgotten < rows.BATCH:
            return gone


def ended_between(tenant_id: TenantId, since: datetime, before: datetime) -> sa.Select[str]:
    """Return a subquery of the ids of the tenant's executions that ended in a span."""
    return sa.select(JobExecution.id).where(*_ended(tenant_id, since, before))


def successes(
    db: Database, tenant_id: TenantId, since: datetime, before: datetime
) -> list[tuple[str, dict[str, Any] | None]]:
    """Return id and metrics of the tenant's executions that ended successful in a span."""
    statement = sa.select(JobExecution.id, JobExecution.metrics).where(
        *_ended(tenant_id, since, before), JobExecution.status == "successful"
    )
    with db.read(tenant_id) as session:
        found = session.execute(statement.execution_options(yield_per=rows.BATCH))
        return [(row.id, row.metrics) for row in found]


def _ended(tenant_id: TenantId, since: datetime, before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    ended = JobExecution.ended_at
    return JobExecution.tenant_id == tenant_id, ended < before, ended >= since


def _newest(db: Database, tenant_id: TenantId, key: Any, number: int, *also: sa.ColumnElement[bool]) -> str | None:
    """Return the id of the oldest of the tenant's `number` newest rows, None when there are fewer."""
    mine = key.class_.tenant_id == tenant_id
    statement = sa.select(key).where(mine, *also).order_by(key.desc()).offset(number - 1).limit(1)
    with db.read(tenant_id) as session:
        found: str | None = session.scalar(statement)
        return found
