"""The clock of leases: PostgreSQL's own, so that no host's clock can end or prolong a lease.

SQLite is one process by contract, so its own clock serves, and so does a test's (docs/adr/0011).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from addon.base import Clock, Database, SystemClock, UtcDateTime

Column = InstrumentedAttribute[datetime | None]


class LeaseTime:
    """The present as an SQL expression, judged and added to inside the statement that needs it."""

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

    def over(self, until: Column, ttl: float) -> sa.ColumnElement[bool]:
        """Say of a lease of `ttl` seconds that it is over: it has ended, or ends later than any that was given can."""
        return sa.or_(until < self.now(), until > self.after(2 * ttl))

    def read(self, session: Session) -> datetime:
        """Return the present as a value, for what every process has to see alike (due slots)."""
        if not self.of_database:
            return self._clock.now()
        return session.execute(sa.select(self.now())).scalar_one()
