"""When is which account reported to Atlassian, and what follows from the answer? Once a cycle, each account.

Off unless STEWARD_PERSONAL_DATA_REPORTING is on. A closed account is erased from every tenant. Of an updated one we
hold nothing that could be read again but the greeting in mails that were sent: their texts go.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantGone, TenantId, within
from addon.base.database import insert
from addon.base.secrets import SecretUnreadable
from addon.connect import Tenants
from addon.connect.models import AccountReport, ReportCycle
from addon.connect.reporting import REPORT_AT_ONCE, REPORT_ORIGIN, ReportFailed, Verdicts, report
from addon.maintenance.personal_data import Holding, erase_everywhere, forget_names, people_held

log = logging.getLogger(__name__)

CYCLE_DAYS = 7
"""Until Atlassian says otherwise."""
CLAIM = timedelta(minutes=15)
LONGEST_CYCLE = timedelta(days=2)
"""Longer than a report is ever put off: what is put off further was so by a clock that was wrong."""
"""For so long a process has the reporting to itself after each call."""
AFTER_FAILURE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Reporting:
    """Reports the accounts that are held; one process at a time."""

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
            log.warning("the personal data report is put off for %s: Atlassian %s", wait, error)
        with self.db.write_all() as session:
            session.execute(sa.update(ReportCycle).values(not_before=self.clock.now() + wait))
        return done

    def forget(self) -> None:
        """Drop what is remembered of reports."""
        with self.db.write_all() as session:
            session.execute(sa.delete(AccountReport))

    def _claim(self) -> bool:
        now = self.clock.now()
        with self.db.write_all() as session:
            first = insert(session, ReportCycle).values(id=1, days=CYCLE_DAYS, not_before=now)
            session.execute(first.on_conflict_do_nothing())
            claimed = (
                sa.update(ReportCycle)
                .where(sa.or_(ReportCycle.not_before <= now, ReportCycle.not_before > now + LONGEST_CYCLE))
                .values(not_before=now + CLAIM)
                .returning(ReportCycle.id)
            )
            return session.execute(claimed).first() is not None

    def _due(self) -> Iterator[tuple[TenantId, dict[str, datetime]]]:
        """Yield at most 90 accounts at a time, those of one tenant, whose last report is a whole cycle old."""
        with self.db.write_all() as session:
            held = people_held(session)
            reported = {row.account_id: row for row in session.scalars(sa.select(AccountReport))}
            for account_id in reported.keys() - held.keys():
                session.delete(reported[account_id])
            days = session.scalars(sa.select(ReportCycle.days)).one()
            now, cycle = self.clock.now(), timedelta(days=days)
            due = {
                who: it
                for who, it in held.items()
                if who not in reported or not within(cycle, reported[who].reported_at, now)
            }
            refreshed = {who: row.refreshed_at for who, row in reported.items() if row.refreshed_at is not None}
        yield from _calls(due, refreshed)

    def _report(self, tenant_id: TenantId, accounts: Mapping[str, datetime]) -> None:
        now = self.clock.now()
        try:
            verdicts = report(self.tenants.auth_at(tenant_id, REPORT_ORIGIN), accounts, now)
        except (TenantGone, SecretUnreadable) as error:
            raise ReportFailed(f"was not asked: {error}") from error
        with self.db.write_all() as session:
            self._settle(session, accounts, verdicts, now)
        if verdicts.accounts:
            log.info("personal data report: %s of %s accounts closed or updated", len(verdicts.accounts), len(accounts))

    def _settle(self, session: Session, accounts: Mapping[str, datetime], verdicts: Verdicts, now: datetime) -> None:
        session.execute(sa.update(ReportCycle).values(not_before=now + CLAIM))
        if verdicts.cycle_days is not None:
            session.execute(sa.update(ReportCycle).values(days=verdicts.cycle_days))
        for account_id in accounts:
            verdict = verdicts.accounts.get(account_id)
            if verdict == "closed":
                erase_everywhere(session, account_id, now)
                session.execute(sa.delete(AccountReport).where(AccountReport.account_id == account_id))
                continue
            values = {"reported_at": now}
            if verdict == "updated":
                forget_names(session, account_id)
                values["refreshed_at"] = now
            row = insert(session, AccountReport).values(account_id=account_id, **values)
            session.execute(row.on_conflict_do_update(index_elements=["account_id"], set_=values))


def _calls(
    due: Mapping[str, Holding], refreshed: Mapping[str, datetime]
) -> Iterator[tuple[TenantId, dict[str, datetime]]]:
    ordered = sorted(due.items(), key=lambda entry: (entry[1].tenant_id, entry[0]))
    for tenant_id, group in groupby(ordered, key=lambda entry: entry[1].tenant_id):
        accounts = [(who, max(held.at, refreshed.get(who, held.at))) for who, held in group]
        for start in range(0, len(accounts), REPORT_AT_ONCE):
            yield tenant_id, dict(accounts[start : start + REPORT_AT_ONCE])
