"""The hour's points of all tenants: reserved in blocks through one table, spent locally by each process.

How the hour is shared, and what happens when it is used up, is in the package's docstring. Invariant: a point is spent
only after it was reserved in the table, so that all processes together never spend more than the hour has. What calls
cost beyond their reservation is the one exception, and is booked afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from addon.base import Cache, Clock, Database, TenantId, get_logger
from addon.confluence.errors import QuotaExhausted
from addon.confluence.quota import budgets, quota_table
from addon.confluence.quota.budgets import Person, PersonBudgets
from addon.confluence.quota.fairness import Decision, decide
from addon.confluence.quota.hour import (
    EXPECTED,
    HOUR,
    OTHERS_FIRST,
    PERSONS_PART,
    hour_of,
    next_turn,
    part_of,
    reason,
    reserve_of,
    resumes_at,
)
from addon.confluence.quota.quota_table import POOL, Share
from addon.confluence.quota.ratelimits import RateLimit

log = get_logger(__name__)

BLOCK = 200
"""Points a job reserves at once: one write to the database for some hundred calls."""
PEOPLES_BLOCK = 50
"""The same for people, who together have a tenth of the points."""
CLOSED_FRESH = timedelta(seconds=5)
"""How long a process relies on what it read about a closed hour; another process may have closed it since."""
CLOSED_REMEMBERED = 10_000


@dataclass(slots=True)
class LocalBudget:
    """The points that this process has reserved for one tenant's jobs, or for its people, and not spent yet.

    All threads and runs of the process that draw on the same tenant's share have one in common. Every access is under
    `lock`.
    """

    tenant_id: TenantId
    share: Share
    lock: threading.Lock = field(default_factory=threading.Lock)
    hour: datetime | None = None
    left: int = 0
    users: int = 0
    """How many draw on it now: open clients, and calls under way."""
    drawing: bool = False
    """Whether the table says that this tenant draws."""
    refused: datetime | None = None
    """The hour for which the table knows already that this tenant wanted more."""


@dataclass(slots=True)
class Reservation:
    """Points reserved for one call until it is known what the call cost. Charged exactly once."""

    quota: Quota
    local: LocalBudget
    hour: datetime
    points: int
    person: Person | None = None
    from_reserve: bool = False
    """Whether it took from what is kept for administrators: then the rest is not left for the next caller."""

    def charge(self, spent: int) -> None:
        """Return what the call did not cost, or book what it cost beyond, in the hour in which it began."""
        self.quota._charge(self, spent)


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """A tenant's points in this hour: used and at most, of jobs and of people; until when it is closed, and why."""

    resets_at: datetime
    jobs_used: int
    jobs_limit: int
    people_used: int
    people_limit: int
    closed_until: datetime | None
    reason: str | None


