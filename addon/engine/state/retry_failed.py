"""A retry by hand: a manual start over exactly the spaces that failed in an execution.

It is manual in every respect but its spaces: it works while schedules are on hold, ends the job's waiting retry, is not
retried automatically, and keeps to the newest policies, because a permanent failure is mended there. `retry_of` links
it; its `attempt` is 1, as it belongs to no chain (docs/adr/0009-retry-by-hand.md).
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Space, TenantId
from addon.engine.context import EngineContext
from addon.engine.errors import NotRetryable
from addon.engine.models import ExecutionSpace, JobExecution
from addon.engine.state.admission import find
from addon.engine.state.start import StartRequest, start


def retry_failed(
    context: EngineContext,
    session: Session,
    tenant_id: TenantId,
    execution_id: str,
    *,
    space: Space | None,
    by: str | None,
) -> JobExecution:
    """Start the retry in the caller's transaction and return its row.

    `space` is that of a space-scope execution, `by` the account of the person. Raises what `start` raises, NotFound,
    NotRetryable, and ValueError when `space` is not the one of the failed execution.
    """
    failed = find(session, tenant_id, execution_id)
    if failed.status != "failed":
        raise NotRetryable("not-failed", failed.status)
    spaces = sa.select(ExecutionSpace.space_id).where(
        ExecutionSpace.execution_id == failed.id, ExecutionSpace.state == "failed"
    )
    left = list(session.scalars(spaces.order_by(ExecutionSpace.position)))
    if not left:
        raise NotRetryable("no-failed-space", failed.status)
    if failed.space_id != (space.id if space is not None else None):
        raise ValueError("a retry is over its predecessor's scope")
    request = StartRequest(
        tenant_id,
        failed.job_type,
        failed.scope,
        space=space,
        started_by=by,
        params={**failed.params, "spaces": left},
        dry_run=failed.dry_run,
        retry_of=failed.id,
    )
    execution = start(context, session, request)
    # Asked once the lane is ours: of two that retry the same execution one after the other, the second is refused.
    other = retried_by(session, failed.id, but=execution.id)
    if other is not None:
        raise NotRetryable("retried", failed.status, other)
    return execution


def retried_by(session: Session, execution_id: str, *, but: str | None = None) -> str | None:
    """Return the execution that took over the failed spaces of another, if any.

    One that was cancelled, or failed before it knew its spaces, has taken over nothing.
    """
    row = JobExecution
    took_over = sa.and_(row.listed, row.status != "cancelled")
    statement = sa.select(row.id).where(row.retry_of == execution_id, sa.or_(row.ended_at.is_(None), took_over))
    if but is not None:
        statement = statement.where(row.id != but)
    return session.scalar(statement.order_by(row.id.desc()).limit(1))
