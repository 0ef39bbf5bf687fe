"""The jobs' own tables: the ledger of stamps, what is known of a site, notification matches, submitted batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base import Base, TenantId, TenantScoped


class ContentStamp(TenantScoped, Base):
    """The ledger: the status a content has. The stamp in Confluence is a copy, this row is the truth."""

    __tablename__ = "content_stamp"
    __table_args__ = (
        # The two kinds that have a status: the kind chooses the endpoint of every call.
        sa.CheckConstraint("kind IN ('page', 'blogpost')", name="kind"),
        sa.Index("ix_content_stamp_space", "tenant_id", "space_id", "slug"),
    )

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    content_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    space_id: Mapped[str] = mapped_column(sa.String(32))
    slug: Mapped[str] = mapped_column(sa.String(64))
    previous: Mapped[str | None] = mapped_column(sa.String(64))
    changed_on: Mapped[datetime]
    property_id: Mapped[str | None] = mapped_column(sa.String(32))
    """NULL when the property could not be written: the content is read-only for the app."""
    property_version: Mapped[int | None]
    written_at: Mapped[datetime]
    read_only_since: Mapped[datetime | None]
    single: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether a person's own refresh of this content wrote the row, and no run since."""


class SiteTrait(TenantScoped, Base):
    """What was found out about one site and holds for some days. Losing a row costs points and nothing else."""

    __tablename__ = "site_trait"
    # How NOT is put to the site follows from it; a word that no reader knows would put it wrongly.
    __table_args__ = (sa.CheckConstraint("negation IN ('inclusive', 'exclusive', 'unknown')", name="negation"),)

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    negation: Mapped[str] = mapped_column(sa.String(16), default="unknown")
    """What NOT finds: items that lack the field too (inclusive), or only those that have it (exclusive)."""
    readings: Mapped[dict[str, Any] | None]
    """"<form> <type>" of negations -> inclusive or exclusive, as far as the site was found to do either."""
    probed_at: Mapped[datetime | None]
    census: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Space type -> number of current spaces, at the last listing of all spaces."""
    unfound: Mapped[list[str]] = mapped_column(default=list)
    """Keys that assignments name and that listing did not find, in lower case."""
    census_at: Mapped[datetime | None]
    swept_to: Mapped[str | None] = mapped_column(sa.String(32))
    """The last content id whose stamp was looked for by id; NULL at the beginning of a round."""
    swept_at: Mapped[datetime | None]


class SpaceListing(TenantScoped, Base):
    """When and how the site's spaces were listed, and what search counted then. Losing it costs a listing."""

    __tablename__ = "space_listing"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    listed_at: Mapped[datetime]
    """Before the listing began: a space that a webhook names from then on may not be in it."""
    types: Mapped[list[str]]
    """The types that were listed; empty for all."""
    counted: Mapped[int | None] = mapped_column(sa.BigInteger)
    """How many spaces of all types search counted; NULL where it does not count them."""
    named: Mapped[int | None] = mapped_column(sa.BigInteger)
    """How many of the listed ones search counted."""


class SiteSpace(TenantScoped, Base):
    """One space of the last listing."""

    __tablename__ = "site_space"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    space_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    position: Mapped[int]
    key: Mapped[str] = mapped_column(sa.String(255))
    name: Mapped[str] = mapped_column(sa.Text)
    type: Mapped[str] = mapped_column(sa.String(32))


class NotificationMatch(TenantScoped, Base):
    """One item that one rule reports to one person, collected while running, grouped into mails in finalizing."""

    __tablename__ = "notification_match"

    execution_id: Mapped[str] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="CASCADE"), primary_key=True)
    rule_id: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    content_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    space_id: Mapped[str] = mapped_column(sa.String(32))
    space_key: Mapped[str] = mapped_column(sa.String(255))
    kind: Mapped[str] = mapped_column(sa.String(16))
    title: Mapped[str] = mapped_column(sa.Text)
    path: Mapped[str] = mapped_column(sa.Text)
    """The content's web path below the site's base URL."""
    updated_at: Mapped[datetime]
    slug: Mapped[str | None] = mapped_column(sa.String(64))


class ArchiveTask(TenantScoped, Base):
    """One batch to archive or to trash: stored before its call, its task's id right after, open until `ended_at`."""

    __tablename__ = "archive_task"
    __table_args__ = (sa.Index("ix_archive_task_open", "execution_id", "ended_at"),)

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    execution_id: Mapped[str] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="CASCADE"))
    space_id: Mapped[str] = mapped_column(sa.String(32))
    automation_id: Mapped[str] = mapped_column(sa.String(200))
    action: Mapped[str | None] = mapped_column(sa.String(16))
    """archive or delete; NULL in rows of before it was kept: what the automation does, if it is still there."""
    page_ids: Mapped[list[str]]
    titles: Mapped[list[str]]
    task_id: Mapped[str | None] = mapped_column(sa.String(64))
    submitted_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class IndicatorSwitch(TenantScoped, Base):
    """What was last written to a site about where the byline shows statuses, and what went wrong since."""

    __tablename__ = "indicator_switch"

    tenant_id: Mapped[TenantId] = mapped_column(sa.String(36), sa.ForeignKey("tenant.id"), primary_key=True)
    policy_version: Mapped[int]
    """The version of the policies that the written value follows; 0 while nothing was written."""
    generation: Mapped[int]
    """The installation it was written to: a new one begins without properties."""
    digest: Mapped[str] = mapped_column(sa.String(64))
    spaces: Mapped[int]
    """How many spaces it names; 0 also when it is on, or off, everywhere."""
    written_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    """When it is looked at again although the policies have not changed."""
    problem: Mapped[str | None] = mapped_column(sa.Text)
