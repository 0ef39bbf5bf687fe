"""The context that all parts of one process's engine share: database, clocks, numbers, jobs and dispatcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from addon.base import Clock, Database, SystemClock, TenantId, UtcDateTime, new_id
from addon.engine.job import Job
from addon.engine.settings import EngineSettings
from addon.engine.wake.dispatcher import Dispatcher

PolicyVersion = Callable[[Session, TenantId], int]
_Column = InstrumentedAttribute[datetime | None]


class LeaseTime:
    """The clock of leases: PostgreSQL's own, so that no host's clock can end or prolong a lease.

    It is an SQL expression, judged and added to inside the statement that needs it. SQLite is one process by contract,
    so its own clock serves, and so does a test's (docs/adr/0011).
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        """Use the database's clock where `clock` is a machine's and several machines may share the database."""
        self._clock = clock
        self.of_database = not db.is_sqlite and isinstance(clock, SystemClock)

    def now(self) -> sa.ColumnElement[datetime]:
        """Return the present: on PostgreSQL when the transaction began, which is never too late for a lease."""
        if self.of_database:
            return sa.func.now(type_=UtcDateTime())
        return sa.literal(self._clock.now(), UtcDateTime())

    def after(self, seconds: float) -> sa.ColumnElement[datetime]:
        """Return the moment `seconds` from now: where a lease ends."""
        span = timedelta(seconds=seconds)
        if self.of_database:
            return sa.func.now(type_=UtcDateTime()) + sa.literal(span, sa.Interval())
        return sa.literal(self._clock.now() + span, UtcDateTime())

    def over(self, until: _Column, ttl: float) -> sa.ColumnElement[bool]:
        """Say of a lease of `ttl` seconds that it is over: it has ended, or ends later than any that was given can."""
        return sa.or_(until < self.now(), until > self.after(2 * ttl))

    def read(self, session: Session) -> datetime:
        """Return the present as a value, for what every process has to see alike (due slots)."""
        if not self.of_database:
            return self._clock.now()
        return session.execute(sa.select(self.now())).scalar_one()


@dataclass(frozen=True, slots=True)
class EngineContext:
    """Passed to every part.

    Parameters:
        db, clock, settings, jobs: as given to the engine.
        dispatcher: wakes runners, here or in another process.
        policy_version: returns the version of a tenant's policies that a new execution keeps.
        time: the clock of leases and due slots.
        worker_id: this process as an owner; new at every start, so that no old lease is ever taken for ours.
    """

    db: Database
    clock: Clock
    settings: EngineSettings
    jobs: Mapping[str, Job]
    dispatcher: Dispatcher
    policy_version: PolicyVersion
    time: LeaseTime
    worker_id: str = field(default_factory=new_id)
    passed_over: set[TenantId] = field(default_factory=set)
    """Tenants that the last ticks looked at and for which nothing could start: the others come first."""
    slow: set[TenantId] = field(default_factory=set)
    """Tenants whose last look failed or took long: all others come before them."""
    verified: list[str] = field(default_factory=list)
    """The id of the schedule up to which next times were compared with the clock, none at the beginning."""
