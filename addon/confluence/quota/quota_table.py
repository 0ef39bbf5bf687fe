"""The table of the hour's points, and the statements that read and change it.

Every change of what is reserved locks the pool's row of the hour first: so all such changes of one hour and share come
one after the other, on both databases, and what a transaction reads after that is true until it commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Database, TenantId, insert
from addon.confluence.models import QuotaHour
from addon.confluence.quota.fairness import UNBOUNDED, TenantUsage

Share = Literal["job", "interactive"]
"""Whose points of an hour: those for jobs, or those for people at the screens."""

POOL = "pool"
DRAWING, WAITING, REFUSED = "drawing", "waiting", "refused"
FORGET_AT_ONCE = 500
"""Rows deleted in one transaction."""
_KEEP = timedelta(hours=48)
_PEOPLE = "/ui"


@dataclass(frozen=True, slots=True)
class PoolState:
    """The points of all tenants in an hour, read while the pool's row is locked.

    Of the pool `taken` and its `limit`; what the asking tenant `had`.
    """

    taken: int
    limit: int
    had: int
    tenants: dict[str, tuple[int, str | None]]
    """The other tenants of this hour: points and state."""
    returning: frozenset[str]
    """The other tenants that were refused in the last hour."""

    def others(self, block: int, *, expecting: bool) -> list[TenantUsage]:
        """Return the tenants for which the asker must leave points.

        One that draws is expected to want as much again as it has had, and a block; one that waits its turn or was
        refused in the last hour, without end. Those not seen yet in this hour count while `expecting`.
        """
        known = [
            TenantUsage(points, UNBOUNDED if state == WAITING or scope in self.returning else 2 * points + block)
            for scope, (points, state) in self.tenants.items()
            if state in (DRAWING, WAITING)
        ]
        missing = [TenantUsage(0, UNBOUNDED) for scope in self.returning if scope not in self.tenants]
        return known + missing if expecting else known


def scope_of(share: Share, tenant_id: TenantId | Literal["pool"]) -> str:
    """Return a row's scope. The column holds 36 characters: a tenant id without its dashes leaves room for a mark."""
    if share == "job":
        return str(tenant_id)
    return f"{tenant_id.replace('-', '')[:33]}{_PEOPLE}"


def lock_pool(session: Session, hour: datetime, share: Share, tenant_id: TenantId, limit: int) -> PoolState:
    """Lock the pool's row of the hour and return its state. `limit` is the pool's, from now on."""
    pool, own = scope_of(share, "pool"), scope_of(share, tenant_id)
    statement = insert(session, QuotaHour).values(hour=hour, scope=pool, reserved=0, limit=limit)
    statement = statement.on_conflict_do_update(index_elements=["hour", "scope"], set_={"limit": limit})
    taken = session.execute(statement.returning(QuotaHour.reserved)).scalar_one()
    last = hour - timedelta(hours=1)
    asked = sa.select(QuotaHour.hour, QuotaHour.scope, QuotaHour.reserved, QuotaHour.state)
    if share == "interactive":
        asked = asked.where(QuotaHour.hour == hour, QuotaHour.scope == own)
    else:
        again = sa.and_(QuotaHour.hour == last, QuotaHour.state.in_((WAITING, REFUSED)))
        asked = asked.where(
            sa.or_(QuotaHour.hour == hour, again), QuotaHour.scope != POOL, ~QuotaHour.scope.endswith(_PEOPLE)
        )
    found = session.execute(asked).all()
    return PoolState(
        taken=taken,
        limit=limit,
        had=sum(row.reserved for row in found if row.scope == own and row.hour == hour),
        tenants={row.scope: (row.reserved, row.state) for row in found if row.hour == hour and row.scope != own},
        returning=frozenset(row.scope for row in found if row.hour == last and row.scope != own),
    )


def take(session: Session, hour: datetime, share: Share, tenant_id: TenantId, limit: int, points: int) -> None:
    """Reserve `points` for a tenant, after `lock_pool`. `limit` is the tenant's own."""
    _upsert(session, hour, scope_of(share, tenant_id), limit, points, DRAWING)
    pool = _is(hour, scope_of(share, "pool"))
    session.execute(sa.update(QuotaHour).where(pool).values(reserved=QuotaHour.reserved + points))


