"""The rows of the outbox and their transitions, each one conditional UPDATE; none of them talks to a server.

A mail is `pending` until it is `sent`, `suppressed` (no usable address) or `dead` (refused permanently, tried too
often, or of unknown fate). The states and what leads from one to the other: addon/mail/__init__.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, TenantId, chunks, insert, new_id
from addon.mail.models import OutboxMail

UNKNOWN = "the sender stopped after the mail was handed over; whether it arrived is unknown, so it is not sent again"
LEASE = timedelta(seconds=120)
WAITS_AT_MOST = timedelta(hours=72)
"""How long a mail waits for a server that takes no mail of ours."""
HOURS = WAITS_AT_MOST // timedelta(hours=1)
LONGEST_WAIT = timedelta(days=1)
"""Longer than a mail is ever put off."""
ENQUEUE_BATCH = 500
EMPTIED = {"subject": "", "text": "", "html": ""}
"""A mail that ended keeps no names and titles."""
FREE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
"""No sender has the mail."""
ENDED: dict[str, Any] = {**FREE, **EMPTIED}

METRICS = {"sent": "emailsSent", "dead": "emailsFailed", "suppressed": "emailsSuppressed", "pending": "emailsPending"}


@dataclass(frozen=True, slots=True)
class NewMail:
    """A mail that was decided on: one per account and execution. The address is looked up when it is sent."""

    tenant_id: TenantId
    execution_id: str
    account_id: str
    subject: str
    text: str
    html: str

    @property
    def dedupe_key(self) -> str:
        """What makes a repeated decision the same mail."""
        return f"{self.tenant_id}:{self.execution_id}:{self.account_id}"


def enqueue(session: Session, mails: Sequence[NewMail], *, clock: Clock, message_id: Callable[[str], str]) -> int:
    """Put `mails` into the outbox and return how many were new; those already there stay as they are.

    `message_id` makes a Message-ID from a dedupe key. The caller keeps a transaction to about 500 mails.
    """
    now = clock.now()
    added = 0
    for some in chunks(mails, ENQUEUE_BATCH):
        rows = [
            {
                "id": new_id(),
                "tenant_id": mail.tenant_id,
                "execution_id": mail.execution_id,
                "dedupe_key": mail.dedupe_key,
                "account_id": mail.account_id,
                "message_id": message_id(mail.dedupe_key),
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
                "state": "pending",
                "attempts": 0,
                "not_before": now,
                "created_at": now,
            }
            for mail in some
        ]
        added += len(
            session.scalars(
                insert(session, OutboxMail)
                .values(rows)
                .on_conflict_do_nothing(index_elements=["dedupe_key"])
                .returning(OutboxMail.id)
            ).all()
        )
    return added


def scope_of(tenant_id: TenantId | None = None, execution_id: str | None = None) -> sa.ColumnElement[bool]:
    """Say of a mail that it is one of the tenant's, and one of the execution's, where these are given."""
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if tenant_id is not None:
        conditions.append(OutboxMail.tenant_id == tenant_id)
    if execution_id is not None:
        conditions.append(OutboxMail.execution_id == execution_id)
    return sa.and_(*conditions)


def counts(session: Session, execution_id: str) -> dict[str, int]:
    """Return emailsSent, emailsFailed, emailsSuppressed and emailsPending of one execution, as of now."""
    found: dict[str, int] = {}
    by_state = sa.select(OutboxMail.state, sa.func.count()).where(OutboxMail.execution_id == execution_id)
    for state, number in session.execute(by_state.group_by(OutboxMail.state)):
        found[state] = number
    return {metric: found.get(state, 0) for state, metric in METRICS.items()}


def drop_unsent(session: Session, scope: sa.ColumnElement[bool], *, reason: str, clock: Clock) -> int:
    """End every mail of `scope` that was not handed over yet as `dead`; return how many there were."""
    return _changed(
        session,
        sa.update(OutboxMail)
        .where(scope, OutboxMail.state == "pending", OutboxMail.begun_at.is_(None))
        .values(state="dead", reason=reason, ended_at=clock.now(), **ENDED),
    )


def void_leases(session: Session, clock: Clock) -> int:
    """Take every lease away, because no sender is alive; return the mails that had been handed over: now `dead`."""
    lost = Outbox(clock, "").close_unknown(session, sa.true(), expired_only=False)
    pending = sa.update(OutboxMail).where(OutboxMail.state == "pending", OutboxMail.lease_owner.is_not(None))
    _changed(session, pending.values(**FREE))
    return lost


def is_due(now: datetime) -> sa.ColumnElement[bool]:
    """Say of a mail that it may be tried. Only a wrong clock can have put one off for longer than LONGEST_WAIT."""
    return sa.or_(OutboxMail.not_before <= now, OutboxMail.not_before > now + LONGEST_WAIT)


def lease_over(now: datetime) -> sa.ColumnElement[bool]:
    """Say of a lease that it has ended, or ends later than any that was given can."""
    return sa.or_(OutboxMail.lease_until <= now, OutboxMail.lease_until > now + 2 * LEASE)


class Outbox:
    """The outbox in the hands of one sender. Every method is one short transaction's work; none talks to a server."""

    def __init__(self, clock: Clock, owner: str) -> None:
        self._clock = clock
        self._owner = owner

    def lease(
        self, session: Session, scope: sa.ColumnElement[bool], due: datetime, limit: int, *, take: bool
    ) -> list[OutboxMail]:
        """Lease up to `limit` mails of `scope` due at the moment `due`, oldest first.

        `take`: also mails that another sender has leased and not handed over; its `begin` will fail.
        """
        now = self._clock.now()
        free = sa.or_(OutboxMail.lease_until.is_(None), lease_over(now))
        if take:
            free = sa.or_(free, OutboxMail.lease_owner != self._owner)
        open_ = sa.and_(OutboxMail.state == "pending", OutboxMail.begun_at.is_(None), is_due(due), free)
        chosen = (
            sa.select(OutboxMail.id)
            .where(scope, open_)
            .order_by(OutboxMail.not_before, OutboxMail.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            # As a plain subquery PostgreSQL may run it once for each row, and the limit would be none.
            .cte("chosen")
        )
        rows = session.scalars(
            sa.update(OutboxMail)
            .where(OutboxMail.id.in_(sa.select(chosen.c.id)), open_)
            .values(lease_owner=self._owner, lease_until=now + LEASE)
            .returning(OutboxMail)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return sorted(rows, key=lambda row: (row.not_before, row.id))

    def renew(self, session: Session) -> None:
        """Keep this sender's leases for another while."""
        session.execute(self._own().values(lease_until=self._clock.now() + LEASE))

    def begin(self, session: Session, mail: OutboxMail) -> bool:
        """Record that the content goes out now; False when another sender or an end of the mail came first.

        The one step that only one sender gets through. After it the mail is never sent again unless the server refuses
        it: better a digest that one person misses than two. The cost is a transaction for each mail in the middle of
        the dialogue, which keeps the server waiting for as long as the database takes.
        """
        now = self._clock.now()
        return bool(
            _changed(
                session,
                self._own()
                .where(OutboxMail.id == mail.id)
                .values(begun_at=now, lease_until=now + LEASE, attempts=OutboxMail.attempts + 1),
            )
        )

    def sent(self, session: Session, mail: OutboxMail) -> None:
        """Record that the server accepted the mail, also when it was given up as unknown meanwhile.

        The owner stays in a row that was given up (`close_unknown`), so that a sender that was only slow is believed.
        """
        session.execute(
            sa.update(OutboxMail)
            .where(
                OutboxMail.id == mail.id,
                OutboxMail.lease_owner == self._owner,
                OutboxMail.begun_at.is_not(None),
                OutboxMail.state.in_(("pending", "dead")),
            )
            .values(state="sent", reason=None, ended_at=self._clock.now(), **ENDED)
            .execution_options(synchronize_session=False)
        )

    def end(self, session: Session, mail: OutboxMail, state: str, reason: str) -> None:
        """Record that the mail is `dead` or `suppressed`, if it is still this sender's."""
        session.execute(
            self._own(begun=None)
            .where(OutboxMail.id == mail.id)
            .values(state=state, reason=reason, ended_at=self._clock.now(), **ENDED)
        )

    def again(self, session: Session, mail: OutboxMail, reason: str, delay: timedelta, *, attempt: bool) -> None:
        """Record that the mail was not accepted and is tried again after `delay`.

        `attempt`: the server judged this mail, which counts as an attempt. Otherwise it takes no mail now.
        """
        # `begin` has counted an attempt already, before anything was known of its end.
        counted = sa.case((OutboxMail.begun_at.is_(None), 0), else_=1)
        session.execute(
            self._own(begun=None)
            .where(OutboxMail.id == mail.id)
            .values(
                attempts=OutboxMail.attempts - counted + int(attempt),
                begun_at=None,
                not_before=self._clock.now() + delay,
                reason=reason,
                **FREE,
            )
        )

    def release(self, session: Session, *, delay: timedelta | None = None, reason: str | None = None) -> None:
        """Give back every leased mail that was not handed over; with `delay`, to be looked at after it only."""
        values = dict(FREE)
        if delay is not None:
            values["not_before"] = self._clock.now() + delay
        if reason is not None:
            values["reason"] = reason
        session.execute(self._own().values(**values))

    def give_up(self, session: Session, scope: sa.ColumnElement[bool], reason: str) -> int:
        """End the mails of `scope` that no server took for WAITS_AT_MOST as `dead`; return how many there were."""
        now = self._clock.now()
        free = sa.or_(OutboxMail.lease_until.is_(None), lease_over(now))
        old = sa.and_(OutboxMail.state == "pending", OutboxMail.begun_at.is_(None), free)
        statement = sa.update(OutboxMail).where(scope, old, OutboxMail.created_at <= now - WAITS_AT_MOST)
        return _changed(
            session,
            statement.values(
                state="dead",
                reason=f"given up after {HOURS} hours: {reason}",
                ended_at=now,
                **ENDED,
            ),
        )

    def close_unknown(self, session: Session, scope: sa.ColumnElement[bool], *, expired_only: bool = True) -> int:
        """End the mails of `scope` whose sender stopped after the hand-over; return how many there were.

        The owner stays in the row: a sender that was merely slow can still report that the server accepted.
        """
        statement = sa.update(OutboxMail).where(scope, OutboxMail.state == "pending", OutboxMail.begun_at.is_not(None))
        if expired_only:
            statement = statement.where(lease_over(self._clock.now()))
        return _changed(session, statement.values(state="dead", reason=UNKNOWN, ended_at=self._clock.now(), **EMPTIED))

    def _own(self, *, begun: bool | None = False) -> sa.Update:
        """Return an UPDATE of this sender's open mails; `begun` None: whether their content went out or not."""
        statement = (
            sa.update(OutboxMail)
            .where(OutboxMail.lease_owner == self._owner, OutboxMail.state == "pending")
            .execution_options(synchronize_session=False)
        )
        return statement if begun is None else statement.where(OutboxMail.begun_at.is_(None))


def _changed(session: Session, statement: sa.Update) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]
