"""What is held about a person, and how is it erased? Account ids only, in the places listed here and nowhere else.

Names are looked up when they are shown and never stored, but for the greeting in a mail's text. A test compares the
list with the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import REMOVED_PERSON, TenantId
from addon.connect import installed_since, tenant_ids
from addon.engine.models import AuditEvent, JobExecution, Lane
from addon.jobs import forget_person_matched, people_matched
from addon.mail import forget_person_mailed, people_mailed
from addon.policies import forget_person, people_named
from addon.policies.models import PolicyVersion

_NOBODY = ("", "unknown", REMOVED_PERSON)
_NOT_PEOPLE = ("user", "schedule", "retry", "runner", "reaper", "uninstall", "system", "tenant_gone")
"""What cancel_requested_by holds when nobody in particular cancelled."""


@dataclass(frozen=True, slots=True)
class Held:
    """A column with account ids. `since` says when the id came there; without it, the installation's time counts."""

    column: Any
    since: Any | None = None
    people: Any | None = None
    """Which of the column's values are account ids; all, when None."""


@dataclass(frozen=True, slots=True)
class Holding:
    """An account that is held: by which installed tenant (one of them), and when its id was last got."""

    tenant_id: TenantId
    at: datetime


HELD = (
    Held(JobExecution.started_by, JobExecution.started_at),
    Held(
        JobExecution.cancel_requested_by,
        JobExecution.cancel_requested_at,
        JobExecution.cancel_requested_by.not_in(_NOT_PEOPLE),
    ),
    Held(AuditEvent.actor_id, AuditEvent.at, AuditEvent.actor_type == "user"),
    Held(PolicyVersion.by, PolicyVersion.at),
    Held(Lane.hold_by),
)
ACCOUNT_COLUMNS = (
    *(f"{held.column.class_.__tablename__}.{held.column.key}" for held in HELD),
    "notification_match.account_id",
    "outbox.account_id",
)
"""Every column with account ids, as table.column. The rooms of the last two forget a person themselves."""


def erase_person(session: Session, tenant_id: TenantId, account_id: str, now: datetime) -> None:
    """Erase what a tenant's rows hold about one account; safe to repeat.

    Who started, cancelled or changed something becomes nobody; what was collected for the person is deleted; mails
    lose account and text but are still counted, and those not handed over are not sent.
    """
    for held in HELD:
        column, table = held.column, held.column.class_
        mine = sa.and_(table.tenant_id == tenant_id, column == account_id)
        change = sa.update(table).where(mine).values({column.key: None})
        session.execute(change.execution_options(synchronize_session=False))
    forget_person_matched(session, tenant_id, account_id)
    forget_person_mailed(session, tenant_id, account_id, now)
    forget_person(session, tenant_id, account_id)


def erase_everywhere(session: Session, account_id: str, now: datetime) -> None:
    """Erase an account from all tenants; the session is bound to none."""
    for tenant_id in tenant_ids(session):
        erase_person(session, tenant_id, account_id, now)


def people_held(session: Session) -> dict[str, Holding]:
    """Return the accounts held of installed sites.

    Where a row does not tell when we got the id, the time of the installation counts, which is never too late.
    """
    found: dict[str, Holding] = {}
    installed = installed_since(session)
    for held in HELD:
        column, table = held.column, held.column.class_
        since = sa.null() if held.since is None else sa.func.max(held.since, type_=held.since.type)
        query = (
            sa.select(table.tenant_id, column, since)
            .where(column.is_not(None), column.not_in(_NOBODY))
            .group_by(table.tenant_id, column)
        )
        if held.people is not None:
            query = query.where(held.people)
        rows = session.execute(query)
        _merge(found, ((tenant, who, at or installed[tenant]) for tenant, who, at in rows if tenant in installed))
    matched = ((tenant, who, installed[tenant]) for tenant, who in people_matched(session) if tenant in installed)
    for people in (matched, people_mailed(session), people_named(session)):
        _merge(found, (each for each in people if each[0] in installed and each[1] not in _NOBODY))
    return found


def _merge(found: dict[str, Holding], more: Iterable[tuple[TenantId, str, datetime]]) -> None:
    for tenant_id, account_id, at in more:
        known = found.get(account_id, Holding(tenant_id, at))
        found[account_id] = Holding(min(tenant_id, known.tenant_id), max(at, known.at))
