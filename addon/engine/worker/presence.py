"""The processes that run executions, known by their heartbeats: one that only serves screens runs none."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.engine.models import Worker

SILENT_LEASES = 2
"""A process that was silent for so many leases is gone; until then it may be restarting."""
NO_WORKER = (
    "no worker: no process that runs jobs was heard of for {seconds} seconds. "
    "Start `steward worker`, or serve with `steward serve --work`."
)


def workers(session: Session, now: datetime, lease_seconds: float) -> int:
    """Return how many processes run executions. `lease_seconds` is the lease's length."""
    near = timedelta(seconds=SILENT_LEASES * lease_seconds)
    beats = Worker.heartbeat_at.between(now - near, now + near)
    # A process of an older version does not say how many it runs.
    runs = sa.or_(Worker.runners.is_(None), Worker.runners > 0)
    return session.scalar(sa.select(sa.func.count()).select_from(Worker).where(beats, runs)) or 0


def no_worker(session: Session, now: datetime, lease_seconds: float) -> str | None:
    """Return, for operators, that nothing runs executions and what to do, or None when something does.

    Parameters are as for `workers`. What is started meanwhile waits, and begins as soon as a worker is there.
    """
    if workers(session, now, lease_seconds):
        return None
    return NO_WORKER.format(seconds=round(SILENT_LEASES * lease_seconds))
