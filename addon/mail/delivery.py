"""One call of `send_due`: each due mail is tried once, and its outcome is recorded at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.errors import MessageError
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, backoff, get_logger
from addon.mail.message import Sender, usable_address, without_addresses
from addon.mail.models import OutboxMail
from addon.mail.outbox import HOURS, LEASE, UNKNOWN, WAITS_AT_MOST, Outbox
from addon.mail.transport import ConnectionLost, Conversation, MailRefused, ServerDown, ServerUnwilling, Transport

log = get_logger(__name__)

Addresses = Callable[[TenantId, Sequence[str]], Mapping[str, str | None]]
"""(tenant, account ids) -> the address of each, None or absent where Confluence shows none. May raise."""

BATCH = 50
TURN = 10
"""Mails of one tenant while others have due mails too: however many it has, the others wait for no more than this."""
FIRST_DELAY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(hours=6)
LOOK_UP_DELAY = timedelta(minutes=5)
SERVER_DELAY = timedelta(minutes=5)
"""How long mails wait for a server that cannot be used."""
MAX_UNWILLING = 3
"""Mails in a row that the server would not take from us before the others are left alone for now."""
NO_ADDRESS = "Confluence shows no mail address for this person"
BAD_ADDRESS = "the mail address of this person cannot be used"


@dataclass(slots=True)
class Sent:
    """What one call of `send_due` did, in mails; `pending` ones are still in its scope, leased or put off ones too."""

    sent: int = 0
    failed: int = 0
    suppressed: int = 0
    pending: int = 0

    @property
    def handled(self) -> int:
        """Return how many mails came to an end."""
        return self.sent + self.failed + self.suppressed


class After(Enum):
    """What makes sense after a tenant's turn."""

    MAYBE_MORE = "the tenant may have more due mails"
    NONE_LEFT = "the tenant has none that are ours to send"
    STOP = "no mail of any tenant is to be tried now"


class Taken(Exception):
    """Another sender has this mail now, or it has ended: it is not ours to hand over."""


class LookUpFailed(Exception):
    """The addresses of a tenant's people could not be asked for; the cause says why."""


def delay(attempts: int) -> timedelta:
    """Return how long a mail waits after its `attempts`-th failure: 1, 4, 16, 64, 256 minutes, then 6 hours."""
    # Two doublings for each failure.
    doublings = 2 * (max(attempts, 1) - 1)
    return timedelta(
        seconds=backoff(doublings, first=FIRST_DELAY.total_seconds(), longest=LONGEST_DELAY.total_seconds())
    )


