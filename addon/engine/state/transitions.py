"""Which transitions does an execution have, who makes them, and under which guard? The table is data.

From it come the conditional UPDATEs (`move`), their audit events, docs/state_machine.md (statedoc.py) and the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, new_id
from addon.base.database import insert
from addon.engine import failpoints
from addon.engine.models import TERMINAL, AuditEvent, JobExecution

MAX_LOSSES = 5
"""Expired leases an execution survives without a space finished in between."""
TO_SETTLE = "to-be-settled"
"""Owner of a cancelling execution that waits for a runner to read back what it has submitted: it must have an owner."""


class Guard(Enum):
    """What must hold of the owner for a transition to happen, besides the status."""

    NEW = "no other execution of the tenant is active (unique index)"
    CLAIMABLE = "no owner, or cancelling and to be settled; and not_before is NULL or past"
    OWNER = "owner and fence are those of the caller's lease"
    OWNED = "has an owner"
    OWNERLESS = "has no owner"
    DEAD = "has an owner whose lease expired, who is known to be dead, or who passed no safe point for too long"
    STUCK = "has an owner who passed no safe point for too long"
    DEAD_LOSSES_LEFT = f"as above, and losses < {MAX_LOSSES}"
    DEAD_LOSSES_SPENT = f"as above, and losses >= {MAX_LOSSES}"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table. `target` None: the status stays. `releases`: owner and lease become NULL, fence + 1.

    `to_settle`: the owner becomes TO_SETTLE, fence + 1: nobody holds it, and the next runner settles it.
    """

    name: str
    sources: tuple[str, ...]
    target: str | None
    who: str
    guard: Guard
    effect: str
    event: str
    releases: bool = False
    to_settle: bool = False

    @property
    def terminal(self) -> bool:
        """Return whether the execution ends with it."""
        return self.target in TERMINAL


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


TABLE: tuple[Transition, ...] = (
    Transition("start", (), "running", "a person, the schedule, a retry", Guard.NEW, "accepted", "started"),
    Transition(
        "claim",
        ("running", "finalizing", "cancelling"),
        None,
        "runner",
        Guard.CLAIMABLE,
        "sets owner and lease, fence + 1, clears not_before; never takes an expired lease; what is cancelling is only "
        "settled",
        "claimed",
    ),
    Transition(
        "pause",
        ("running",),
        None,
        "owner",
        Guard.OWNER,
        "owner and lease NULL, fence + 1, sets not_before and pause_reason; spaces in work go back to pending",
        "paused",
        releases=True,
    ),
    Transition(
        "hand_over",
        ("running", "finalizing"),
        None,
        "owner, all its threads stopped",
        Guard.OWNER,
        "owner and lease NULL, fence + 1, spaces in work go back to pending, wake",
        "handed_over",
        releases=True,
    ),
    Transition("finalize", ("running",), "finalizing", "owner", Guard.OWNER, "too late to cancel", "finalizing"),
    Transition("succeed", ("finalizing",), "successful", "owner", Guard.OWNER, "sums the metrics", "successful"),
    Transition(
        "fail",
        ("finalizing",),
        "failed",
        "owner",
        Guard.OWNER,
        "sums the metrics; a scheduled run with only transient reasons gets a waiting retry",
        "failed",
    ),
    Transition(
        "request_cancel",
        ("running",),
        "cancelling",
        "a person, uninstalling or disabling the app, or the owner whose tenant is gone",
        Guard.OWNED,
        "notes who and when",
        "cancel_requested",
    ),
    Transition(
        "cancel_at_once",
        ("running",),
        "cancelled",
        "a person, uninstalling or disabling the app",
        Guard.OWNERLESS,
        "open spaces end cancelled, sums the metrics",
        "cancelled",
    ),
    Transition(
        "cancel_unsettled",
        ("running",),
        "cancelling",
        "a person, while what was submitted is not read back",
        Guard.OWNERLESS,
        "notes who and when; to be settled, fence + 1, wake",
        "cancel_requested",
        to_settle=True,
    ),
    Transition(
        "defer_settlement",
        ("cancelling",),
        None,
        "owner, all its threads stopped, what was submitted is not read back",
        Guard.OWNER,
        "to be settled, fence + 1, not before a time when the site has to be waited for, wake",
        "left_to_settle",
        to_settle=True,
    ),
    Transition(
        "cancelled",
        ("cancelling",),
        "cancelled",
        "owner",
        Guard.OWNER,
        "open spaces end cancelled, sums the metrics",
        "cancelled",
    ),
    Transition(
        "expire_lease",
        ("running", "finalizing"),
        None,
        "reaper",
        Guard.DEAD_LOSSES_LEFT,
        "owner and lease NULL, fence + 1, losses + 1, wake; spaces in work go back to pending "
        "and run alone from then on; one that was in work alone in two lost leases fails",
        "lease_lost",
        releases=True,
    ),
    Transition(
        "expire_unsettled",
        ("running",),
        None,
        "reaper, while what was submitted is not read back",
        Guard.DEAD_LOSSES_SPENT,
        "open spaces fail as interrupted; owner and lease NULL, fence + 1, losses + 1, wake; it is only settled then",
        "lease_lost",
        releases=True,
    ),
    Transition(
        "expire_cancelling",
        ("cancelling",),
        None,
        "reaper, while what was submitted is not read back",
        Guard.DEAD_LOSSES_LEFT,
        "to be settled, fence + 1, losses + 1 when the lease expired, wake",
        "lease_lost",
        to_settle=True,
    ),
    Transition(
        "rescue_stuck",
        ("running",),
        None,
        "reaper",
        Guard.STUCK,
        "owner and lease NULL, fence + 1, wake; spaces in work fail as stuck, without any the run fails as stuck",
        "stuck",
        releases=True,
    ),
    Transition(
        "fail_stuck",
        ("running", "finalizing"),
        "failed",
        "reaper; a running one only when it hung again and again while it was settled",
        Guard.STUCK,
        "open spaces fail as stuck, sums the metrics",
        "interrupted",
    ),
    Transition(
        "interrupt",
        ("running", "finalizing"),
        "failed",
        "reaper",
        Guard.DEAD_LOSSES_SPENT,
        "open spaces fail as interrupted, sums the metrics",
        "interrupted",
    ),
    Transition(
        "finish_cancelling",
        ("cancelling",),
        "cancelled",
        "reaper",
        Guard.DEAD,
        "open spaces end cancelled, sums the metrics",
        "cancelled",
    ),
)

BY_NAME: Mapping[str, Transition] = {transition.name: transition for transition in TABLE}


def tag(transition: Transition) -> str:
    """Return the tag of the transition's audit event."""
    return f"job:execution:{transition.event}"


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
    """Make one transition by one conditional UPDATE and write its audit event; None when its guard does not hold.

    `lease` is needed where the guard is the owner, `dead` (a condition on the row) where it is a dead owner. `values`
    are further columns of the same UPDATE, `detail` goes to the audit event.
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
    """Append one audit event. `execution_id` None (with seq 0): an event of the tenant's lane."""
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
    if transition.name in ("expire_lease", "expire_unsettled", "expire_cancelling"):
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
