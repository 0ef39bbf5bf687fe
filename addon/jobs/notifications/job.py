"""The job "Send notifications" as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from addon.base import TenantId, get_logger
from addon.confluence import Confluence, SiteClient, SiteError
from addon.engine.job import JobRefused, Metrics, Run, RunSpace
from addon.jobs.context import SpaceJob
from addon.jobs.faults import translated
from addon.jobs.notifications.collecting import Collecting
from addon.jobs.notifications.digests import Digests
from addon.mail import Addresses

log = get_logger(__name__)

NO_TRANSPORT = (
    "No mail server is configured, so no notification could be sent. "
    "Set STEWARD_SMTP_URL (and STEWARD_MAIL_FROM) on the add-on's server and restart it."
)


class SendNotifications(SpaceJob):
    """Collects in each space what the rules report, then sends one digest to each person."""

    type = "send-notifications"
    title = "Send notifications"

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        """Raise JobRefused when mail has no way out."""
        if not self._context.mailer.configured:
            raise JobRefused(NO_TRANSPORT)

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Collect what is to be reported in the given spaces."""
        with translated(), self._context.client(run) as client:
            Collecting(self._context, run, client).work(spaces)

    def finalize(self, run: Run) -> Metrics:
        """Turn the matches into mails and send them; return how many left and how many did not.

        Safe to repeat: after a takeover no one gets a second mail.
        """
        with translated(), self._context.client(run) as client:
            digests = Digests(self._context, run, client)
            digests.enqueue()
            self._send(run, client)
            digests.forget()
        with run.read() as session:
            return self._context.mailer.counts(session, run.execution_id)

    def _send(self, run: Run, client: SiteClient) -> None:
        try:
            self._context.mailer.send_due(
                run.tenant_id,
                run.execution_id,
                addresses=lambda _tenant, accounts: addresses_of(client, accounts),
                before_each=run.check,
            )
        except SiteError as error:
            log.warning(
                "addresses could not be read, the mails stay in the outbox", action="addresses_unread", error=str(error)
            )

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Fill in zeros."""
        names = ("contentsMatched", "emailsSent", "emailsFailed", "emailsSuppressed", "emailsPending")
        return dict.fromkeys(names, 0) | totals


def addresses_of(client: SiteClient, accounts: Sequence[str]) -> Mapping[str, str | None]:
    """Return the address of each active account that Confluence shows us; None for inactive people and hidden ones."""
    return {user.account_id: user.email if user.active else None for user in client.users(accounts)}


def mail_addresses(confluence: Confluence) -> Addresses:
    """Return the look-up for mails that are sent outside a run: what a run left in the outbox.

    The look-up raises SiteError, TenantGone and Unreachable as calls do.
    """

    def look_up(tenant_id: TenantId, accounts: Sequence[str]) -> Mapping[str, str | None]:
        with confluence.client(tenant_id, share="job") as client:
            return addresses_of(client, accounts)

    return look_up
