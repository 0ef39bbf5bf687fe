"""What became of the times of schedules: the slots an execution covers, and those at which nothing started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.models import JobExecution, JobSchedule, ScheduleFire, is_missed
from addon.engine.queries.pages import decode_cursor, encode_cursor, page_size, read_time

NAMED_SLOTS = 20
"""So many slots of one execution are returned one by one; the others are a number."""


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
        when, schedule_id = decode_cursor(cursor, str, str)
        before = sa.literal(read_time(when), key[0].type), sa.literal(schedule_id)
        statement = statement.where(sa.tuple_(*key) < sa.tuple_(*before))
    size = page_size(limit)
    rows = session.execute(statement.order_by(*(column.desc() for column in key)).limit(size + 1)).all()
    more = (
        encode_cursor(rows[size - 1].scheduled_for.isoformat(), rows[size - 1].schedule_id)
        if len(rows) > size
        else None
    )
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
