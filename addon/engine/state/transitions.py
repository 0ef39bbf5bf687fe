"""The one way from a status to another: a conditional UPDATE by the transition table, with its audit event.

`move` is the only writer of `status`, `owner` and `fence`. Its WHERE is the guard, so the number of changed rows is the
answer; two processes that try the same transition at once cannot both succeed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, SessionTransaction

from addon.base import TenantId, get_logger, insert, new_id
from addon.engine import failpoints
from addon.engine.models import AuditEvent, JobExecution
from addon.engine.state.table import BY_NAME, MAX_LOSSES, TO_SETTLE, Guard, Transition, tag

log = get_logger(__name__)

_UNSAID = "steward_audit_unsaid"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a transition: type user|schedule|retry|runner|reaper|uninstall|disable|system.

    `id` is the account or process, if there is one.
    """

    type: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for one execution: valid while the row still has this owner and fence."""

    execution_id: str
    tenant_id: TenantId
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a transition left in the row."""

    tenant_id: TenantId
    status: str
    fence: int
    seq: int


def move(
    session: Session,
    name: str,
    execution_id: str,
    *,
    at: datetime,
    actor: Actor,
    lease: Lease | None = None,
    dead: sa.ColumnElement[bool] | None = None,
    values: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Moved | None:
    """Make one transition in the caller's transaction and write its audit event.

    Parameters:
        name: the transition's name in the table.
        at: the time of the event, and of the end where the transition ends the execution.
        actor: who makes it.
        lease: the caller's lease; needed where the guard asks for the owner.
        dead: a condition on the row that proves its owner dead or stuck; needed where the guard asks for that.
        values: further columns of the same UPDATE.
        detail: what the audit event says besides, as JSON.

    Returns what the row has become, or None when the guard does not hold: another process was first.
    """
    transition = BY_NAME[name]
    change: dict[str, Any] = {"seq": JobExecution.seq + 1, **_effects(transition, at), **(values or {})}
    statement = (
        sa.update(JobExecution)
        .where(JobExecution.id == execution_id, JobExecution.status.in_(transition.sources))
        .where(*_conditions(transition.guard, at, lease, dead))
        .values(change)
        .returning(JobExecution.tenant_id, JobExecution.status, JobExecution.fence, JobExecution.seq)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    moved = Moved(row.tenant_id, row.status, row.fence, row.seq)
    record(session, moved.tenant_id, execution_id, moved.seq, tag(transition), at, actor, detail)
    failpoints.boundary(session, name)
    return moved


def record(
    session: Session,
    tenant_id: TenantId,
    execution_id: str | None,
    seq: int,
    event: str,
    at: datetime,
    actor: Actor,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one audit event tagged `event`. `execution_id` None (with seq 0): an event of the tenant's lane.

    The event is a line of the log too, once it is committed: operators read there what happened to a site.
    """
    about = {} if execution_id is None else {"execution": execution_id}
    session.info.setdefault(_UNSAID, []).append((tenant_id, {"audit": event, "by": actor.type, **about}))
    session.execute(
        insert(session, AuditEvent).values(
            id=new_id(),
            tenant_id=tenant_id,
            execution_id=execution_id,
            seq=seq,
            at=at,
            actor_type=actor.type,
            actor_id=actor.id,
            tag=event,
            detail=dict(detail or {}),
        )
    )


@sa.event.listens_for(Session, "after_commit")
def _say(session: Session) -> None:
    if not session.in_nested_transaction():
        for tenant_id, line in session.info.pop(_UNSAID, ()):
            log.info("An audit event was recorded.", action="audited", tenant=tenant_id, **line)


@sa.event.listens_for(Session, "after_soft_rollback")
def _say_nothing(session: Session, previous: SessionTransaction) -> None:
    # A savepoint that is undone takes all lines of its transaction with it: better a line missing than an untrue one.
    session.info.pop(_UNSAID, None)


def _effects(transition: Transition, at: datetime) -> dict[str, Any]:
    change: dict[str, Any] = {}
    if transition.target is not None:
        change["status"] = transition.target
    if transition.name == "claim":
        change |= {"fence": JobExecution.fence + 1, "not_before": None, "pause_reason": None}
    if transition.releases:
        change |= {"owner": None, "lease_until": None, "fence": JobExecution.fence + 1, "expected_end_at": None}
    if transition.to_settle:
        change |= {"owner": TO_SETTLE, "lease_until": at, "fence": JobExecution.fence + 1, "expected_end_at": None}
        change |= {"not_before": None, "pause_reason": None}
    if transition.loses_lease:
        change["lease_losses"] = JobExecution.lease_losses + 1
    if transition.name == "finalize":
        change["expected_end_at"] = None
    if transition.terminal:
        change |= {"owner": None, "lease_until": None, "ended_at": at, "expected_end_at": None}
        change |= {"not_before": None, "pause_reason": None}
    if transition.target == "successful":
        change["percent"] = 100
    return change


def claimable(at: datetime) -> sa.ColumnElement[bool]:
    """Say of an active execution that a runner may take it at `at`."""
    row = JobExecution
    free = sa.or_(row.owner.is_(None), row.owner == TO_SETTLE)
    return sa.and_(free, sa.or_(row.not_before.is_(None), row.not_before <= at))


def _conditions(
    guard: Guard, at: datetime, lease: Lease | None, dead: sa.ColumnElement[bool] | None
) -> list[sa.ColumnElement[bool]]:
    row = JobExecution
    if guard is Guard.OWNER:
        if lease is None:
            raise ValueError("a transition of the owner needs its lease")
        return [row.owner == lease.owner, row.fence == lease.fence]
    if guard is Guard.CLAIMABLE:
        return [claimable(at)]
    if guard is Guard.OWNED:
        return [row.owner.is_not(None)]
    if guard is Guard.OWNERLESS:
        return [row.owner.is_(None)]
    if guard is Guard.NEW:
        raise ValueError("a start inserts a row, it moves none")
    if dead is None:
        raise ValueError("a transition of the reaper needs its proof that the owner is dead")
    conditions = [row.owner.is_not(None), row.owner != TO_SETTLE, dead]
    if guard is Guard.DEAD_LOSSES_LEFT:
        conditions.append(row.lease_losses < MAX_LOSSES)
    if guard is Guard.DEAD_LOSSES_SPENT:
        conditions.append(row.lease_losses >= MAX_LOSSES)
    return conditions
