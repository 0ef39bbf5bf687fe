"""The scheduler: a tick that starts what is due, for one tenant after the other.

Leaderless: every process ticks, and the one that inserts the slot's row has fired it. A tick is bounded in time, and no
tenant can keep the others waiting, whatever happens with its own schedules (docs/rules/schedules.md 2.1).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, get_logger, is_away
from addon.engine.context import EngineContext
from addon.engine.errors import DATABASE_AWAY, Busy, NotAdmitted, log_failure
from addon.engine.models import JobExecution, JobSchedule, Lane, RetryDue, is_active
from addon.engine.schedule import wrong_clock
from addon.engine.schedule.starts import start_next

log = get_logger(__name__)

ROUND_SECONDS = 5.0
"""A tick begins with no further tenant after so long: stopping the process waits for it. The next tick continues."""
SLOW_SECONDS = 1.0
"""A tenant that took longer comes after all others from then on, until it is quick again."""
_DUE = "due"


def schedule_tick(context: EngineContext) -> int:
    """Start what is due, at most one execution per tenant; return how many were started.

    Slots that have to stay pending (a job that refuses, a retry that others wait for) keep no other tenant waiting, nor
    does one whose look fails or takes long.
    """
    deadline = context.clock.monotonic() + ROUND_SECONDS
    with context.db.read_all() as session:
        now = context.time.read(session)
        rows = session.execute(
            sa.union_all(_tenants_with_due(context, now), *wrong_clock.suspect_queries(context, now))
        ).all()
        wrong = wrong_clock.find_wrong(context, session, rows, now)
    due = sorted((row for row in rows if row.kind == _DUE), key=lambda row: row.at)
    tenants = [TenantId(row.tenant_id) for row in due]

    def correct(session: Session, tenant_id: TenantId) -> bool:
        return wrong_clock.correct(context, session, wrong, tenant_id, now)

    def start_due(session: Session, tenant_id: TenantId) -> bool:
        return start_next(context, session, tenant_id, now) is not None

    round_ = _Round(context)
    for tenant_id in wrong.tenants():
        if context.clock.monotonic() > deadline:
            break
        round_.look(tenant_id, correct)
    if context.passed_over.issuperset(tenants):
        context.passed_over.clear()
    started = 0
    for tenant_id in sorted(tenants, key=lambda each: (each in context.slow, each in context.passed_over)):
        if context.clock.monotonic() > deadline:
            break
        context.passed_over.add(tenant_id)
        if round_.look(tenant_id, start_due):
            context.passed_over.discard(tenant_id)
            started += 1
    return started


class _Round:
    """The looks at one tenant after the other. What goes wrong with one reaches no other."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._was_away = False

    def look(self, tenant_id: TenantId, what: Callable[[Session, TenantId], bool]) -> bool:
        """Return what `what` does in a transaction; False when it failed.

        Raises only when the database is away twice in a row: a transaction that takes too long loses its connection,
        which is its tenant's trouble.
        """
        context, began = self._context, self._context.clock.monotonic()
        context.slow.add(tenant_id)
        try:
            with context.db.write(tenant_id) as session:
                found = what(session, tenant_id)
        except (Busy, NotAdmitted):
            log.debug(
                "the lane was taken or put on hold while its slot was started", action="slot_raced", tenant=tenant_id
            )
            found = False
        except DATABASE_AWAY as error:
            if is_away(error) and self._was_away:
                raise
            self._was_away = is_away(error)
            log_failure(log, error, "the slots of a tenant could not be read", action="slots_unread", tenant=tenant_id)
            return False
        except Exception:
            log.exception("the slots of a tenant could not be planned", action="slots_failed", tenant=tenant_id)
            return False
        self._was_away = False
        if context.clock.monotonic() - began <= SLOW_SECONDS:
            context.slow.discard(tenant_id)
        return found


def _tenants_with_due(context: EngineContext, now: datetime) -> sa.Select[Any]:
    """Return what reads the tenants for which something may start, each with the time of what is due for longest."""
    schedules = sa.select(JobSchedule.tenant_id, JobSchedule.next_fire_at.label("due")).where(
        JobSchedule.enabled, JobSchedule.next_fire_at <= now, JobSchedule.job_type.in_(tuple(context.jobs))
    )
    retries = sa.select(RetryDue.tenant_id, RetryDue.due_at.label("due")).where(RetryDue.due_at <= now)
    due = sa.union_all(schedules, retries).subquery()
    busy = sa.exists().where(JobExecution.tenant_id == Lane.tenant_id, is_active())
    not_held = sa.or_(~Lane.hold, Lane.hold_until <= now)
    return (
        wrong_clock.tick_query(_DUE, Lane.tenant_id, at=sa.func.min(due.c.due))
        .join(due, due.c.tenant_id == Lane.tenant_id)
        .where(Lane.open, ~Lane.first_run, not_held, ~busy)
        .group_by(Lane.tenant_id)
    )
