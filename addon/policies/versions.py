"""The versions of all tenants' policies: the newest of each, and the old ones that are deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Database, TenantId
from addon.base.sweep import sweep
from addon.policies.models import PolicyVersion

InUse = Callable[[Any], sa.ColumnElement[bool]]
"""(the column of a version's number) -> a condition that is true of the versions that something still needs."""


def newest_versions(session: Session) -> dict[TenantId, int]:
    """Return the current version of every tenant that has stored policies; the session is bound to none."""
    newest = sa.select(PolicyVersion.tenant_id, sa.func.max(PolicyVersion.version))
    rows = session.execute(newest.group_by(PolicyVersion.tenant_id)).all()
    return {tenant_id: version for tenant_id, version in rows if version is not None}


def forget_versions(db: Database, tenant_id: TenantId, *, keep: int, in_use: InUse) -> int:
    """Delete all but the newest `keep` versions of a tenant's policies; return how many went.

    A version that is `in_use` stays as well, however old. Safe in several processes.
    """
    of_tenant = PolicyVersion.tenant_id == tenant_id
    newest = sa.select(PolicyVersion.version).where(of_tenant).order_by(PolicyVersion.version.desc())
    floor = sa.func.coalesce(newest.offset(keep - 1).limit(1).scalar_subquery(), 0)
    return sweep(db, tenant_id, PolicyVersion, PolicyVersion.version < floor, ~in_use(PolicyVersion.version))
