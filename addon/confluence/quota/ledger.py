"""May this call be made now, and who pays? The hour's points, shared by all processes through one table.

A process reserves blocks of points, on the pool's row and the tenant's in one transaction, and spends them locally
(docs/rules/quota.md). How much one tenant may take beside the others: shares.py. People at the screens have a share of
their own, so that a long job never locks them out; how much of it one of them may take: budgets.py.

Points are reserved inside `Quota.drawing` only, and what was not spent goes back with the last who draws on the same
pot: with the client of a run that ends, pauses or loses its lease. What a process that dies had reserved is lost until
the hour turns (docs/adr/0020).
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from addon.base import Clock, Database, TenantId
from addon.confluence.errors import QuotaExhausted
from addon.confluence.quota import budgets, shares
from addon.confluence.quota import quota_table as rows
from addon.confluence.quota.budgets import Budgets, Person
from addon.confluence.quota.quota_table import POOL, Share
from addon.confluence.quota.ratelimits import Verdict

__all__ = ["BLOCK", "POOL", "SPREAD_SECONDS", "Hold", "Quota", "Share", "Usage", "hour_of", "spread"]

log = logging.getLogger(__name__)

BLOCK = 200
"""Points a job reserves at once."""
PEOPLES_BLOCK = 50
INTERACTIVE_PERCENT = 10
SPREAD_SECONDS = 600
EXPECTED = timedelta(seconds=SPREAD_SECONDS + 120)
"""How long into an hour those are waited for that were refused in the last one."""
TURN_SECONDS = 600
"""How long a run pauses while other tenants have a claim to what is left."""
_CLOSED_FRESH_SECONDS = 5.0

_USED_UP = "this hour's API points {whose} {share} are used up"
_PERSONS_PART = "your own part of this hour's API points for people's requests is used up"
_HAD_ITS_SHARE = "this site has had its share of this hour's API points; what is left is kept for other sites"
_OTHERS_FIRST = "other sites are getting their share of this hour's API points first"


@dataclass(slots=True)
class _Pot:
    tenant_id: TenantId
    share: Share
    lock: threading.Lock = field(default_factory=threading.Lock)
    hour: datetime | None = None
    left: int = 0
    users: int = 0
    """Who draws on it now: open clients, and calls under way."""
    drawing: bool = False
    """Whether the table says that somebody here draws from the row."""
    refused: datetime | None = None
    """The hour for which the table knows already that this tenant wanted more."""


@dataclass(slots=True)
class Hold:
    """Points set aside for one call until it is known what it cost. Settled exactly once."""

    quota: Quota
    pot: _Pot
    hour: datetime
    points: int
    person: Person | None = None
    reserved: bool = False
    """Whether it was drawn from what is kept for administrators: then the rest is not for the next who comes."""

    def settle(self, spent: int) -> None:
        """Give back what the call did not cost, or take what it cost beyond; in the hour in which it began."""
        self.quota._settle(self, spent)


@dataclass(frozen=True, slots=True)
class Usage:
    """A tenant's points in this hour: used and at most, of jobs and of people; until when it is closed, and why."""

    resets_at: datetime
    jobs_used: int
    jobs_limit: int
    people_used: int
    people_limit: int
    closed_until: datetime | None
    reason: str | None


@dataclass(slots=True)
class _Closed:
    read_at: float
    until: datetime | None
    reason: str | None