class Quota:
    """The hour's points of all tenants, as this process sees and spends them. Safe to use from several threads."""

    def __init__(self, db: Database, clock: Clock, *, points: int, tenant_points: int | None = None) -> None:
        """Take the points an hour of the whole add-on, and the most of one tenant (by default as many)."""
        self._db = db
        self._clock = clock
        self._pool_points = points
        self._tenant_points = min(tenant_points or points, points)
        self._locals: dict[tuple[TenantId, Share], LocalBudget] = {}
        self._closed: Cache[TenantId, tuple[datetime | None, str | None]] = Cache(
            clock, most=CLOSED_REMEMBERED, lasts=CLOSED_FRESH
        )
        self._persons = PersonBudgets(clock)
        self._lock = threading.Lock()

    @contextmanager
    def drawing(self, tenant_id: TenantId, share: Share) -> Iterator[None]:
        """Let the caller reserve points until it leaves; the last one to leave returns what is unspent.

        The budget is common to all threads and runs of this process that draw on the tenant's share, so that nothing
        is taken from one that still works when another leaves.
        """
        local = self._local(tenant_id, share)
        with local.lock:
            local.users += 1
        try:
            yield
        finally:
            with local.lock:
                self._leave(local)

    def reserve(self, tenant_id: TenantId, share: Share, points: int) -> Reservation:
        """Reserve `points` for one call, inside `drawing`. Never call it in a write transaction of the same database.

        Raises QuotaExhausted when the hour's points are spent, or those of the person whose request is served; when
        other tenants have a claim to what is left, or Atlassian closed the hour. Raises RuntimeError outside `drawing`,
        where nothing would return the rest.
        """
        now = self._clock.now()
        local = self._local(tenant_id, share)
        if local.users == 0:
            raise RuntimeError("points are reserved by an open client only")
        self._refuse_closed(local, now)
        hour = hour_of(now)
        whole = part_of(share, self._tenant_points)
        # The most a page of a listing may cost can exceed a small quota. It still has to let single pages through, so
        # no reservation is more than a quarter of the hour; the charge after the call corrects it.
        wanted = min(points, max(1, whole // 4))
        person = budgets.served() if share == "interactive" else None
        allowance = max(1, whole * budgets.PERSON_PERCENT // 100)
        if person is not None and not self._persons.take(person, hour, wanted, allowance):
            raise QuotaExhausted(hour + HOUR, PERSONS_PART)
        reserve = 0 if person is None or person.privileged else reserve_of(share, whole)
        try:
            with local.lock:
                self._turn_hour(local, hour, now)
                from_reserve = local.left < wanted and self._draw(local, hour, now, wanted - local.left, reserve)
                local.left -= wanted
                local.users += 1
        except BaseException:
            if person is not None:
                self._persons.correct(person, hour, -wanted)
            raise
        return Reservation(self, local, hour, wanted, person, from_reserve)

    def release_all(self) -> None:
        """Return everything this process has reserved, at its end; what still draws returns its own rest."""
        with self._lock:
            found = list(self._locals.values())
        for local in found:
            with local.lock:
                self._try_to_give_back(local)

    def apply(self, tenant_id: TenantId, share: Share, limit: RateLimit) -> QuotaExhausted:
        """Close the hour for all processes as `limit` says; return the error that the caller raises."""
        now = self._clock.now()
        scope = POOL if limit.scope == "pool" else tenant_id
        points = self._pool_points if scope == POOL else self._tenant_points
        with self._db.write_all() as session:
            quota_table.close(session, hour_of(now), scope, part_of("job", points), limit.until, limit.reason)
        self._closed.clear()
        self._remember_refusal(self._local(tenant_id, share), hour_of(now))
        return QuotaExhausted(resumes_at(tenant_id, share, limit.until), limit.reason)

    def reserved(self, scope: str) -> int:
        """Return the points reserved in this hour by the jobs of `scope`: POOL or a tenant id."""
        with self._db.read_all() as session:
            return quota_table.reserved(session, hour_of(self._clock.now()), scope)

    def usage(self, tenant_id: TenantId) -> QuotaUsage:
        """Return what a tenant has used of its hour; points reserved by other processes count as used."""
        now = self._clock.now()
        hour = hour_of(now)
        used: dict[Share, int] = {}
        with self._db.read_all() as session:
            for share in ("job", "interactive"):
                local = self._local(tenant_id, share)
                unspent = local.left if local.hour == hour else 0
                scope = quota_table.scope_of(share, tenant_id)
                used[share] = max(0, quota_table.reserved(session, hour, scope) - unspent)
            until, closed_for = quota_table.closed(session, tenant_id, now)
        return QuotaUsage(
            hour + HOUR,
            used["job"],
            part_of("job", self._tenant_points),
            used["interactive"],
            part_of("interactive", self._tenant_points),
            until,
            closed_for,
        )

    def _local(self, tenant_id: TenantId, share: Share) -> LocalBudget:
        with self._lock:
            return self._locals.setdefault((tenant_id, share), LocalBudget(tenant_id, share))

    def _turn_hour(self, local: LocalBudget, hour: datetime, now: datetime) -> None:
        if local.hour != hour:
            self._give_back(local)
            quota_table.forget_old_hours(self._db, now)
            local.hour, local.left = hour, 0

    def _draw(self, local: LocalBudget, hour: datetime, now: datetime, need: int, reserve: int) -> bool:
        """Add at least `need` points to the budget, a block where there is plenty. Raises QuotaExhausted.

        Of the tenant's own points the last `reserve` stay for administrators. Return whether any came out of what is
        kept for them.
        """
        block = BLOCK if local.share == "job" else PEOPLES_BLOCK
        own_limit = part_of(local.share, self._tenant_points)
        kept = reserve_of(local.share, own_limit)
        # One transaction decides and books, with the pool's row locked from its beginning: two processes that read the
        # same rest would both take it. The cost is that draws of all tenants queue, for some milliseconds each, which
        # is why a draw takes a block and not a call's points.
        with self._db.write_all() as session:
            pool_limit = part_of(local.share, self._pool_points)
            pool = quota_table.lock_pool(session, hour, local.share, local.tenant_id, pool_limit)
            # Tenants that were refused in the last hour resume spread over SPREAD_SECONDS. Until then they have no row
            # in this hour, and the first to come would take what they were promised. After that they are not coming.
            others = pool.others(block, expecting=now < hour + EXPECTED)
            decision = Decision.USED_UP
            # A block, an eighth of one, the bare need: near the end of the pool, or of the tenant's part, a whole block
            # would be refused although the call itself fits. The smaller draws cost more transactions, only then.
            for points in dict.fromkeys((max(block, need), max(block // 8, need), need)):
                # More than the need is never taken from the reserve, even for an administrator: what is left of a
                # block is for the next caller, and that may be anyone.
                untouched = reserve if points == need else max(reserve, kept)
                if pool.had + points > own_limit - untouched:
                    continue
                decision = decide(points, had=pool.had, taken=pool.taken, limit=pool.limit, others=others)
                if decision is Decision.GRANTED:
                    quota_table.take(session, hour, local.share, local.tenant_id, own_limit, points)
                    local.left += points
                    local.drawing, local.refused = True, None
                    return pool.had + points > own_limit - kept
            turn = next_turn(local.tenant_id, local.share, now) if decision is Decision.OTHERS_FIRST else None
            waits = turn is not None and hour_of(turn) == hour
            # Written down before the run pauses, so that the other tenants leave points for it: in this hour when it
            # waits, in the next one when it was refused. Without the row the loudest tenant would get them again.
            quota_table.refuse(session, hour, local.share, local.tenant_id, own_limit, waits=waits)
        local.refused = hour
        if turn is not None:
            raise QuotaExhausted(turn, OTHERS_FIRST)
        why = reason(local.share, pool, need, own_limit - reserve)
        raise QuotaExhausted(resumes_at(local.tenant_id, local.share, hour + HOUR), why)

    def _charge(self, reservation: Reservation, spent: int) -> None:
        local, rest = reservation.local, reservation.points - spent
        if reservation.person is not None:
            self._persons.correct(reservation.person, reservation.hour, -rest)
        with local.lock:
            if local.hour == reservation.hour and not reservation.from_reserve:
                local.left += rest
            elif rest:
                # The call began in an hour that is over, or with points for administrators: neither may be mixed with
                # what the budget has now.
                try:
                    with self._db.write_all() as session:
                        quota_table.give_back(session, reservation.hour, local.share, local.tenant_id, rest)
                except SQLAlchemyError as error:
                    log.warning(
                        "points that a call did not cost stay reserved",
                        action="points_kept",
                        tenant=local.tenant_id,
                        points=rest,
                        error=str(error),
                    )
            self._leave(local)

    def _leave(self, local: LocalBudget) -> None:
        local.users -= 1
        if local.users == 0:
            self._try_to_give_back(local)

    def _try_to_give_back(self, local: LocalBudget) -> None:
        """Give back, unless the database is away: then the rest stays for the next draw, and goes back with that.

        The one who leaves has an outcome of its own to report, which a failure here must not hide.
        """
        try:
            self._give_back(local)
        except SQLAlchemyError as error:
            log.warning(
                "points could not be given back now",
                action="points_not_returned",
                tenant=local.tenant_id,
                points=local.left,
                error=str(error),
            )

    def _give_back(self, local: LocalBudget) -> None:
        """Return the rest, or book what calls cost beyond what was reserved for them."""
        if local.hour is not None and (local.left or local.drawing):
            with self._db.write_all() as session:
                quota_table.give_back(session, local.hour, local.share, local.tenant_id, local.left)
        local.left, local.drawing = 0, False

    def _remember_refusal(self, local: LocalBudget, hour: datetime) -> None:
        """Let others leave this tenant its part of the next hour, in which it will resume."""
        if local.share == "interactive" or local.refused == hour:
            return
        own_limit = part_of(local.share, self._tenant_points)
        with self._db.write_all() as session:
            quota_table.refuse(session, hour, local.share, local.tenant_id, own_limit)
        local.refused = hour

    def _refuse_closed(self, local: LocalBudget, now: datetime) -> None:
        known = self._closed.get(local.tenant_id)
        if known is not None:
            until, closed_for = known.value
        else:
            with self._db.read_all() as session:
                until, closed_for = quota_table.closed(session, local.tenant_id, now)
            self._closed.put(local.tenant_id, (until, closed_for))
        if until is not None and until > now:
            self._remember_refusal(local, hour_of(now))
            raise QuotaExhausted(resumes_at(local.tenant_id, local.share, until), closed_for or "quota")
