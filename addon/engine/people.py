"""People in the engine's tables: who started, cancelled, changed or put on hold, by account id and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.models import AuditEvent, JobExecution, Lane

_NOT_PEOPLE = ("user", "schedule", "retry", "runner", "reaper", "uninstall", "system", "tenant_gone")
"""What cancel_requested_by has when no person in particular cancelled."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column with account ids: when the id came there, where that is known, and which rows name a person."""

    column: Any
    since: Any = None
    people: Any = None

    @property
    def table(self) -> Any:
        return self.column.class_


_COLUMNS = (
    _Column(JobExecution.started_by, JobExecution.started_at),
    _Column(
        JobExecution.cancel_requested_by,
        JobExecution.cancel_requested_at,
        JobExecution.cancel_requested_by.not_in(_NOT_PEOPLE),
    ),
    _Column(AuditEvent.actor_id, AuditEvent.at, AuditEvent.actor_type == "user"),
    _Column(Lane.hold_by),
)
ACCOUNT_COLUMNS = tuple(f"{each.table.__tablename__}.{each.column.key}" for each in _COLUMNS)
"""The columns with account ids, as table.column."""


def forget_person(session: Session, tenant_id: TenantId, account_id: str) -> None:
    """Forget who did what, in the tenant's executions, events and lane; what was done stays. Safe to repeat."""
    for each in _COLUMNS:
        change = sa.update(each.table).where(each.table.tenant_id == tenant_id, each.column == account_id)
        session.execute(change.values({each.column.key: None}).execution_options(synchronize_session=False))


def people_named(session: Session) -> Iterator[tuple[TenantId, str, datetime | None]]:
    """Yield tenant, account id and when it was last stored (None where that is unknown), over all tenants."""
    for each in _COLUMNS:
        at: Any = sa.null() if each.since is None else sa.func.max(each.since, type_=each.since.type)
        query = sa.select(each.table.tenant_id, each.column.label("account"), at.label("at"))
        query = query.where(each.column.is_not(None)).group_by(each.table.tenant_id, each.column)
        if each.people is not None:
            query = query.where(each.people)
        for row in session.execute(query):
            yield row.tenant_id, row.account, row.at
