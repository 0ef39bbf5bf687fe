"""The mailer: the way into the outbox and out of it, the same for a job's end and for the outbox tick."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, get_logger, new_id
from addon.mail import outbox
from addon.mail.delivery import BATCH, TURN, Addresses, After, Delivery, LookUpFailed, Sent
from addon.mail.message import Sender
from addon.mail.models import OutboxMail
from addon.mail.outbox import NewMail, Outbox, scope_of
from addon.mail.render import Renderer
from addon.mail.transport import Transport

log = get_logger(__name__)

TIME_LIMIT = 15 * 60.0
"""Seconds after which `send_due` begins no further mail (docs/rules/notifications.md 6.0)."""
MAX_ATTEMPTS = 8
NOTICE_AFTER = timedelta(hours=1)
"""How long the mail server takes no mail before the log says so as an error."""


def nothing_before() -> None:
    """Do nothing before a mail."""


class Mailer:
    """The outbox and its way out. Without a transport mails can be put in but never leave."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        transport: Transport | None,
        mail_from: str,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        per_minute: int = 0,
        renderer: Renderer | None = None,
    ) -> None:
        """Keep what senders share.

        `mail_from` is the From header; a mail is given up after `max_attempts` failures; `per_minute` mails are handed
        over in a minute, by all processes together (0: any number); `renderer` makes mails from templates, a new one
        when not given.

        Raises ValueError when `mail_from` holds no address.
        """
        self._db = db
        self._clock = clock
        self._transport = transport
        self._sender = Sender(mail_from)
        self._max_attempts = max_attempts
        self._per_minute = per_minute
        self._turn = itertools.count(1)
        self._turns: dict[TenantId, int] = {}
        """When each tenant had its last turn, so that the time that ends a round does not always meet the same ones."""
        self.renderer = renderer or Renderer()
        self._down_since: datetime | None = None
        self._reported_at: datetime | None = None

    @property
    def configured(self) -> bool:
        """Whether there is a mail server to send to."""
        return self._transport is not None

    def enqueue(self, session: Session, mails: Sequence[NewMail]) -> int:
        """Put `mails` into the outbox, in the caller's transaction; return how many were not there yet."""
        return outbox.enqueue(session, mails, clock=self._clock, message_id=self._sender.message_id)

    def counts(self, session: Session, execution_id: str) -> dict[str, int]:
        """Return emailsSent, emailsFailed, emailsSuppressed and emailsPending of one execution, as of now."""
        return outbox.counts(session, execution_id)

    def drop_unsent(self, session: Session, tenant_id: TenantId | None, *, reason: str) -> int:
        """End the mails of a tenant (None: of all) that were not handed over, for `reason`; return how many."""
        return outbox.drop_unsent(session, scope_of(tenant_id), reason=reason, clock=self._clock)

    def boot(self) -> int:
        """Void the leases of the previous process where it is sure to be dead; return how many mails of unknown fate.

        On SQLite there is one process by contract, so at its start every lease is void. On PostgreSQL other senders
        may be alive, and leases run out: nothing is done.
        """
        if not self._db.is_sqlite:
            return 0
        with self._db.write_all() as session:
            return outbox.void_leases(session, self._clock)

    def send_due(
        self,
        tenant_id: TenantId | None = None,
        execution_id: str | None = None,
        *,
        addresses: Addresses,
        before_each: Callable[[], None] = nothing_before,
        seconds: float = TIME_LIMIT,
    ) -> Sent:
        """Try each due mail once, for at most `seconds`; return what became of them.

        Parameters: without `tenant_id` the mails of all tenants (a tenant whose addresses cannot be asked for is put
        off, the others have their turn). With `execution_id` those of that execution, also mails that an earlier sender
        leased and did not begin: the caller owns the execution. `addresses` finds the address of each account.
        `before_each` is called before each mail and may raise; what was not begun is given back then. `seconds`, after
        which no further mail is begun.

        Raises what `before_each` raises, and with a `tenant_id` what `addresses` raises.
        """
        scope = scope_of(tenant_id, execution_id)
        waiting = self._pending(scope)
        if self._transport is None or not waiting:
            return Sent(pending=waiting)
        delivery = Delivery(
            db=self._db,
            clock=self._clock,
            transport=self._transport,
            sender=self._sender,
            outbox=Outbox(self._clock, new_id()),
            addresses=addresses,
            before_each=before_each,
            due=self._clock.now(),
            deadline=self._clock.monotonic() + seconds,
            take=execution_id is not None,
            max_attempts=self._max_attempts,
            per_minute=self._per_minute,
        )
        with self._db.write_all() as session:
            delivery.result.failed += delivery.outbox.close_unknown(session, scope)
        try:
            self._each_tenant(delivery, tenant_id, execution_id)
        finally:
            with self._db.write_all() as session:
                delivery.outbox.release(session)
        if delivery.down:
            with self._db.write_all() as session:
                delivery.result.failed += delivery.outbox.give_up(session, scope, delivery.down)
        self._report_outage(delivery)
        delivery.result.pending = self._pending(scope)
        return delivery.result

    def _report_outage(self, delivery: Delivery) -> None:
        """Log an error, once an hour, for a server that has taken no mail for an hour."""
        now, down = self._clock.now(), delivery.down
        if down is None:
            # Most looks find no mail due, which says nothing about the server.
            if delivery.reached:
                self._down_since = self._reported_at = None
            return
        self._down_since = self._down_since or now
        last = self._reported_at
        if now - self._down_since >= NOTICE_AFTER and (last is None or now - last >= NOTICE_AFTER):
            self._reported_at = now
            log.error(
                "the mail server has taken no mail for an hour or more",
                action="mail_server_down_long",
                since=f"{self._down_since:%Y-%m-%d %H:%M} UTC",
                error=down,
            )

    def _each_tenant(self, delivery: Delivery, tenant_id: TenantId | None, execution_id: str | None) -> None:
        """Give every tenant with due mails a turn, and another as long as it has more and there is time.

        A turn is TURN mails while others wait, so that one tenant's ten thousand mails delay another's ten by seconds
        and not by an hour. The cost: a connection and a look-up of addresses for each turn.
        """
        waiting = deque([tenant_id] if tenant_id is not None else self._tenants(execution_id, delivery))
        first = True
        while waiting:
            each = waiting.popleft()
            began = delivery.result.handled
            try:
                after = delivery.turn(each, scope_of(each, execution_id), TURN if waiting else BATCH)
                if after is After.STOP:
                    return
                if after is After.MAYBE_MORE:
                    waiting.append(each)
            except LookUpFailed as error:
                if tenant_id is not None and error.__cause__ is not None:
                    raise error.__cause__ from None
                log.warning(
                    "mails wait: their addresses could not be read",
                    action="mail_without_addresses",
                    tenant=each,
                    exc_info=error,
                )
                delivery.put_off(each)
            finally:
                # A tenant that came when the time was over has had no turn; one that took all of it has.
                if first or delivery.result.handled > began:
                    self._turns[each] = next(self._turn)
                first = False

    def _tenants(self, execution_id: str | None, delivery: Delivery) -> list[TenantId]:
        """Return the tenants with due mails, those first whose last turn is longest ago."""
        due = sa.and_(OutboxMail.state == "pending", outbox.is_due(delivery.due))
        with self._db.read_all() as session:
            found = session.scalars(
                sa.select(OutboxMail.tenant_id).where(scope_of(None, execution_id), due).distinct()
            ).all()
        return sorted(found, key=lambda tenant: (self._turns.get(tenant, 0), tenant))

    def _pending(self, scope: sa.ColumnElement[bool]) -> int:
        with self._db.read_all() as session:
            wanted = sa.select(sa.func.count()).select_from(OutboxMail).where(scope, OutboxMail.state == "pending")
            return session.scalar(wanted) or 0
