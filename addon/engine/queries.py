"""What do screens and operators read of executions? Indexed queries with keyset cursors, within one tenant."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.errors import NotFound
from addon.engine.lane import active
from addon.engine.models import AuditEvent, ExecutionItem, ExecutionSpace, JobExecution, JobSchedule, Lane, RetryDue

MAX_PAGE = 500


def current(session: Session, tenant_id: TenantId) -> JobExecution | None:
    """Return the tenant's active execution, if any."""
    return active(session, tenant_id)


def get(session: Session, tenant_id: TenantId, execution_id: str) -> JobExecution:
    """Return one execution of the tenant. Raises NotFound."""
    execution = session.scalars(
        sa.select(JobExecution).where(JobExecution.id == execution_id, JobExecution.tenant_id == tenant_id)
    ).one_or_none()
    if execution is None:
        raise NotFound(execution_id)
    return execution


def history(
    session: Session,
    tenant_id: TenantId,
    *,
    job: str | None = None,
    status: str | None = None,
    space_key: str | None = None,
    scope: str | None = None,
    trigger: str | None = None,
    limit: int = 25,
    cursor: str | None = None,
) -> tuple[list[JobExecution], str | None]:
    """Return a page of the audit log, newest first, and the cursor of the next page.

    `space_key`: runs over that space alone, and (without `scope` "space") site runs that it took part in. Raises
    ValueError on a malformed cursor.
    """
    statement = sa.select(JobExecution).where(JobExecution.tenant_id == tenant_id)
    if job is not None:
        statement = statement.where(JobExecution.job_type == job)
    if status is not None:
        statement = statement.where(JobExecution.status == status)
    if scope is not None:
        statement = statement.where(JobExecution.scope == scope)
    if trigger is not None:
        statement = statement.where(JobExecution.trigger == trigger)
    if space_key is not None and scope == "space":
        statement = statement.where(JobExecution.space_key == space_key)
    elif space_key is not None:
        took_part = sa.exists().where(
            ExecutionSpace.execution_id == JobExecution.id, ExecutionSpace.space_key == space_key
        )
        statement = statement.where(sa.or_(JobExecution.space_key == space_key, took_part))
    if cursor is not None:
        (before,) = _decode(cursor, str)
        statement = statement.where(JobExecution.id < before)
    size = _size(limit)
    rows = list(session.scalars(statement.order_by(JobExecution.id.desc()).limit(size + 1)))
    return rows[:size], _encode(rows[size - 1].id) if len(rows) > size else None


def spaces(
    session: Session, execution_id: str, *, limit: int = 50, cursor: str | None = None, state: str | None = None
) -> tuple[list[ExecutionSpace], str | None]:
    """Return a page of an execution's spaces in their order. Raises ValueError on a malformed cursor."""
    statement = sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == execution_id)
    if state is not None:
        statement = statement.where(ExecutionSpace.state == state)
    if cursor is not None:
        (after,) = _decode(cursor, int)
        statement = statement.where(ExecutionSpace.position > after)
    size = _size(limit)
    rows = list(session.scalars(statement.order_by(ExecutionSpace.position).limit(size + 1)))
    return rows[:size], _encode(rows[size - 1].position) if len(rows) > size else None


def items(
    session: Session,
    execution_id: str,
    *,
    limit: int = 50,
    cursor: str | None = None,
    space_key: str | None = None,
    outcome: str | None = None,
) -> tuple[list[ExecutionItem], str | None]:
    """Return a page of an execution's item log, oldest first. Raises ValueError on a malformed cursor."""
    statement = sa.select(ExecutionItem).where(ExecutionItem.execution_id == execution_id)
    if space_key is not None:
        statement = statement.where(ExecutionItem.space_key == space_key)
    if outcome is not None:
        statement = statement.where(ExecutionItem.outcome == outcome)
    if cursor is not None:
        (after,) = _decode(cursor, int)
        statement = statement.where(ExecutionItem.seq > after)
    size = _size(limit)
    rows = list(session.scalars(statement.order_by(ExecutionItem.seq).limit(size + 1)))
    return rows[:size], _encode(rows[size - 1].seq) if len(rows) > size else None


def events(session: Session, execution_id: str) -> list[AuditEvent]:
    """Return the transitions of an execution in their order."""
    return list(
        session.scalars(sa.select(AuditEvent).where(AuditEvent.execution_id == execution_id).order_by(AuditEvent.seq))
    )


def lane(session: Session, tenant_id: TenantId) -> Lane | None:
    """Return the tenant's lane: open, first run, hold with reason, who and until when."""
    return session.scalars(sa.select(Lane).where(Lane.tenant_id == tenant_id)).one_or_none()


def next_fires(session: Session, tenant_id: TenantId) -> dict[str, datetime | None]:
    """Return when each job type is due next; None when all its schedules are off."""
    rows = session.execute(
        sa.select(JobSchedule.job_type, sa.func.min(JobSchedule.next_fire_at).label("due"))
        .where(JobSchedule.tenant_id == tenant_id)
        .group_by(JobSchedule.job_type)
    )
    return {row.job_type: row.due for row in rows}


def pending_retries(session: Session, tenant_id: TenantId) -> list[RetryDue]:
    """Return the waiting retries, the next one first."""
    return list(session.scalars(sa.select(RetryDue).where(RetryDue.tenant_id == tenant_id).order_by(RetryDue.due_at)))


def _size(limit: int) -> int:
    if limit < 1:
        raise ValueError("a page has at least one row")
    return min(limit, MAX_PAGE)


def _encode(*key: str | int) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(cursor: str, *kinds: type) -> Sequence[str | int]:
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise ValueError("malformed cursor") from error
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise ValueError("malformed cursor")
    return key
