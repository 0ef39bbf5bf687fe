"""The audit log of one tenant: its executions with their spaces, items and events, in pages of indexed queries."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.models import AuditEvent, ExecutionItem, ExecutionSpace, JobExecution
from addon.engine.queries.pages import decode_cursor, encode_cursor, page_size


def revision(session: Session, tenant_id: TenantId) -> str:
    """Return a text that differs as soon as anything has changed among the tenant's executions.

    An execution is never older than one that changes after it: one is active at a time, and what has ended stays as it
    is. So the newest one speaks for all.
    """
    row = JobExecution
    newest = sa.select(row.id, row.seq).where(row.tenant_id == tenant_id).order_by(row.id.desc()).limit(1)
    found = session.execute(newest).one_or_none()
    return "" if found is None else f"{found.id}:{found.seq}"


def skipped(session: Session, execution_id: str) -> int:
    """Return how many spaces of an execution are skipped so far."""
    row = ExecutionSpace
    counted = sa.select(sa.func.count()).select_from(row)
    return session.scalars(counted.where(row.execution_id == execution_id, row.state == "skipped")).one()


def history(
    session: Session,
    tenant_id: TenantId,
    *,
    job: str | None = None,
    status: str | None = None,
    space_id: str | None = None,
    space_key: str | None = None,
    scope: str | None = None,
    trigger: str | None = None,
    limit: int = 25,
    cursor: str | None = None,
) -> tuple[list[JobExecution], str | None]:
    """Return a page of the audit log, newest first, and the cursor of the next page.

    `space_id` or, for a space that is gone, `space_key`: runs over that space alone, and site runs that it took part
    in. Raises ValueError on a malformed cursor.
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
    of_space = sa.and_(ExecutionSpace.execution_id == JobExecution.id, JobExecution.scope == "site")
    if space_id is not None:
        took_part = sa.exists().where(of_space, ExecutionSpace.space_id == space_id)
        statement = statement.where(sa.or_(JobExecution.space_id == space_id, took_part))
    if space_key is not None:
        took_part = sa.exists().where(of_space, ExecutionSpace.space_key == space_key)
        statement = statement.where(sa.or_(JobExecution.space_key == space_key, took_part))
    if cursor is not None:
        (before,) = decode_cursor(cursor, str)
        statement = statement.where(JobExecution.id < before)
    size = page_size(limit)
    rows = list(session.scalars(statement.order_by(JobExecution.id.desc()).limit(size + 1)))
    return rows[:size], encode_cursor(rows[size - 1].id) if len(rows) > size else None


def results_in_space(session: Session, execution_ids: Sequence[str], space_id: str) -> dict[str, ExecutionSpace]:
    """Return the row of one space in each of the executions that it took part in, by execution id."""
    row = ExecutionSpace
    wanted = sa.select(row).where(row.execution_id.in_(execution_ids), row.space_id == space_id)
    return {part.execution_id: part for part in session.scalars(wanted)} if execution_ids else {}


def spaces(
    session: Session,
    execution_id: str,
    *,
    limit: int = 50,
    cursor: str | None = None,
    state: str | None = None,
    space_id: str | None = None,
) -> tuple[list[ExecutionSpace], str | None]:
    """Return a page of an execution's spaces in their order. Raises ValueError on a malformed cursor."""
    statement = sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == execution_id)
    if space_id is not None:
        statement = statement.where(ExecutionSpace.space_id == space_id)
    if state is not None:
        statement = statement.where(ExecutionSpace.state == state)
    if cursor is not None:
        (after,) = decode_cursor(cursor, int)
        statement = statement.where(ExecutionSpace.position > after)
    size = page_size(limit)
    rows = list(session.scalars(statement.order_by(ExecutionSpace.position).limit(size + 1)))
    return rows[:size], encode_cursor(rows[size - 1].position) if len(rows) > size else None


def items(
    session: Session,
    execution_id: str,
    *,
    limit: int = 50,
    cursor: str | None = None,
    space_id: str | None = None,
    outcome: str | None = None,
) -> tuple[list[ExecutionItem], str | None]:
    """Return a page of an execution's item log, oldest first. Raises ValueError on a malformed cursor."""
    statement = sa.select(ExecutionItem).where(ExecutionItem.execution_id == execution_id)
    if space_id is not None:
        statement = statement.where(ExecutionItem.space_id == space_id)
    if outcome is not None:
        statement = statement.where(ExecutionItem.outcome == outcome)
    if cursor is not None:
        (after,) = decode_cursor(cursor, int)
        statement = statement.where(ExecutionItem.seq > after)
    size = page_size(limit)
    rows = list(session.scalars(statement.order_by(ExecutionItem.seq).limit(size + 1)))
    return rows[:size], encode_cursor(rows[size - 1].seq) if len(rows) > size else None


def events(session: Session, execution_id: str) -> list[AuditEvent]:
    """Return the transitions of an execution in their order."""
    return list(
        session.scalars(sa.select(AuditEvent).where(AuditEvent.execution_id == execution_id).order_by(AuditEvent.seq))
    )
