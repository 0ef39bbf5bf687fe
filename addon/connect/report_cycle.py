"""The book of the personal data report: which account was reported when, and who reports next.

One row says how long a cycle is and before when nothing is reported; a process claims the reporting by moving that time
(docs/rules/connect.md 6.3). One row for each account says when it was last reported. All functions work in a session
that is bound to no tenant, and are part of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import insert, within
from addon.connect.models import AccountReport, ReportCycle
from addon.connect.reporting import Verdicts

CYCLE_DAYS = 7
"""Until Atlassian says otherwise."""
CLAIM = timedelta(minutes=15)
"""How long a process has the reporting to itself after each call."""
LONGEST_CYCLE = timedelta(days=2)
"""Longer than a report is ever put off: a time further ahead was written by a clock that was wrong."""


def claim_reporting(session: Session, now: datetime) -> bool:
    """Take the reporting for CLAIM; return False when it is not due, or another process has it."""
    first = insert(session, ReportCycle).values(id=1, days=CYCLE_DAYS, not_before=now)
    session.execute(first.on_conflict_do_nothing())
    claimed = (
        sa.update(ReportCycle)
        .where(sa.or_(ReportCycle.not_before <= now, ReportCycle.not_before > now + LONGEST_CYCLE))
        .values(not_before=now + CLAIM)
        .returning(ReportCycle.id)
    )
    return session.execute(claimed).first() is not None


def put_off_reporting(session: Session, until: datetime) -> None:
    """Let no process report before `until`."""
    session.execute(sa.update(ReportCycle).values(not_before=until))


def reports_due(session: Session, retrieved: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """Return the accounts whose last report is a whole cycle old, each with the time of our last retrieval.

    `retrieved`: all accounts that are stored anywhere, and when their ids were last received. What is known of reports
    of other accounts is dropped.
    """
    reported = {row.account_id: row for row in session.scalars(sa.select(AccountReport))}
    for account_id in reported.keys() - retrieved.keys():
        session.delete(reported[account_id])
    cycle = timedelta(days=session.scalars(sa.select(ReportCycle.days)).one())
    due: dict[str, datetime] = {}
    for account_id, at in retrieved.items():
        row = reported.get(account_id)
        if row is None or not within(cycle, row.reported_at, now):
            due[account_id] = at if row is None or row.refreshed_at is None else max(at, row.refreshed_at)
    return due


def note_reports(session: Session, accounts: Iterable[str], verdicts: Verdicts, now: datetime) -> None:
    """Note what a report of `accounts` brought, and keep the claim for the next one.

    Closed accounts are dropped, because the caller erases them; the others were reported `now`.
    """
    put_off_reporting(session, now + CLAIM)
    if verdicts.cycle_days is not None:
        session.execute(sa.update(ReportCycle).values(days=verdicts.cycle_days))
    for account_id in accounts:
        verdict = verdicts.accounts.get(account_id)
        if verdict == "closed":
            session.execute(sa.delete(AccountReport).where(AccountReport.account_id == account_id))
            continue
        values = {"reported_at": now}
        if verdict == "updated":
            values["refreshed_at"] = now
        row = insert(session, AccountReport).values(account_id=account_id, **values)
        session.execute(row.on_conflict_do_update(index_elements=["account_id"], set_=values))


def forget_reports(session: Session) -> None:
    """Drop what is known of reports."""
    session.execute(sa.delete(AccountReport))
