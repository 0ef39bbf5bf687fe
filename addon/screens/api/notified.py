"""The runs that mailed people about a space within the last day, after which nobody is mailed about it by hand again.

An administrator of one space can start its notifications, and whom a rule names cannot help being told. So a start by
hand is refused for a day after any run that mailed about the space, unless a Confluence administrator asks for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from addon.base import Space, TenantId
from addon.engine import JobExecution, queries
from addon.mail import Mailer

NOTIFICATIONS = "send-notifications"
QUIET = timedelta(hours=24)


def notified_lately(
    session: Session, mailer: Mailer, tenant_id: TenantId, space: Space, now: datetime
) -> JobExecution | None:
    """Return the newest execution that mailed people about items of `space` within a day before `now`, if any."""
    rows, _ = queries.history(session, tenant_id, job=NOTIFICATIONS, space_id=space.id, limit=queries.MAX_PAGE)
    lately = [row for row in rows if row.ended_at is not None and row.ended_at > now - QUIET and not row.dry_run]
    parts = queries.results_in_space(session, [row.id for row in lately], space.id)
    for row in lately:
        part = parts.get(row.id)
        if part is not None and part.metrics.get("contentsMatched") and any(mailer.counts(session, row.id).values()):
            return row
    return None
