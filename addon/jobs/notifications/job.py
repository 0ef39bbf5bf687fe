"""The job "Send notifications" as the engine sees it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.confluence import SiteClient, SiteError
from addon.engine.job import JobRefused, Metrics, Run, RunSpace
from addon.jobs import spaces as scope
from addon.jobs.faults import translated
from addon.jobs.notifications.addresses import addresses_of
from addon.jobs.notifications.collecting import Collecting
from addon.jobs.notifications.digests import Digests
from addon.jobs.parts import JobParts

log = logging.getLogger(__name__)

NO_TRANSPORT = (
    "No mail server is configured, so no notification could be sent. "
    "Set STEWARD_SMTP_URL (and STEWARD_MAIL_FROM) on the add-on's server and restart it."
)


class SendNotifications:
    """Collects per space what rules report, then sends one digest per person."""

    type = "send-notifications"
    title = "Send notifications"

    def __init__(self, parts: JobParts) -> None:
        self._parts = parts

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        """Raise JobRefused when mail has no way out."""
        if not self._parts.mailer.configured:
            raise JobRefused(NO_TRANSPORT)

    def list_spaces(self, run: Run) -> Sequence[RunSpace]:
        """Return the run's spaces. Raises Pause, Abandon, or Fatal when the site cannot list its spaces."""
        with translated(), self._parts.client(run) as client:
            return scope.list_spaces(run, client, self._parts.live_policy(run))

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Collect what is to be reported in the given spaces."""
        with translated(), self._parts.client(run) as client:
            Collecting(self._parts, run, client).work(spaces)

    def finalize(self, run: Run) -> Metrics:
        """Turn the matches into mails and send them; return how many left and how many did not.

        Repeatable: after a takeover nobody gets a second mail.
        """
        with translated(), self._parts.client(run) as client:
            digests = Digests(self._parts, run, client)
            digests.enqueue()
            self._send(run, client)
            digests.forget()
        with run.read() as session:
            return self._parts.mailer.counts(session, run.execution_id)

    def _send(self, run: Run, client: SiteClient) -> None:
        try:
            self._parts.mailer.send_due(
                run.tenant_id,
                run.execution_id,
                addresses=lambda _tenant, accounts: addresses_of(client, accounts),
                before_each=run.check,
            )
        except SiteError as error:
            log.warning("addresses could not be asked for, the mails stay in the outbox: %s", error)

    def settle(self, run: Run) -> None:
        """Do nothing: no mail is decided before finalizing, and from then on nothing is cancelled."""

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Fill in zeros."""
        names = ("contentsMatched", "emailsSent", "emailsFailed", "emailsSuppressed", "emailsPending")
        return dict.fromkeys(names, 0) | totals
