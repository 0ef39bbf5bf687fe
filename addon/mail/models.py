"""The table of the outbox: one row for each mail that was decided on."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base import Base, TenantScoped


class OutboxMail(TenantScoped, Base):
    """One mail to one account. The address is looked up when it is sent and never stored."""

    __tablename__ = "outbox"
    __table_args__ = (
        # Every process looks for due mails every few seconds; those that ended stay for weeks.
        sa.Index(
            "ix_outbox_due",
            "not_before",
            postgresql_where=sa.text("state = 'pending'"),
            sqlite_where=sa.text("state = 'pending'"),
        ),
        sa.Index("ix_outbox_execution", "execution_id", "state"),
        sa.Index("ix_outbox_begun", "begun_at"),
        sa.Index("ix_outbox_ended", "tenant_id", "ended_at"),
        # A mail in a state that the outbox does not know would be neither sent nor counted nor deleted.
        sa.CheckConstraint("state IN ('pending', 'sent', 'suppressed', 'dead')", name="state"),
    )

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    execution_id: Mapped[str | None] = mapped_column(sa.ForeignKey("job_execution.id", ondelete="SET NULL"))
    dedupe_key: Mapped[str] = mapped_column(sa.String(255), unique=True)
    account_id: Mapped[str] = mapped_column(sa.String(128))
    message_id: Mapped[str] = mapped_column(sa.String(255))
    subject: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text)
    html: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(16), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime]
    lease_owner: Mapped[str | None] = mapped_column(sa.String(36))
    lease_until: Mapped[datetime | None]
    begun_at: Mapped[datetime | None]
    """Set just before the content goes to the mail server, cleared when the server refused it."""
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(sa.Text)
