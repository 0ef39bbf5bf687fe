"""The tables of the hour's points, of hints at changed contents, and of the number of changed rights."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base import Base, TenantId, TenantScoped


class QuotaHour(Base):
    """Points reserved in one UTC hour by one scope: 'pool' for the whole add-on, or a tenant id."""

    __tablename__ = "quota_hour"
    # Shares of an hour are dealt by these words; NULL passes, as for one who had enough.
    __table_args__ = (sa.CheckConstraint("state IN ('drawing', 'waiting', 'refused')", name="state"),)

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    reserved: Mapped[int] = mapped_column(default=0)
    limit: Mapped[int]
    state: Mapped[str | None] = mapped_column(sa.String(16))
    """drawing: a run spends from a block of this row. waiting: others come first, it asks again in this hour.
    refused: nothing more for it in this hour, though it wants more. NULL: it had enough."""
    closed_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(sa.Text)


class RightsChange(TenantScoped, Base):
    """How often webhooks have said that permissions, groups or people changed on a site."""

    __tablename__ = "rights_change"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    changes: Mapped[int] = mapped_column(sa.BigInteger)


class SiteHint(TenantScoped, Base):
    """Something happened to a page, blog post or space, a webhook said. Never trusted: only a reason to look."""

    __tablename__ = "site_hint"
    __table_args__ = (
        # What a hint may be about: it comes from outside and is looked up by this word.
        sa.CheckConstraint("kind IN ('page', 'blogpost', 'space')", name="kind"),
        sa.Index("ix_site_hint_heard", "tenant_id", "heard_at"),
    )

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    subject_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    """The content's id; the space's id, or its key where a webhook said nothing else."""
    space_key: Mapped[str | None] = mapped_column(sa.String(255))
    event: Mapped[str] = mapped_column(sa.String(64))
    """The newest event reported, such as page_updated."""
    heard_at: Mapped[datetime]
