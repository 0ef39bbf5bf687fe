"""The personal data report: each account once a cycle, and what Atlassian's answer asks for.

Off unless STEWARD_PERSONAL_DATA_REPORTING is on. A closed account is erased from every tenant. Of an updated one we
store nothing that could be read again but the greeting in mails that were sent: their texts go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from addon.base import Clock, Database, SecretUnreadable, TenantGone, TenantId, chunks, get_logger
from addon.connect import (
    REPORT_AT_ONCE,
    REPORT_ORIGIN,
    ReportFailed,
    Tenants,
    claim_reporting,
    forget_reports,
    note_reports,
    put_off_reporting,
    report_accounts,
    reports_due,
)
from addon.mail import forget_greetings
from addon.maintenance.personal_data import StoredAccount, accounts_stored, erase_everywhere

log = get_logger(__name__)

AFTER_FAILURE = timedelta(hours=6)
"""How long a report is put off that failed without a time from Atlassian."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """Reports the accounts whose ids are stored; one process at a time."""

    db: Database
    clock: Clock
    tenants: Tenants

    def tick(self) -> int:
        """Report what is due, if it is time to; return how many accounts were reported."""
        if not self._claim():
            return 0
        done, wait = 0, timedelta(0)
        try:
            for tenant_id, accounts in self._due():
                self._report(tenant_id, accounts)
                done += len(accounts)
        except ReportFailed as error:
            wait = AFTER_FAILURE if error.retry_after is None else timedelta(seconds=error.retry_after)
            log.warning(
                "the personal data report is put off",
                action="report_put_off",
                wait=str(wait),
                error=f"Atlassian {error}",
            )
        with self.db.write_all() as session:
            put_off_reporting(session, self.clock.now() + wait)
        return done

    def forget(self) -> None:
        """Drop what is remembered of reports."""
        with self.db.write_all() as session:
            forget_reports(session)

    def _claim(self) -> bool:
        with self.db.write_all() as session:
            return claim_reporting(session, self.clock.now())

    def _due(self) -> Iterator[tuple[TenantId, dict[str, datetime]]]:
        """Yield at most REPORT_AT_ONCE accounts at a time, those of one tenant, whose last report is a cycle old."""
        with self.db.write_all() as session:
            stored = accounts_stored(session)
            due = reports_due(session, {who: each.at for who, each in stored.items()}, self.clock.now())
        yield from _calls(due, stored)

    def _report(self, tenant_id: TenantId, accounts: Mapping[str, datetime]) -> None:
        now = self.clock.now()
        try:
            verdicts = report_accounts(self.tenants.auth_at(tenant_id, REPORT_ORIGIN), accounts, now)
        except (TenantGone, SecretUnreadable) as error:
            raise ReportFailed(f"was not asked: {error}") from error
        with self.db.write_all() as session:
            note_reports(session, accounts, verdicts, now)
            for account_id, verdict in verdicts.accounts.items():
                if verdict == "closed":
                    erase_everywhere(session, account_id, now)
                else:
                    forget_greetings(session, account_id)
        if verdicts.accounts:
            log.info(
                "accounts were closed or updated",
                action="accounts_reported",
                tenant=tenant_id,
                reported=len(accounts),
                changed=len(verdicts.accounts),
            )


def _calls(
    due: Mapping[str, datetime], stored: Mapping[str, StoredAccount]
) -> Iterator[tuple[TenantId, dict[str, datetime]]]:
    ordered = sorted(due, key=lambda who: (stored[who].tenant_id, who))
    for tenant_id, group in groupby(ordered, key=lambda who: stored[who].tenant_id):
        accounts = [(who, due[who]) for who in group]
        for some in chunks(accounts, REPORT_AT_ONCE):
            yield tenant_id, dict(some)
