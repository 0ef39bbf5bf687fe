"""What do screens and operators read of executions? Indexed queries with keyset cursors, within one tenant."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.errors import NotFound
from addon.engine.models import (
    AuditEvent,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    JobSchedule,
    Lane,
    RetryDue,
    ScheduleFire,
    is_missed,
)
from addon.engine.state.admission import active

MAX_PAGE = 500
NAMED_SLOTS = 20


@dataclass(frozen=True, slots=True)
class Slot:
    """What became of one time of a schedule: `outcome` is started, coalesced, skipped_late or withdrawn, decided `at`.

    `rule_id` is empty for a job type's only schedule; `name` is the last one of a schedule that was removed.
    `execution_id` is None for what was skipped or withdrawn, and once the execution has been deleted. `reason` is one
    of the models' IN_THE_WAY or WITHDRAWN, None for what was started; `blocked_by` is the execution in the way, and
    `blocked_job` its job type where that was asked for, both None once it has been deleted. `earlier` other slots
    before it, from `earlier_since` on, became the same and have no record of their own.
    """

    job_type: str
    rule_id: str
    name: str
    scheduled_for: datetime
    outcome: str
    execution_id: str | None
    at: datetime
    reason: str | None
    blocked_by: str | None
    earlier: int
    earlier_since: datetime | None
    blocked_job: str | None = None


def revision(session: Session, tenant_id: TenantId) -> str:
    """Return a text that is another one as soon as anything has changed among the tenant's executions.

    An execution is never older than one that changes after it: one is active at a time, and what has ended stays as it
    is. So the newest one tells of all.
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
        (before,) = _decode(cursor, str)
        statement = statement.where(JobExecution.id < before)
    size = _size(limit)
    rows = list(session.scalars(statement.order_by(JobExecution.id.desc()).limit(size + 1)))
    return rows[:size], _encode(rows[size - 1].id) if len(rows) > size else None


def parts(session: Session, execution_ids: Sequence[str], space_id: str) -> dict[str, ExecutionSpace]:
    """Return what one space was in each of the executions that it took part in, by execution."""
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
    """Return when each job type is due next; None when all its schedules are off. Removed ones do not count."""
    rows = session.execute(
        sa.select(JobSchedule.job_type, sa.func.min(JobSchedule.next_fire_at).label("due"))
        .where(JobSchedule.tenant_id == tenant_id, JobSchedule.removed_at.is_(None))
        .group_by(JobSchedule.job_type)
    )
    return {row.job_type: row.due for row in rows}


def slots(session: Session, execution_id: str) -> tuple[list[Slot], int]:
    """Return what an execution was started for, then what else it covers, each newest first, and how many are left out.

    Of more than `NAMED_SLOTS` only so many are returned. Those that share the record of a returned one count with that.
    """
    newest = _slots().where(ScheduleFire.execution_id == execution_id)
    started_first = sa.case((ScheduleFire.outcome == "started", 0), else_=1)
    newest = newest.order_by(started_first, ScheduleFire.scheduled_for.desc(), ScheduleFire.schedule_id)
    found = [_slot(row) for row in session.execute(newest.limit(NAMED_SLOTS + 1))]
    if len(found) <= NAMED_SLOTS:
        return found, 0
    total = sa.func.count() + sa.func.sum(ScheduleFire.earlier)
    counted = sa.select(total).select_from(ScheduleFire).where(ScheduleFire.execution_id == execution_id)
    named = found[:NAMED_SLOTS]
    return named, session.scalars(counted).one() - sum(1 + slot.earlier for slot in named)


def missed(
    session: Session, tenant_id: TenantId, *, limit: int = 25, cursor: str | None = None
) -> tuple[list[Slot], str | None]:
    """Return a page of the slots at which nothing started, the latest slot first, and the cursor of the next page.

    Those of removed schedules are among them. Raises ValueError on a malformed cursor.
    """
    key = ScheduleFire.scheduled_for, ScheduleFire.schedule_id
    statement = (
        _slots()
        .add_columns(JobExecution.job_type.label("blocked_job"))
        .outerjoin(JobExecution, JobExecution.id == ScheduleFire.blocked_by)
        .where(ScheduleFire.tenant_id == tenant_id, is_missed())
    )
    if cursor is not None:
        when, schedule_id = _decode(cursor, str, str)
        before = sa.literal(_time(when), key[0].type), sa.literal(schedule_id)
        statement = statement.where(sa.tuple_(*key) < sa.tuple_(*before))
    size = _size(limit)
    rows = session.execute(statement.order_by(*(column.desc() for column in key)).limit(size + 1)).all()
    more = _encode(rows[size - 1].scheduled_for.isoformat(), rows[size - 1].schedule_id) if len(rows) > size else None
    return [_slot(row, row.blocked_job) for row in rows[:size]], more


def _slots() -> sa.Select[*tuple[Any, ...]]:
    fire, schedule = ScheduleFire, JobSchedule
    return sa.select(
        schedule.job_type,
        schedule.rule_id,
        schedule.name,
        fire.schedule_id,
        fire.scheduled_for,
        fire.outcome,
        fire.execution_id,
        fire.at,
        fire.reason,
        fire.blocked_by,
        fire.earlier,
        fire.earlier_since,
    ).join_from(fire, schedule, schedule.id == fire.schedule_id)


def _slot(row: sa.Row[Any], blocked_job: str | None = None) -> Slot:
    return Slot(
        job_type=row.job_type,
        rule_id=row.rule_id,
        name=row.name,
        scheduled_for=row.scheduled_for,
        outcome=row.outcome,
        execution_id=row.execution_id,
        at=row.at,
        reason=row.reason,
        blocked_by=row.blocked_by,
        earlier=row.earlier,
        earlier_since=row.earlier_since,
        blocked_job=blocked_job,
    )


def unreadable(session: Session, tenant_id: TenantId) -> list[JobSchedule]:
    """Return the schedules that are on and have stopped because they cannot be read."""
    stopped = sa.select(JobSchedule).where(JobSchedule.tenant_id == tenant_id, JobSchedule.enabled)
    return list(session.scalars(stopped.where(JobSchedule.unreadable.is_not(None)).order_by(JobSchedule.name)))


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
    # What a column cannot hold, a database answers with an error of its own.
    if not all(part.isprintable() if isinstance(part, str) else 0 <= part < 2**31 for part in key):
        raise ValueError("malformed cursor")
    return key


def _time(text: str | int) -> datetime:
    """Read a time of a cursor. Raises ValueError."""
    try:
        when = datetime.fromisoformat(str(text))
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("malformed cursor") from error
    raise ValueError("malformed cursor")
