"""What webhooks said of a site: hints at contents and spaces that may have changed, and a count of changed rights.

Some webhooks never arrive, and none is proof of anything. Hints, one row for each subject in which the newest time
wins, are a reason to look sooner or to look at less, never a reason to skip a look that is due. Changes of rights are
counted for all processes: each of them remembers for some minutes who administers what, and a webhook reaches only one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, insert
from addon.confluence.models import RightsChange, SiteHint

HintKind = Literal["page", "blogpost", "space"]


def note_hint(
    session: Session,
    tenant_id: TenantId,
    *,
    kind: HintKind,
    subject_id: str,
    event: str,
    space_key: str | None,
    at: datetime,
) -> None:
    """Remember that something happened to a subject. `at` is when it was reported; an older report changes nothing."""
    row = insert(session, SiteHint).values(
        tenant_id=tenant_id, kind=kind, subject_id=subject_id, event=event, space_key=space_key, heard_at=at
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=["tenant_id", "kind", "subject_id"],
            set_={
                "event": row.excluded.event,
                "space_key": sa.func.coalesce(row.excluded.space_key, SiteHint.space_key),
                "heard_at": row.excluded.heard_at,
            },
            where=row.excluded.heard_at >= SiteHint.heard_at,
        )
    )


def hints_since(
    session: Session, tenant_id: TenantId, moment: datetime, kinds: Collection[HintKind] = ("page", "blogpost", "space")
) -> Sequence[SiteHint]:
    """Return the tenant's hints reported at or after `moment`, oldest first."""
    return session.scalars(
        sa.select(SiteHint)
        .where(SiteHint.tenant_id == tenant_id, SiteHint.heard_at >= moment, SiteHint.kind.in_(kinds))
        .order_by(SiteHint.heard_at, SiteHint.subject_id)
    ).all()


def forget_hints(session: Session, before: datetime) -> None:
    """Drop the hints of all tenants reported before a moment: every job has looked at everything since."""
    session.execute(sa.delete(SiteHint).where(SiteHint.heard_at < before))


def note_rights_change(session: Session, tenant_id: TenantId) -> None:
    """Count one more change; part of the caller's write transaction."""
    statement = insert(session, RightsChange).values(tenant_id=tenant_id, changes=1)
    more = {"changes": RightsChange.changes + 1}
    session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=more))


def rights_changes(session: Session, tenant_id: TenantId) -> int:
    """Return how many changes were counted so far."""
    return session.scalar(sa.select(RightsChange.changes).where(RightsChange.tenant_id == tenant_id)) or 0
