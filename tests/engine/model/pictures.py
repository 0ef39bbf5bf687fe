"""A picture of everything the engine keeps at one moment, read past its own queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from addon.base import Database
from addon.engine import ACTIVE, ExecutionItem, ExecutionSpace, JobExecution, Lane, RetryDue
from addon.engine.models import AuditEvent, JobSchedule, ScheduleFire


def _all(table: Any, *order: Any) -> Any:
    return sa.select(table.__table__).order_by(*order)


_EXECUTIONS = _all(JobExecution, JobExecution.id)
_ONE = sa.select(JobExecution.__table__).where(JobExecution.id == sa.bindparam("execution"))
_SPACES = _all(ExecutionSpace, ExecutionSpace.execution_id, ExecutionSpace.position)
_SPACES_OF = sa.select(ExecutionSpace.__table__).where(ExecutionSpace.execution_id == sa.bindparam("execution"))
_EVENTS = (
    sa.select(AuditEvent.execution_id, AuditEvent.seq, AuditEvent.tag, AuditEvent.at, AuditEvent.detail)
    .where(AuditEvent.execution_id.is_not(None))
    .order_by(AuditEvent.execution_id, AuditEvent.seq)
)
_ITEMS = sa.select(
    ExecutionItem.execution_id, ExecutionItem.space_id, ExecutionItem.content_id, ExecutionItem.outcome
).order_by(ExecutionItem.execution_id, ExecutionItem.seq)
_LANES = _all(Lane, Lane.tenant_id)
_RETRIES = _all(RetryDue, RetryDue.due_at)
_SCHEDULES = _all(JobSchedule, JobSchedule.id)
_FIRES = _all(ScheduleFire, ScheduleFire.schedule_id, ScheduleFire.scheduled_for)


@dataclass(frozen=True)
class Picture:
    """All rows, by what they are looked for with."""

    executions: dict[str, Any]
    spaces: dict[str, list[Any]]
    """By execution, in their order."""
    events: dict[str, list[Any]]
    """By execution, in the order of seq."""
    items: dict[str, list[Any]]
    """By execution: the outcomes of contents, in their order."""
    lanes: dict[str, Any]
    retries: list[Any]
    schedules: dict[str, Any]
    fires: dict[str, list[Any]]
    """By schedule, the oldest slot first."""

    def active(self, tenant_id: str) -> Any:
        """Return the execution that holds a tenant's lane, or None."""
        return next((row for row in self.all_active() if row.tenant_id == tenant_id), None)

    def all_active(self) -> list[Any]:
        return [row for row in self.executions.values() if row.status in ACTIVE]

    def open_spaces(self, execution_id: str) -> list[Any]:
        return [space for space in self.spaces.get(execution_id, []) if space.state in ("pending", "running")]

    def unread(self, execution_id: str) -> list[str]:
        """Return the spaces of an execution of which something is submitted and not read back."""
        return unread(self.spaces.get(execution_id, []))

    def retries_of(self, tenant_id: str) -> list[Any]:
        return [retry for retry in self.retries if retry.tenant_id == tenant_id]

    def schedules_of(self, tenant_id: str) -> list[Any]:
        return [schedule for schedule in self.schedules.values() if schedule.tenant_id == tenant_id]


def look(db: Database) -> Picture:
    """Return what is stored now."""
    with db.engine.connect() as connection:

        def rows(statement: Any) -> list[Any]:
            return list(connection.execute(statement))

        return Picture(
            executions={row.id: row for row in rows(_EXECUTIONS)},
            spaces=_by("execution_id", rows(_SPACES)),
            events=_by("execution_id", rows(_EVENTS)),
            items=_by("execution_id", rows(_ITEMS)),
            lanes={row.tenant_id: row for row in rows(_LANES)},
            retries=rows(_RETRIES),
            schedules={row.id: row for row in rows(_SCHEDULES)},
            fires=_by("schedule_id", rows(_FIRES)),
        )


def one_row(db: Database, execution: str) -> Any:
    """Return one execution."""
    with db.engine.connect() as connection:
        return connection.execute(_ONE, {"execution": execution}).one()


def unread_spaces(db: Database, execution: str) -> list[str]:
    """Return what `unread` does of one execution as it is now."""
    with db.engine.connect() as connection:
        return unread(list(connection.execute(_SPACES_OF, {"execution": execution})))


def unread(spaces: list[Any]) -> list[str]:
    """Return those of the spaces of which something is submitted and not read back."""
    return [space.space_id for space in spaces if (space.checkpoint or {}).get("submitted")]


def _by(name: str, rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(getattr(row, name), []).append(row)
    return found
