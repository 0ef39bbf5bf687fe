"""Admission: whether anything may start for a tenant. Its lane is open or closed, in its first run, on hold or not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.context import EngineContext
from addon.engine.errors import NotAdmitted, NotFound
from addon.engine.models import JobExecution, Lane, RetryDue, is_active
from addon.engine.state.transitions import Actor, record

CLOSED = "The app is not installed and enabled on this site."
FIRST_RUN = "A Confluence administrator has not confirmed the first run yet. Open Content Steward's Jobs page to do so."
HOLD = "All schedules are on hold."


def on_hold(lane: Lane, now: datetime) -> bool:
    """Return whether schedules are on hold at `now`; a hold with an end is over automatically when that has come."""
    return lane.hold and (lane.hold_until is None or lane.hold_until > now)


def require_open(session: Session, tenant_id: TenantId, now: datetime, *, scheduled: bool) -> Lane:
    """Return the tenant's lane, kept from closing until this transaction ends. Raises NotAdmitted with the reason.

    `scheduled`: the start is a schedule's or a retry's, for which a hold counts.
    """
    # A shared lock: starts do not wait for each other here, which the unique index decides anyway; closing waits for
    # them all, so that a cancel after it finds every execution that was let in.
    lane = session.scalars(
        sa.select(Lane)
        .where(Lane.tenant_id == tenant_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if lane is None or not lane.open:
        raise NotAdmitted("closed", CLOSED)
    if lane.first_run:
        raise NotAdmitted("first_run", FIRST_RUN)
    if scheduled and on_hold(lane, now):
        raise NotAdmitted("hold", lane.hold_reason or HOLD, lane.hold_until)
    return lane


def open_lane(context: EngineContext, session: Session, tenant_id: TenantId, *, first_run: bool) -> None:
    """Let executions start. `first_run` counts for a lane that is new; an old one keeps what it had."""
    lane = session.get(Lane, tenant_id)
    if lane is None:
        session.add(Lane(tenant_id=tenant_id, open=True, first_run=first_run, hold=False))
    else:
        lane.open = True
    session.flush()
    _note(context, session, tenant_id, "opened", Actor("system"))


def close_lane(context: EngineContext, session: Session, tenant_id: TenantId) -> None:
    """Let nothing start any more; what runs continues unless it is cancelled as well."""
    lane = session.get(Lane, tenant_id)
    if lane is None:
        session.add(Lane(tenant_id=tenant_id, open=False, first_run=True, hold=False))
    else:
        lane.open = False
    session.flush()
    _note(context, session, tenant_id, "closed", Actor("system"))


def confirm_first_run(context: EngineContext, session: Session, tenant_id: TenantId, by: str | None = None) -> None:
    """Confirm the first run: from now on schedules and people start executions. Raises NotAdmitted without a lane."""
    lane = session.get(Lane, tenant_id)
    if lane is None:
        raise NotAdmitted("closed", CLOSED)
    if not lane.first_run:
        return
    lane.first_run = False
    session.flush()
    _note(context, session, tenant_id, "first_run_confirmed", Actor("user", by))


def set_hold(
    context: EngineContext,
    session: Session,
    tenant_id: TenantId,
    *,
    on: bool,
    reason: str | None,
    by: str | None,
    until: datetime | None,
) -> None:
    """Put all schedules on hold or release them; manual starts work meanwhile. Raises NotAdmitted without a lane.

    Asking for the hold that there is already changes nothing: it stays that of the person who set it.
    """
    lane = session.get(Lane, tenant_id)
    if lane is None:
        raise NotAdmitted("closed", CLOSED)
    wanted = (on, reason if on else None, until if on else None)
    if wanted == (lane.hold, lane.hold_reason, lane.hold_until):
        return
    lane.hold, lane.hold_reason, lane.hold_until = wanted
    lane.hold_by = by if on else None
    session.flush()
    detail = {"until": until.isoformat()} if on and until is not None else None
    _note(context, session, tenant_id, "held" if on else "released", Actor("user", by), detail)


def end_chains(session: Session, tenant_id: TenantId, job_type: str | None = None) -> list[str]:
    """Delete the waiting retries of one job type, or all; return the ids of the executions they would have retried."""
    statement = sa.delete(RetryDue).where(RetryDue.tenant_id == tenant_id)
    if job_type is not None:
        statement = statement.where(RetryDue.job_type == job_type)
    ended = session.scalars(
        statement.returning(RetryDue.failed_execution_id).execution_options(synchronize_session="fetch")
    )
    return list(ended)


def active(session: Session, tenant_id: TenantId) -> JobExecution | None:
    """Return the tenant's active execution, if any."""
    return session.scalars(
        sa.select(JobExecution)
        .where(JobExecution.tenant_id == tenant_id, is_active())
        .execution_options(populate_existing=True)
    ).one_or_none()


def find(session: Session, tenant_id: TenantId, execution_id: str, *, lock: bool = False) -> JobExecution:
    """Return one execution of the tenant; with `lock` its row stays locked until the transaction ends.

    Raises NotFound.
    """
    statement = sa.select(JobExecution).where(JobExecution.id == execution_id, JobExecution.tenant_id == tenant_id)
    if lock:
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    execution = session.scalars(statement).one_or_none()
    if execution is None:
        raise NotFound(execution_id)
    return execution


def lock_lane(session: Session, tenant_id: TenantId) -> None:
    """Keep every tick from starting a slot of this tenant until the transaction ends; wait for one that is about to."""
    session.execute(
        sa.select(Lane)
        .where(Lane.tenant_id == tenant_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def _note(
    context: EngineContext,
    session: Session,
    tenant_id: TenantId,
    event: str,
    actor: Actor,
    detail: Mapping[str, Any] | None = None,
) -> None:
    record(session, tenant_id, None, 0, f"job:lane:{event}", context.clock.now(), actor, detail)
