"""The quota ledger: what was reserved of each UTC hour's points, and until when calls are closed."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from addon.base.database import Base


class QuotaHour(Base):
    """Points reserved in one UTC hour by one scope: 'pool' for the whole add-on, or a tenant id."""

    __tablename__ = "quota_hour"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    reserved: Mapped[int] = mapped_column(default=0)
    limit: Mapped[int]
    closed_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(sa.Text)