class Quota:
    """The hour's points of all tenants, as this process sees and spends them."""

    def __init__(self, db: Database, clock: Clock, *, points: int, tenant_points: int | None = None) -> None:
        """Take the points an hour of the whole add-on, and the most of one tenant (by default as many)."""
        self._db = db
        self._clock = clock
        self._pool_points = points
        self._tenant_points = min(tenant_points or points, points)
        self._pots: dict[tuple[TenantId, Share], _Pot] = {}
        self._closed: dict[TenantId, _Closed] = {}
        self._budgets = Budgets()
        self._lock = threading.Lock()

    @contextmanager
    def drawing(self, tenant_id: TenantId, share: Share) -> Iterator[None]:
        """Let the caller reserve points until it leaves; with the last who draws on them, the unspent ones go back.

        Threads and runs of this process that draw on the same tenant's share have one pot in common, so that nothing
        is taken from one that still works when another leaves.
        """
        pot = self._pot(tenant_id, share)
        with pot.lock:
            pot.users += 1
        try:
            yield
        finally:
            with pot.lock:
                self._leave(pot)

    def reserve(self, tenant_id: TenantId, share: Share, points: int) -> Hold:
        """Set `points` aside for one call, inside `drawing`. Never call it in a write transaction of the same database.

        Raises QuotaExhausted when the hour's points are spent, or those of the person whose request is served; when
        other tenants have a claim to what is left, or Atlassian closed the hour. Raises RuntimeError outside `drawing`,
        where nobody would give the rest back.
        """
        now = self._clock.now()
        pot = self._pot(tenant_id, share)
        if pot.users == 0:
            raise RuntimeError("points are reserved by an open client only")
        self._refuse_closed(pot, now)
        hour = hour_of(now)
        whole = _part(share, self._tenant_points)
        # A quota that is small against one page must still let single pages through; settling corrects.
        wanted = min(points, max(1, whole // 4))
        person = budgets.served() if share == "interactive" else None
        budget = max(1, whole * budgets.PERSON_PERCENT // 100)
        if person is not None and not self._budgets.take(person, hour, wanted, budget):
            raise QuotaExhausted(hour + timedelta(hours=1), _PERSONS_PART)
        reserve = 0 if person is None or person.privileged else _kept(share, whole)
        try:
            with pot.lock:
                self._turn(pot, hour, now)
                reserved = pot.left < wanted and self._draw(pot, hour, now, wanted - pot.left, reserve)
                pot.left -= wanted
                pot.users += 1
        except BaseException:
            if person is not None:
                self._budgets.correct(person, hour, -wanted)
            raise
        return Hold(self, pot, hour, wanted, person, reserved)

    def release_all(self) -> None:
        """Give back everything this process holds, at its end; what still draws gives its own rest back."""
        with self._lock:
            pots = list(self._pots.values())
        for pot in pots:
            with pot.lock:
                self._try_to_give_back(pot)

    def apply(self, tenant_id: TenantId, share: Share, verdict: Verdict) -> QuotaExhausted:
        """Close the hour for all processes as `verdict` says; return the error that the caller raises."""
        now = self._clock.now()
        scope = POOL if verdict.scope == "pool" else tenant_id
        points = self._pool_points if scope == POOL else self._tenant_points
        with self._db.write_all() as session:
            rows.close(session, hour_of(now), scope, _part("job", points), verdict.until, verdict.reason)
        with self._lock:
            self._closed.clear()
        self._remember_refusal(self._pot(tenant_id, share), hour_of(now))
        return QuotaExhausted(self._resume(tenant_id, share, verdict.until), verdict.reason)

    def reserved(self, scope: str) -> int:
        """Return the points reserved in this hour by the jobs of `scope`: POOL or a tenant id."""
        with self._db.read_all() as session:
            return rows.reserved(session, hour_of(self._clock.now()), scope)

    def usage(self, tenant_id: TenantId) -> Usage:
        """Return what a tenant has used of its hour; points reserved by other processes count as used."""
        now = self._clock.now()
        hour = hour_of(now)
        used: dict[Share, int] = {}
        with self._db.read_all() as session:
            for share in ("job", "interactive"):
                pot = self._pot(tenant_id, share)
                unspent = pot.left if pot.hour == hour else 0
                used[share] = max(0, rows.reserved(session, hour, rows.scope_of(share, tenant_id)) - unspent)
            until, reason = rows.closed(session, tenant_id, now)
        return Usage(
            hour + timedelta(hours=1),
            used["job"],
            _part("job", self._tenant_points),
            used["interactive"],
            _part("interactive", self._tenant_points),
            until,
            reason,
        )

    def _pot(self, tenant_id: TenantId, share: Share) -> _Pot:
        with self._lock:
            return self._pots.setdefault((tenant_id, share), _Pot(tenant_id, share))

    def _turn(self, pot: _Pot, hour: datetime, now: datetime) -> None:
        if pot.hour != hour:
            self._give_back(pot)
            rows.forget_old_hours(self._db, now)
            pot.hour, pot.left = hour, 0

    def _draw(self, pot: _Pot, hour: datetime, now: datetime, need: int, reserve: int) -> bool:
        """Add at least `need` points to the pot, more where there is plenty. Raises QuotaExhausted.

        Of the tenant's own points the last `reserve` stay. Return whether any came out of what is kept for
        administrators: those are no more than is needed.
        """
        block = BLOCK if pot.share == "job" else PEOPLES_BLOCK
        own_limit = _part(pot.share, self._tenant_points)
        with self._db.write_all() as session:
            hall = rows.enter(session, hour, pot.share, pot.tenant_id, _part(pot.share, self._pool_points))
            others = hall.others(block, expecting=now < hour + EXPECTED)
            verdict = shares.Verdict.USED_UP
            kept = _kept(pot.share, own_limit)
            for points in dict.fromkeys((max(block, need), max(block // 8, need), need)):
                if hall.had + points > own_limit - (reserve if points == need else max(reserve, kept)):
                    continue
                verdict = shares.ask(points, had=hall.had, taken=hall.taken, limit=hall.limit, others=others)
                if verdict is shares.Verdict.GRANTED:
                    rows.take(session, hour, pot.share, pot.tenant_id, own_limit, points)
                    pot.left += points
                    pot.drawing = True
                    pot.refused = None
                    return hall.had + points > own_limit - kept
            turn = self._later(pot, now) if verdict is shares.Verdict.OTHERS_FIRST else None
            waits = turn is not None and hour_of(turn) == hour
            rows.refuse(session, hour, pot.share, pot.tenant_id, own_limit, waits=waits)
        pot.refused = hour
        if turn is not None:
            raise QuotaExhausted(turn, _OTHERS_FIRST)
        whole = hall.had + need <= own_limit - reserve
        reason = _HAD_ITS_SHARE if whole and hall.taken + need <= hall.limit else _used_up(pot.share, whole)
        raise QuotaExhausted(self._resume(pot.tenant_id, pot.share, hour + timedelta(hours=1)), reason)

    def _settle(self, hold: Hold, spent: int) -> None:
        pot, rest = hold.pot, hold.points - spent
        if hold.person is not None:
            self._budgets.correct(hold.person, hold.hour, -rest)
        with pot.lock:
            if pot.hour == hold.hour and not hold.reserved:
                pot.left += rest
            elif rest:
                try:
                    with self._db.write_all() as session:
                        rows.give_back(session, hold.hour, pot.share, pot.tenant_id, rest)
                except SQLAlchemyError as error:
                    log.warning(
                        "tenant %s: %s points that a call did not cost stay reserved: %s", pot.tenant_id, rest, error
                    )
            self._leave(pot)

    def _leave(self, pot: _Pot) -> None:
        pot.users -= 1
        if pot.users == 0:
            self._try_to_give_back(pot)

    def _try_to_give_back(self, pot: _Pot) -> None:
        """Give back, unless the database is away: then the rest is there for who draws next, and goes back with that.

        Whoever leaves has an outcome of its own to tell, which a failure here must not hide.
        """
        try:
            self._give_back(pot)
        except SQLAlchemyError as error:
            log.warning("tenant %s: %s points could not be given back now: %s", pot.tenant_id, pot.left, error)

    def _give_back(self, pot: _Pot) -> None:
        """Return the rest, or book what calls cost beyond what was reserved for them."""
        if pot.hour is not None and (pot.left or pot.drawing):
            with self._db.write_all() as session:
                rows.give_back(session, pot.hour, pot.share, pot.tenant_id, pot.left)
        pot.left, pot.drawing = 0, False

    def _remember_refusal(self, pot: _Pot, hour: datetime) -> None:
        """Let others leave this tenant its part of the next hour, where it will go on."""
        if pot.share == "interactive" or pot.refused == hour:
            return
        with self._db.write_all() as session:
            rows.refuse(session, hour, pot.share, pot.tenant_id, _part(pot.share, self._tenant_points))
        pot.refused = hour

    def _refuse_closed(self, pot: _Pot, now: datetime) -> None:
        known = self._closed.get(pot.tenant_id)
        if known is None or self._clock.monotonic() - known.read_at > _CLOSED_FRESH_SECONDS:
            with self._db.read_all() as session:
                until, reason = rows.closed(session, pot.tenant_id, now)
            known = _Closed(self._clock.monotonic(), until, reason)
            with self._lock:
                self._closed[pot.tenant_id] = known
        if known.until is not None and known.until > now:
            self._remember_refusal(pot, hour_of(now))
            raise QuotaExhausted(self._resume(pot.tenant_id, pot.share, known.until), known.reason or "quota")

    def _resume(self, tenant_id: TenantId, share: Share, until: datetime) -> datetime:
        return until if share == "interactive" else until + timedelta(seconds=spread(tenant_id))

    def _later(self, pot: _Pot, now: datetime) -> datetime:
        turn = now + timedelta(seconds=TURN_SECONDS + spread(pot.tenant_id) // 10)
        return min(turn, self._resume(pot.tenant_id, pot.share, hour_of(now) + timedelta(hours=1)))


def spread(tenant_id: TenantId) -> int:
    """Return the seconds after a reset at which this tenant's jobs go on, so that not all start at once."""
    digest = hashlib.sha256(tenant_id.encode()).digest()
    return int.from_bytes(digest[:4]) % SPREAD_SECONDS


def hour_of(moment: datetime) -> datetime:
    """Return the start of the UTC hour that `moment` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _part(share: Literal["job", "interactive"], points: int) -> int:
    interactive = points * INTERACTIVE_PERCENT // 100
    return interactive if share == "interactive" else points - interactive


def _kept(share: Share, limit: int) -> int:
    return limit * budgets.RESERVE_PERCENT // 100 if share == "interactive" else 0


def _used_up(share: Share, whole: bool) -> str:
    return _USED_UP.format(
        whose="of the add-on" if whole else "of this site",
        share="for people's requests" if share == "interactive" else "for jobs",
    )