@dataclass(slots=True)
class Delivery:
    """One call of `send_due` over one scope of mails: what it works with, and what it found out of the server.

    `due` is the moment the call began: what is put off meanwhile is not due any more, so nothing is tried twice.
    `deadline` is a monotonic time after which no further mail is begun. `take`: see Outbox.lease.
    """

    db: Database
    clock: Clock
    transport: Transport
    sender: Sender
    outbox: Outbox
    addresses: Addresses
    before_each: Callable[[], None]
    due: datetime
    deadline: float
    take: bool
    max_attempts: int
    per_minute: int = 0
    """Mails that may be handed over in a minute; 0: any number."""
    result: Sent = field(default_factory=Sent)
    renewed: float = 0.0
    down: str | None = None
    """Why the server takes no mail of ours at all, where that was found out."""
    reached: bool = False
    """Whether the server took or judged a mail."""
    unwilling: int = 0

    def turn(self, tenant_id: TenantId, scope: sa.ColumnElement[bool], most: int) -> After:
        """Send up to `most` due mails of one tenant; return what makes sense afterwards.

        Raises LookUpFailed, and what `before_each` raises.
        """
        if self.clock.monotonic() >= self.deadline:
            return After.STOP
        self.before_each()
        # Before leasing: what the rate leaves no room for stays free for other senders.
        most = min(most, self._left_this_minute())
        if most <= 0:
            return After.STOP
        with self.db.write(tenant_id) as session:
            mails = self.outbox.lease(session, scope, self.due, most, take=self.take)
        if not mails:
            return After.NONE_LEFT
        self.renewed = self.clock.monotonic()
        try:
            found = self.addresses(tenant_id, sorted({mail.account_id for mail in mails}))
        except Exception as error:
            raise LookUpFailed(str(error)) from error
        try:
            return After.MAYBE_MORE if self._batch(tenant_id, mails, found) else After.STOP
        except Taken as error:
            log.info("a mail was taken over by another sender", action="mail_taken", tenant=tenant_id, mail=str(error))
            return After.NONE_LEFT

    def _left_this_minute(self) -> int:
        """Return how many mails may still be begun, by what all processes have handed over in the last minute.

        Two that look at the same moment see the same number, so the rate may be exceeded by one batch for each of them.
        """
        if not self.per_minute:
            return BATCH
        recent = sa.select(sa.func.count()).where(OutboxMail.begun_at > self.clock.now() - timedelta(minutes=1))
        with self.db.read_all() as session:
            return self.per_minute - (session.scalar(recent) or 0)

    def put_off(self, tenant_id: TenantId) -> None:
        """Give the leased mails back, to be looked at again in a while."""
        with self.db.write(tenant_id) as session:
            self.outbox.release(session, delay=LOOK_UP_DELAY)

    def _batch(self, tenant_id: TenantId, mails: Sequence[OutboxMail], found: Mapping[str, str | None]) -> bool:
        with self.transport.session() as conversation:
            for mail in mails:
                if self.clock.monotonic() >= self.deadline:
                    return False
                self.before_each()
                self._keep_leases(tenant_id)
                try:
                    self._one(conversation, mail, found.get(mail.account_id))
                except ServerDown as error:
                    log.warning(
                        "mails wait for their server", action="mail_server_down", tenant=tenant_id, error=str(error)
                    )
                    self.down = str(error)
                    with self.db.write(tenant_id) as session:
                        self.outbox.release(session, delay=SERVER_DELAY, reason=str(error))
                    return False
                if self.down:
                    return False
        return True

    def _one(self, conversation: Conversation, mail: OutboxMail, address: str | None) -> None:
        if not address or not usable_address(address):
            self._end(mail, "suppressed", BAD_ADDRESS if address else NO_ADDRESS)
            return
        try:
            content = self._content(mail, address)
        except (ValueError, LookupError, TypeError, MessageError) as error:
            # A mail that cannot be written today cannot be written tomorrow, and the others wait behind it.
            self._end(mail, "dead", f"cannot be written as a mail: {without_addresses(str(error))}")
            return
        try:
            conversation.deliver(self.sender.address, address, content, lambda: self._begin(mail))
        except ServerUnwilling as error:
            self._not_now(mail, str(error))
        except MailRefused as error:
            self.unwilling, self.reached = 0, True
            if error.permanent:
                self._end(mail, "dead", str(error))
            else:
                self._again(mail, str(error))
        except ConnectionLost as error:
            # The server may have accepted it: sending it again could send it twice (docs/adr/0006).
            if error.handed_over:
                self._end(mail, "dead", UNKNOWN)
            else:
                self._not_now(mail, str(error))
        else:
            self.unwilling, self.reached = 0, True
            with self._writing(mail) as session:
                self.outbox.sent(session, mail)
            self.result.sent += 1

    def _not_now(self, mail: OutboxMail, reason: str) -> None:
        """Put a mail off of which the server said nothing.

        It may be the only one (one domain that is not relayed), so the mails behind it have their turn. After
        MAX_UNWILLING in a row the server is taken for down; the cost is so many useless dialogues for each call.
        """
        log.warning("a mail waits", action="mail_put_off", tenant=mail.tenant_id, mail=mail.id, reason=reason)
        self.unwilling += 1
        if self.unwilling >= MAX_UNWILLING:
            self.down = reason
        if self.clock.now() - mail.created_at >= WAITS_AT_MOST:
            self._end(mail, "dead", f"given up after {HOURS} hours: {reason}")
            return
        with self._writing(mail) as session:
            self.outbox.again(session, mail, reason, SERVER_DELAY, attempt=False)

    def _content(self, mail: OutboxMail, address: str) -> bytes:
        message = self.sender.compose(
            to=address,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            message_id=mail.message_id,
            at=self.clock.now(),
        )
        return message.as_bytes()

    def _begin(self, mail: OutboxMail) -> None:
        with self._writing(mail) as session:
            if not self.outbox.begin(session, mail):
                raise Taken(mail.id)

    def _end(self, mail: OutboxMail, state: str, reason: str) -> None:
        with self._writing(mail) as session:
            self.outbox.end(session, mail, state, reason)
        if state == "suppressed":
            self.result.suppressed += 1
        else:
            log.warning(
                "a mail is given up", action="mail_given_up", tenant=mail.tenant_id, mail=mail.id, reason=reason
            )
            self.result.failed += 1

    def _again(self, mail: OutboxMail, reason: str) -> None:
        attempts = mail.attempts + 1
        if attempts >= self.max_attempts:
            self._end(mail, "dead", f"given up after {attempts} attempts: {reason}")
            return
        with self._writing(mail) as session:
            self.outbox.again(session, mail, reason, delay(attempts), attempt=True)

    def _keep_leases(self, tenant_id: TenantId) -> None:
        now = self.clock.monotonic()
        if now - self.renewed > LEASE.total_seconds() / 3:
            with self.db.write(tenant_id) as session:
                self.outbox.renew(session)
            self.renewed = now

    @contextmanager
    def _writing(self, mail: OutboxMail) -> Iterator[Session]:
        with self.db.write(mail.tenant_id) as session:
            yield session
