"""Times that a clock which was ahead has left: the next time of a schedule, a waiting retry, a paused execution.

None of them is believed when it is later than the clock of now can have made it. Each tick compares a portion of the
schedules, and all of them as soon as one is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, get_logger
from addon.engine.context import EngineContext
from addon.engine.models import JobExecution, JobSchedule, Lane, RetryDue, is_active
from addon.engine.schedule.cron import next_fire

log = get_logger(__name__)

SCHEDULE, OTHER = "schedule", "other"
PORTION = 500
"""Schedules that are compared in one tick."""
LONGEST_PAUSE = timedelta(hours=3)
"""No run pauses for longer: a site is left alone for two hours at most. One that resumes too soon pauses again."""
NEAR = timedelta(minutes=1)
"""By so much may differ what two processes call now: what another one has just taken on is not taken back."""


@dataclass(slots=True)
class WrongTimes:
    """What is too late to be true, by tenant."""

    schedules: dict[TenantId, list[str]] = field(default_factory=lambda: defaultdict(list))
    others: set[TenantId] = field(default_factory=set)

    def tenants(self) -> list[TenantId]:
        """Return the tenants that have something to be corrected."""
        return sorted(self.others | set(self.schedules))


def suspect_queries(context: EngineContext, now: datetime) -> list[sa.Select[Any]]:
    """Return what reads the suspects: (kind, tenant id, schedule id, cron, time zone, time), for one statement."""
    retries = RetryDue.due_at > _retry(context, now) + NEAR
    pauses = sa.and_(is_active(), JobExecution.not_before > now + LONGEST_PAUSE)
    after = context.verified[0] if context.verified else ""
    return [
        tick_query(OTHER, RetryDue.tenant_id, at=RetryDue.due_at).where(retries),
        tick_query(OTHER, JobExecution.tenant_id, at=JobExecution.not_before).where(pauses),
        sa.select(_portion(now, after).subquery()),
    ]


def find_wrong(context: EngineContext, session: Session, rows: Sequence[Any], now: datetime) -> WrongTimes:
    """Return what of the suspects is too late to be true at `now`; once one schedule is, of all that follow as well."""
    found = WrongTimes(others={row.tenant_id for row in rows if row.kind == OTHER})
    portion = [row for row in rows if row.kind == SCHEDULE]
    right: dict[tuple[str, str], datetime | None] = {}
    context.verified.clear()
    while portion:
        for row in portion:
            key = row.cron, row.time_zone
            if key not in right:
                right[key] = _next(*key, now + NEAR)
            if _too_late(row.at, right[key]):
                found.schedules[row.tenant_id].append(row.id)
        last = max(row.id for row in portion)
        if len(portion) == PORTION and not found.schedules:
            context.verified.append(last)
            break
        portion = list(session.execute(_portion(now, last))) if len(portion) == PORTION else []
    return found


def correct(context: EngineContext, session: Session, found: WrongTimes, tenant_id: TenantId, now: datetime) -> bool:
    """Set what was found of one tenant to what the clock of now gives. Return False: nothing is started by that."""
    free = sa.select(Lane.tenant_id).where(Lane.tenant_id == tenant_id)
    if session.scalar(free.with_for_update(key_share=True, skip_locked=True)) is None:
        return False
    for row in session.scalars(sa.select(JobSchedule).where(JobSchedule.id.in_(found.schedules.get(tenant_id, ())))):
        if row.enabled and _too_late(row.next_fire_at, _next(row.cron, row.time_zone, now + NEAR)):
            when = _next(row.cron, row.time_zone, now)
            log.warning(
                "a schedule that a wrong clock had dated is due earlier now",
                action="schedule_mended",
                tenant=tenant_id,
                schedule=row.id,
                was=str(row.next_fire_at),
                due=str(when),
            )
            # Should it be the clock of now that is wrong, nothing before counts as missed later.
            row.recorded_until = max(filter(None, (row.next_fire_at, row.recorded_until)))
            row.next_fire_at = when
    if tenant_id in found.others:
        late = sa.update(RetryDue).where(RetryDue.tenant_id == tenant_id, RetryDue.due_at > _retry(context, now) + NEAR)
        session.execute(late.values(due_at=_retry(context, now)))
        paused = sa.update(JobExecution).where(JobExecution.tenant_id == tenant_id, is_active())
        session.execute(paused.where(JobExecution.not_before > now + LONGEST_PAUSE).values(not_before=now))
    session.flush()
    return False


def _portion(now: datetime, after: str) -> sa.Select[Any]:
    row = JobSchedule
    columns = tick_query(SCHEDULE, row.tenant_id, row.id, row.cron, row.time_zone, at=row.next_fire_at)
    return columns.where(row.enabled, row.next_fire_at > now, row.id > after).order_by(row.id).limit(PORTION)


def tick_query(kind: str, tenant_id: Any, *texts: Any, at: Any) -> sa.Select[Any]:
    """Return a SELECT with the columns that all parts of the tick's one statement have."""
    words = [*texts, *[sa.literal("")] * (3 - len(texts))]
    names = ("id", "cron", "time_zone")
    labelled = [word.label(name) for name, word in zip(names, words, strict=True)]
    return sa.select(sa.literal(kind).label("kind"), tenant_id.label("tenant_id"), *labelled, at.label("at"))


def _next(cron: str, time_zone: str, after: datetime) -> datetime | None:
    try:
        return next_fire(cron, time_zone, after)
    except ValueError:
        # It stops when it is due.
        return None


def _too_late(known: datetime | None, right: datetime | None) -> bool:
    return known is not None and right is not None and known > right


def _retry(context: EngineContext, now: datetime) -> datetime:
    return now + timedelta(seconds=context.settings.retry_seconds)
