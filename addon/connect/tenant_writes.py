"""The installations, written: what lifecycle calls and the erasure after an uninstall do to the `tenant` table.

Every function is safe to repeat and ignores what is out of date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId, insert, new_id
from addon.connect.models import SpentToken, Tenant
from addon.connect.payload import Payload
from addon.connect.tokens import LEEWAY_SECONDS, LONGEST_SECONDS


@dataclass(frozen=True, slots=True)
class Installed:
    """What an `installed` call did: whether anything changed, and from which state."""

    tenant_id: TenantId
    changed: bool
    first: bool = False
    returning: bool = False


def install(session: Session, body: Payload, sealed: bytes, *, issued: int, now: datetime) -> Installed:
    """Insert or update the tenant of `body.client_key` in one go; a known tenant keeps its id and its data.

    `issued` is the token's `iat`; a call older than the newest one stored changes nothing (docs/rules/sites.md 3.2).
    """
    values = {
        "base_url": body.base_url,
        "display_url": body.display_url,
        "oauth_client_id": body.oauth_client_id,
        "state": "installed",
        "enabled": True,
        "needs_reinstall": False,
        "secret": sealed,
        "lifecycle_iat": issued,
        "updated_at": now,
    }
    fresh = TenantId(new_id())
    inserted = session.execute(
        insert(session, Tenant)
        .values(id=fresh, client_key=body.client_key, secret_version=1, generation=1, installed_at=now, **values)
        .on_conflict_do_nothing(index_elements=["client_key"])
        .returning(Tenant.id)
    ).first()
    if inserted is not None:
        return Installed(fresh, changed=True, first=True)
    row = _locked(session, body.client_key)
    if row is None:
        raise RuntimeError("a tenant that was just there is gone")
    tenant_id = TenantId(row.id)
    if issued < row.lifecycle_iat:
        return Installed(tenant_id, changed=False)
    returning = row.state == "uninstalled"
    for name, value in values.items():
        setattr(row, name, value)
    row.secret_version += 1
    row.uninstalled_at = None
    if returning:
        row.installed_at = now
    session.flush()
    return Installed(tenant_id, changed=True, returning=returning)


def uninstall(session: Session, client_key: str, *, issued: int, now: datetime) -> TenantId | None:
    """Mark the tenant as uninstalled and drop its secret; return its id when that changed something.

    None: the tenant is unknown, uninstalled already, or `issued` is older than the newest call stored.
    """
    row = _locked(session, client_key)
    if row is None or issued < row.lifecycle_iat:
        return None
    row.lifecycle_iat = issued
    if row.state == "uninstalled":
        return None
    row.state = "uninstalled"
    row.enabled = False
    row.secret = None
    row.generation += 1
    row.uninstalled_at = now
    row.updated_at = now
    session.flush()
    return TenantId(row.id)


def switch(session: Session, tenant_id: TenantId, *, enabled: bool, issued: int, now: datetime) -> bool:
    """Set whether the add-on is enabled; return whether the call counts.

    It does not when the tenant was uninstalled meanwhile, or a lifecycle call signed later was heard before. Of calls
    signed in the same second the one heard last counts, because `iat` has no finer order.
    """
    changed = session.execute(
        sa.update(Tenant)
        .where(Tenant.id == tenant_id, Tenant.state == "installed", Tenant.lifecycle_iat <= issued)
        .values(enabled=enabled, lifecycle_iat=issued, updated_at=now)
        .returning(Tenant.id)
    )
    return changed.first() is not None


def spend(session: Session, token: str, body: Payload, *, expires: float, now: datetime) -> bool:
    """Note that an install token was used for `body`; return False when it was used for another one before.

    `expires`: the token's `exp`, after which it proves nothing and need not be remembered.
    """
    over = now - timedelta(seconds=LEEWAY_SECONDS)
    session.execute(sa.delete(SpentToken).where(SpentToken.expires_at < over))
    values = {
        "token": hashlib.sha256(token.encode()).hexdigest(),
        "body": body.digest(token),
        "expires_at": datetime.fromtimestamp(min(expires, now.timestamp() + LONGEST_SECONDS), UTC),
    }
    noted = insert(session, SpentToken).values(values).on_conflict_do_nothing().returning(SpentToken.token)
    if session.execute(noted).first() is not None:
        return True
    return session.scalar(sa.select(SpentToken.body).where(SpentToken.token == values["token"])) == values["body"]


_CUT_OFF = "erased:"
"""Begins the clientKey of a tenant that is being erased: no site's clientKey does."""


def cut_off_uninstalled(
    session: Session, before: datetime, *, busy: Collection[TenantId], now: datetime
) -> list[TenantId]:
    """Cut the tenants that were uninstalled before a moment off from their sites; return all that are to be erased.

    What names the site goes (clientKey and addresses), so that an installation at that very moment begins afresh
    instead of meeting half of its data. `busy`: tenants that are left alone for now. Those that an earlier call cut off
    and whose rows are not all gone are returned too.
    """
    erasing = Tenant.client_key.like(f"{_CUT_OFF}%")
    session.execute(
        sa.update(Tenant)
        .where(Tenant.state == "uninstalled", Tenant.uninstalled_at <= before, ~erasing, Tenant.id.not_in(busy))
        .values(
            client_key=sa.literal(_CUT_OFF) + Tenant.id,
            base_url="",
            display_url=None,
            oauth_client_id=None,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(sa.select(Tenant.id).where(Tenant.state == "uninstalled", erasing)))


def delete_tenant(session: Session, tenant_id: TenantId) -> bool:
    """Delete a tenant's row once nothing refers to it; return whether it was there."""
    gone = session.execute(sa.delete(Tenant).where(Tenant.id == tenant_id).returning(Tenant.id))
    return gone.first() is not None


def _locked(session: Session, client_key: str) -> Tenant | None:
    return session.scalars(sa.select(Tenant).where(Tenant.client_key == client_key).with_for_update()).one_or_none()
