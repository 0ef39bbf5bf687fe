"""Housekeeping of the outbox, for other rooms: mails counted, old ones deleted, a person forgotten."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from addon.base import REMOVED_PERSON, Database, TenantId
from addon.base.sweep import sweep
from addon.mail.models import OutboxMail
from addon.mail.outbox import EMPTIED, FREE


def mails_by_state(session: Session) -> dict[str, int]:
    """Return {state: mails} over all tenants."""
    return dict(session.execute(sa.select(OutboxMail.state, sa.func.count()).group_by(OutboxMail.state)).all())


def forget_mails(db: Database, tenant_id: TenantId, before: datetime) -> int:
    """Delete a tenant's mails that ended before a moment; return how many went. Safe in several processes.

    Those of one execution go together, once all of them ended: half of them would be a wrong count.
    """
    other = aliased(OutboxMail)
    younger = sa.exists().where(
        other.execution_id == OutboxMail.execution_id, sa.or_(other.ended_at.is_(None), other.ended_at >= before)
    )
    return sweep(db, tenant_id, OutboxMail, OutboxMail.state != "pending", OutboxMail.ended_at < before, ~younger)


def forget_person(session: Session, tenant_id: TenantId, account_id: str, now: datetime) -> None:
    """Take account and text out of one person's mails; safe to repeat.

    They are still counted. Those that were not handed over end as `suppressed` and are not sent.
    """
    mine = sa.and_(OutboxMail.tenant_id == tenant_id, OutboxMail.account_id == account_id)
    waiting = sa.and_(OutboxMail.state == "pending", OutboxMail.begun_at.is_(None))
    ended = {"state": "suppressed", "reason": "the person was removed", "ended_at": now}
    stopped = sa.update(OutboxMail).where(mine, waiting).values(**ended, **FREE)
    session.execute(stopped.execution_options(synchronize_session=False))
    emptied = (
        sa.update(OutboxMail)
        .where(mine)
        .values(
            account_id=REMOVED_PERSON,
            # The key named the account; an empty Message-ID would be no id, the row's own will do.
            dedupe_key=sa.literal("removed:") + OutboxMail.id,
            message_id=OutboxMail.id,
            **EMPTIED,
        )
    )
    session.execute(emptied.execution_options(synchronize_session=False))


def forget_greetings(session: Session, account_id: str) -> None:
    """Drop the texts of a person's mails that have ended: they greet by a name that may have changed."""
    ended = sa.and_(OutboxMail.account_id == account_id, OutboxMail.state != "pending")
    session.execute(sa.update(OutboxMail).where(ended).values(EMPTIED).execution_options(synchronize_session=False))


def people_named(session: Session) -> list[tuple[TenantId, str, datetime]]:
    """Return (tenant, account id, when its newest mail was decided on) of everyone in the outbox, over all tenants."""
    newest = sa.func.max(OutboxMail.created_at, type_=OutboxMail.created_at.type)
    query = sa.select(OutboxMail.tenant_id, OutboxMail.account_id, newest)
    rows = session.execute(query.group_by(OutboxMail.tenant_id, OutboxMail.account_id))
    return [(tenant_id, account_id, at) for tenant_id, account_id, at in rows]