def refuse(
    session: Session, hour: datetime, share: Share, tenant_id: TenantId, limit: int, *, waits: bool = False
) -> None:
    """Remember that a tenant wanted more than it got; `waits` when it asks again in this hour."""
    _upsert(session, hour, scope_of(share, tenant_id), limit, 0, WAITING if waits else REFUSED)


def give_back(session: Session, hour: datetime, share: Share, tenant_id: TenantId, points: int) -> None:
    """Return `points` (negative: they were spent beyond what was reserved); the tenant draws no longer."""
    pool, own = scope_of(share, "pool"), scope_of(share, tenant_id)
    less = QuotaHour.reserved - points
    session.execute(sa.update(QuotaHour).where(_is(hour, pool)).values(reserved=less))
    state = sa.case((QuotaHour.state == DRAWING, None), else_=QuotaHour.state)
    session.execute(sa.update(QuotaHour).where(_is(hour, own)).values(reserved=less, state=state))


def close(session: Session, hour: datetime, scope: str, limit: int, until: datetime, reason: str) -> None:
    """Let no call of `scope` be made before `until`; a closing is never shortened."""
    statement = insert(session, QuotaHour).values(hour=hour, scope=scope, reserved=0, limit=limit)
    session.execute(statement.on_conflict_do_nothing(index_elements=["hour", "scope"]))
    later = sa.or_(QuotaHour.closed_until.is_(None), QuotaHour.closed_until < until)
    session.execute(
        sa.update(QuotaHour).where(_is(hour, scope), later).values(closed_until=until, reason=reason),
        execution_options={"synchronize_session": False},
    )


def closed(session: Session, tenant_id: TenantId, now: datetime) -> tuple[datetime | None, str | None]:
    """Return until when a tenant's calls are closed and why, (None, None) when they are not."""
    row = session.execute(
        sa.select(QuotaHour.closed_until, QuotaHour.reason)
        .where(QuotaHour.scope.in_([POOL, tenant_id]), QuotaHour.closed_until > now)
        .order_by(QuotaHour.closed_until.desc())
        .limit(1)
    ).first()
    return (row[0], row[1]) if row else (None, None)


def reserved(session: Session, hour: datetime, scope: str) -> int:
    """Return the points of one row, 0 when there is none."""
    return session.scalar(sa.select(QuotaHour.reserved).where(_is(hour, scope))) or 0


def forget_old_hours(db: Database, now: datetime) -> int:
    """Delete up to FORGET_AT_ONCE rows of hours that are long over, except those that still close the quota.

    Return how many. Safe in several processes at once: rows that another one has locked are left to it.
    """
    over = sa.or_(QuotaHour.closed_until.is_(None), QuotaHour.closed_until <= now)
    old = QuotaHour.hour < now - _KEEP
    # Looked at first without a lock: on SQLite every write transaction keeps all other writers out.
    with db.read_all() as session:
        if session.scalar(sa.select(QuotaHour.hour).where(old, over).limit(1)) is None:
            return 0
    with db.write_all() as session:
        rows = sa.select(QuotaHour).where(old, over).limit(FORGET_AT_ONCE).with_for_update(skip_locked=True)
        found = session.scalars(rows).all()
        for row in found:
            session.delete(row)
    return len(found)


def forget_quota(session: Session, tenant_id: TenantId) -> None:
    """Delete every row of a tenant, those of its jobs and of its people."""
    own = [scope_of(share, tenant_id) for share in get_args(Share)]
    session.execute(sa.delete(QuotaHour).where(QuotaHour.scope.in_(own)))


def _upsert(session: Session, hour: datetime, scope: str, limit: int, points: int, state: str) -> None:
    statement = insert(session, QuotaHour).values(hour=hour, scope=scope, reserved=points, limit=limit, state=state)
    more: dict[str, Any] = {"reserved": QuotaHour.reserved + points, "limit": limit, "state": state}
    session.execute(statement.on_conflict_do_update(index_elements=["hour", "scope"], set_=more))


def _is(hour: datetime, scope: str) -> sa.ColumnElement[bool]:
    return sa.and_(QuotaHour.hour == hour, QuotaHour.scope == scope)
