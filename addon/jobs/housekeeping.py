"""Housekeeping of the jobs' tables, for other rooms: rows of old executions deleted, a person forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Database, TenantId
from addon.base.sweep import sweep
from addon.jobs.models import ArchiveTask, NotificationMatch

Executions = Sequence[str] | sa.Select[str]
"""Ids of executions, or a query for them."""


def forget_matches(db: Database, tenant_id: TenantId, executions: Executions) -> int:
    """Delete what `executions` collected for their mails; return how many rows went. Safe in several processes."""
    return sweep(db, tenant_id, NotificationMatch, NotificationMatch.execution_id.in_(executions))


def forget_batches(db: Database, tenant_id: TenantId, executions: Executions, *, open_too: bool = False) -> int:
    """Delete the batches that `executions` submitted; return how many rows went. Safe in several processes.

    A batch whose outcome is not recorded stays, unless `open_too`: its execution goes as well.
    """
    ended = () if open_too else (ArchiveTask.ended_at.is_not(None),)
    return sweep(db, tenant_id, ArchiveTask, *ended, ArchiveTask.execution_id.in_(executions))


def forget_person(session: Session, tenant_id: TenantId, account_id: str) -> None:
    """Delete what was collected for the mails of one person; safe to repeat."""
    matched = sa.delete(NotificationMatch).where(
        NotificationMatch.tenant_id == tenant_id, NotificationMatch.account_id == account_id
    )
    session.execute(matched.execution_options(synchronize_session=False))


def people_named(session: Session) -> list[tuple[TenantId, str]]:
    """Return (tenant, account id) of everyone something was collected for, over all tenants."""
    query = sa.select(NotificationMatch.tenant_id, NotificationMatch.account_id).distinct()
    return [(tenant_id, account_id) for tenant_id, account_id in session.execute(query)]
