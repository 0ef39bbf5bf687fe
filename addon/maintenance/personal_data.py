"""The personal data of an account: where its id is stored, and how it is erased from there.

Only account ids are stored, in the columns listed here and nowhere else. Names are looked up when they are shown and
never stored, but for the greeting in a mail's text. A test compares the list with the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy.orm import Session

from addon import engine, jobs, mail, policies
from addon.base import REMOVED_PERSON, TenantId
from addon.connect import installed_since, tenant_ids

_NO_ONE = ("", "unknown", REMOVED_PERSON)


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account whose id is stored: by which installed tenant (one of them), and when it was last got."""

    tenant_id: TenantId
    at: datetime


ACCOUNT_COLUMNS = (
    *engine.ACCOUNT_COLUMNS,
    "notification_match.account_id",
    "outbox.account_id",
    "policy_version.by",
)
"""Every column with account ids, as table.column; each room forgets a person itself."""


def erase_person(session: Session, tenant_id: TenantId, account_id: str, now: datetime) -> None:
    """Erase what a tenant's rows hold about one account; safe to repeat.

    Who started, cancelled or changed something becomes no one; what was collected for the person is deleted; mails
    lose account and text but are still counted, and those not handed over are not sent.
    """
    engine.forget_person(session, tenant_id, account_id)
    jobs.forget_person(session, tenant_id, account_id)
    mail.forget_person(session, tenant_id, account_id, now)
    policies.forget_person(session, tenant_id, account_id)


def erase_everywhere(session: Session, account_id: str, now: datetime) -> None:
    """Erase an account from all tenants; the session is bound to none."""
    for tenant_id in tenant_ids(session):
        erase_person(session, tenant_id, account_id, now)


def accounts_stored(session: Session) -> dict[str, StoredAccount]:
    """Return the accounts whose ids are stored of installed sites.

    Where a row does not tell when we got the id, the time of the installation counts, which is never too late.
    """
    found: dict[str, StoredAccount] = {}
    installed = installed_since(session)
    matched = ((tenant, who, None) for tenant, who in jobs.people_named(session))
    dated = chain(engine.people_named(session), matched, mail.people_named(session), policies.people_named(session))
    known = (each for each in dated if each[0] in installed and each[1] not in _NO_ONE)
    _merge(found, ((tenant, who, at or installed[tenant]) for tenant, who, at in known))
    return found


def _merge(found: dict[str, StoredAccount], more: Iterable[tuple[TenantId, str, datetime]]) -> None:
    for tenant_id, account_id, at in more:
        known = found.get(account_id, StoredAccount(tenant_id, at))
        found[account_id] = StoredAccount(min(tenant_id, known.tenant_id), max(at, known.at))
