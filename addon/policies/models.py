"""What administrators configured: every accepted document, by version, and the status slugs ever used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base import Base, TenantId, TenantScoped


class PolicyVersion(TenantScoped, Base):
    """One accepted policies document. Executions keep the version they started with."""

    __tablename__ = "policy_version"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    by: Mapped[str | None] = mapped_column(sa.String(128))
    at: Mapped[datetime]


class StatusSlug(TenantScoped, Base):
    """A status slug the tenant ever used. Slugs are never reused: a removed one stays as a tombstone."""

    __tablename__ = "status_slug"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    slug: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    first_version: Mapped[int]
    removed_version: Mapped[int | None]
