"""How often rights changed on a site, counted for all processes: what one heard by a webhook, every one obeys.

A process remembers who administers what for some minutes, and a webhook reaches only one of them.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.base.database import insert
from addon.confluence.models import RightsChange


def note_rights_change(session: Session, tenant_id: TenantId) -> None:
    """Count one more change; part of the caller's write transaction."""
    statement = insert(session, RightsChange).values(tenant_id=tenant_id, changes=1)
    more = {"changes": RightsChange.changes + 1}
    session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=more))


def rights_changes(session: Session, tenant_id: TenantId) -> int:
    """Return how many changes were counted so far."""
    return session.scalar(sa.select(RightsChange.changes).where(RightsChange.tenant_id == tenant_id)) or 0
