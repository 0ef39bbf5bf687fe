"""May this call be made now, and who pays? The hour's points, shared by all processes through one table.

A process reserves blocks of points by conditional updates, on the tenant's row and then on the pool's, and spends
them locally (PROTOCOLS.md 4). People at the screens have a share of their own, so that a long job never locks them out.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId
from addon.base.database import insert
from addon.confluence.errors import QuotaExhausted
from addon.confluence.models import QuotaHour
from addon.confluence.ratelimits import Verdict

Share = Literal["job", "interactive"]

POOL = "pool"
BLOCK = 200
INTERACTIVE_PERCENT = 10
SPREAD_SECONDS = 600
_CLOSED_FRESH_SECONDS = 5.0
_KEEP = timedelta(hours=48)


@dataclass(slots=True)
class _Pot:
    tenant_id: TenantId
    share: Share
    lock: threading.Lock = field(default_factory=threading.Lock)
    hour: datetime | None = None
    left: int = 0


@dataclass(slots=True)
class Hold:
    """Points set aside for one call until it is known what it cost."""

    pot: _Pot
    hour: datetime
    points: int

    def settle(self, spent: int) -> None:
        """Give back what the call did not cost, or take what it cost beyond."""
        with self.pot.lock:
            if self.pot.hour == self.hour:
                self.pot.left += self.points - spent


@dataclass(slots=True)
class _Closed:
    read_at: float
    until: datetime | None
    reason: str | None


class _Full(Exception):
    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


class Quota:
    """The hour's points of all tenants, as this process sees and spends them."""

    def __init__(self, db: Database, clock: Clock, *, points: int, tenant_points: int | None = None) -> None:
        """Take the points an hour of the whole add-on, and of one tenant (by default as many)."""
        self._db = db
        self._clock = clock
        self._pool_points = points
        self._tenant_points = tenant_points or points
        self._pots: dict[tuple[TenantId, Share], _Pot] = {}
        self._closed: dict[TenantId, _Closed] = {}
        self._lock = threading.Lock()

    def reserve(self, tenant_id: TenantId, share: Share, points: int) -> Hold:
        """Set `points` aside for one call. Never call it inside a write transaction of the same database.

        Raises QuotaExhausted when the hour's points are spent or Atlassian closed the hour.
        """
        now = self._clock.now()
        self._refuse_closed(tenant_id, share, now)
        hour = hour_of(now)
        pot = self._pot(tenant_id, share)
        with pot.lock:
            self._turn(pot, hour)
            # A quota that is small against one page must still let single pages through; settling corrects.
            wanted = min(points, max(1, self._limit(share, min(self._tenant_points, self._pool_points)) // 4))
            if pot.left < wanted:
                self._draw(pot, hour, wanted - pot.left)
            pot.left -= wanted
        return Hold(pot, hour, wanted)

    def release(self, tenant_id: TenantId, share: Share) -> None:
        """Give back what this process reserved and did not spend: at a run's end, at a pause, at shutdown."""
        pot = self._pot(tenant_id, share)
        with pot.lock:
            self._give_back(pot)

    def release_all(self) -> None:
        """Give back everything this process holds."""
        with self._lock:
            pots = list(self._pots.values())
        for pot in pots:
            with pot.lock:
                self._give_back(pot)

    def apply(self, tenant_id: TenantId, share: Share, verdict: Verdict) -> QuotaExhausted:
        """Close the hour for all processes as `verdict` says; return the error that the caller raises."""
        now = self._clock.now()
        scope = POOL if verdict.scope == "pool" else tenant_id
        hour = hour_of(now)
        with self._db.write_all() as session:
            self._ensure(session, hour, scope, self._limit("job", self._points(scope)))
            row = sa.and_(QuotaHour.hour == hour, QuotaHour.scope == scope)
            later = sa.or_(QuotaHour.closed_until.is_(None), QuotaHour.closed_until < verdict.until)
            session.execute(
                sa.update(QuotaHour).where(row, later).values(closed_until=verdict.until, reason=verdict.reason)
            )
        with self._lock:
            self._closed.clear()
        return QuotaExhausted(self._resume(tenant_id, share, verdict.until), verdict.reason)

    def reserved(self, scope: str) -> int:
        """Return the points reserved in this hour by the jobs of `scope`: POOL or a tenant id."""
        hour = hour_of(self._clock.now())
        with self._db.read_all() as session:
            row = session.get(QuotaHour, (hour, scope))
            return row.reserved if row else 0

    def _pot(self, tenant_id: TenantId, share: Share) -> _Pot:
        with self._lock:
            return self._pots.setdefault((tenant_id, share), _Pot(tenant_id, share))

    def _points(self, scope: str) -> int:
        return self._pool_points if scope == POOL else self._tenant_points

    def _limit(self, share: Share, points: int) -> int:
        interactive = points * INTERACTIVE_PERCENT // 100
        return interactive if share == "interactive" else points - interactive

    def _scopes(self, pot: _Pot) -> tuple[tuple[str, int], tuple[str, int]]:
        own, pool = str(pot.tenant_id), POOL
        if pot.share == "interactive":
            # The column holds 36 characters: a tenant id without its dashes leaves room for the mark.
            own, pool = f"{own.replace('-', '')[:33]}/ui", f"{POOL}/ui"
        return (own, self._limit(pot.share, self._tenant_points)), (pool, self._limit(pot.share, self._pool_points))

    def _turn(self, pot: _Pot, hour: datetime) -> None:
        if pot.hour != hour:
            self._give_back(pot)
            pot.hour, pot.left = hour, 0

    def _draw(self, pot: _Pot, hour: datetime, need: int) -> None:
        scope = POOL
        for size in dict.fromkeys((max(BLOCK, need), max(BLOCK // 8, need), need)):
            try:
                pot.left += self._reserve_block(pot, hour, size)
            except _Full as full:
                scope = full.scope
            else:
                return
        raise self._used_up(pot, hour, scope)

    def _reserve_block(self, pot: _Pot, hour: datetime, points: int) -> int:
        with self._db.write_all() as session:
            for scope, limit in self._scopes(pot):
                self._ensure(session, hour, scope, limit)
                taken = session.execute(
                    sa.update(QuotaHour)
                    .where(
                        QuotaHour.hour == hour,
                        QuotaHour.scope == scope,
                        QuotaHour.reserved + points <= QuotaHour.limit,
                    )
                    .values(reserved=QuotaHour.reserved + points)
                    .returning(QuotaHour.scope)
                ).all()
                if not taken:
                    raise _Full(scope)
        return points

    def _ensure(self, session: Session, hour: datetime, scope: str, limit: int) -> None:
        statement = insert(session, QuotaHour).values(hour=hour, scope=scope, reserved=0, limit=limit)
        session.execute(
            statement.on_conflict_do_update(index_elements=["hour", "scope"], set_={"limit": statement.excluded.limit})
        )
        session.execute(sa.delete(QuotaHour).where(QuotaHour.hour < hour - _KEEP))

    def _give_back(self, pot: _Pot) -> None:
        if pot.hour is None or pot.left <= 0:
            return
        with self._db.write_all() as session:
            for scope, _limit in self._scopes(pot):
                session.execute(
                    sa.update(QuotaHour)
                    .where(QuotaHour.hour == pot.hour, QuotaHour.scope == scope)
                    .values(reserved=QuotaHour.reserved - pot.left)
                )
        pot.left = 0

    def _refuse_closed(self, tenant_id: TenantId, share: Share, now: datetime) -> None:
        known = self._closed.get(tenant_id)
        if known is None or self._clock.monotonic() - known.read_at > _CLOSED_FRESH_SECONDS:
            known = self._read_closed(tenant_id, now)
            with self._lock:
                self._closed[tenant_id] = known
        if known.until is not None and known.until > now:
            raise QuotaExhausted(self._resume(tenant_id, share, known.until), known.reason or "quota")

    def _read_closed(self, tenant_id: TenantId, now: datetime) -> _Closed:
        with self._db.read_all() as session:
            row = session.execute(
                sa.select(QuotaHour.closed_until, QuotaHour.reason)
                .where(QuotaHour.scope.in_([POOL, tenant_id]), QuotaHour.closed_until > now)
                .order_by(QuotaHour.closed_until.desc())
                .limit(1)
            ).first()
        until, reason = (row[0], row[1]) if row else (None, None)
        return _Closed(self._clock.monotonic(), until, reason)

    def _used_up(self, pot: _Pot, hour: datetime, scope: str) -> QuotaExhausted:
        whose = "of the add-on" if scope.startswith(POOL) else "of this site"
        share = "for people's requests" if pot.share == "interactive" else "for jobs"
        reason = f"this hour's API points {whose} {share} are used up"
        return QuotaExhausted(self._resume(pot.tenant_id, pot.share, hour + timedelta(hours=1)), reason)

    def _resume(self, tenant_id: TenantId, share: Share, until: datetime) -> datetime:
        return until if share == "interactive" else until + timedelta(seconds=spread(tenant_id))


def spread(tenant_id: TenantId) -> int:
    """Return the seconds after a reset at which this tenant's jobs go on, so that not all start at once."""
    digest = hashlib.sha256(tenant_id.encode()).digest()
    return int.from_bytes(digest[:4]) % SPREAD_SECONDS


def hour_of(moment: datetime) -> datetime:
    """Return the start of the UTC hour that `moment` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
