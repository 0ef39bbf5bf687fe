"""The tables of installations, of install tokens that were used, and of reports of accounts to Atlassian."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base import Base, TenantId


class Tenant(Base):
    """One Confluence site that installed the add-on. The clientKey is its identity for Atlassian.

    See docs/rules/connect.md 2.2.
    """

    __tablename__ = "tenant"
    __table_args__ = (
        # Who may call and what is erased are decided by this word.
        sa.CheckConstraint("state IN ('installed', 'uninstalled')", name="state"),
        # An uninstalled site leaves no secret behind, and an installed one can always be verified.
        sa.CheckConstraint("(state = 'installed') = (secret IS NOT NULL)", name="secret_while_installed"),
    )

    id: Mapped[TenantId] = mapped_column(sa.String(36), primary_key=True)
    client_key: Mapped[str] = mapped_column(sa.String(255), unique=True)
    base_url: Mapped[str] = mapped_column(sa.String(500))
    display_url: Mapped[str | None] = mapped_column(sa.String(500))
    oauth_client_id: Mapped[str | None] = mapped_column(sa.String(255))
    state: Mapped[str] = mapped_column(sa.String(16))
    enabled: Mapped[bool] = mapped_column(default=True)
    needs_reinstall: Mapped[bool] = mapped_column(default=False)
    secret: Mapped[bytes | None]
    """The shared secret, sealed by SecretBox; NULL as soon as the tenant is uninstalled."""
    secret_version: Mapped[int] = mapped_column(default=1)
    generation: Mapped[int] = mapped_column(default=1)
    """Rises at every uninstall, so that work begun before it can tell that it is stale."""
    lifecycle_iat: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """`iat` of the newest verified installed/uninstalled (seconds since 1970); older ones change nothing."""
    installed_at: Mapped[datetime]
    uninstalled_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class SpentToken(Base):
    """An install token that was used, and a keyed hash of what for, until it expires. No tenant's: it made one."""

    __tablename__ = "spent_token"

    token: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """SHA-256 of the token."""
    body: Mapped[str] = mapped_column(sa.String(64))
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AccountReport(Base):
    """When an account was last reported. Rows go when nothing is stored about the account any more.

    See docs/rules/connect.md 6.3.
    """

    __tablename__ = "account_report"

    account_id: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    reported_at: Mapped[datetime]
    refreshed_at: Mapped[datetime | None]
    """When we let go of what Atlassian said had changed."""


class ReportCycle(Base):
    """The reporting's one row: how long its cycle is, and before when no process calls."""

    __tablename__ = "report_cycle"
    # One cycle for the whole add-on: a second row would be a second opinion on when to report.
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    days: Mapped[int]
    not_before: Mapped[datetime]
