"""What a new version of the policies changes in the engine, in the same transaction: schedules and the hold."""

from __future__ import annotations

from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine import Engine
from addon.policies import PolicyDocument


def apply_policies(
    engine: Engine, session: Session, tenant_id: TenantId, document: PolicyDocument, *, by: str | None
) -> None:
    """Hand the document's schedules and its hold to the engine. Part of every transaction that stores a version.

    Parameters: `by` is the account id of who put the document, None for the shipped one.
    """
    hold = document.schedules.hold
    engine.replace_schedules(session, tenant_id, document.schedule_specs())
    engine.set_hold(session, tenant_id, on=hold.on, reason=hold.reason, by=by, until=hold.until)
