"""Settlement: reading back what was submitted to the site and has no known outcome yet.

No execution ends cancelled, failed or interrupted before that is read back (docs/rules/executions.md 1.7). Where its
owner cannot do it, because it stops, is dead, or the site does not answer, a later owner does
(docs/adr/0010-settle-before-the-end.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import backoff
from addon.engine.context import EngineContext
from addon.engine.job import Run
from addon.engine.models import AuditEvent, JobExecution

MAX_TRIES = 12
"""How often an execution is put aside to be settled later before its outcome is recorded as unknown (over an hour)."""
_FIRST_WAIT = 30.0
_LONGEST_WAIT = 600.0
_ASIDE = ("paused", "left_to_settle", "lease_lost", "stuck")
SETTLE_LATER = "settleLater"
"""In an event's detail: the execution was put aside for nothing but its settlement."""


@runtime_checkable
class Settles(Protocol):
    """What a job has in addition to `settle` when the site continues without it with what it has submitted."""

    def unsettled(self, session: Session, execution_id: str) -> bool:
        """Return whether something submitted for this execution is not read back. Asked without HTTP."""
        ...

    def give_up(self, run: Run, reason: str) -> None:
        """Record what is not read back as unknown, with the reason; nothing is unsettled afterwards. Without HTTP."""
        ...


@dataclass(frozen=True, slots=True)
class Later:
    """Settlement resumes at `until`; `reason` is for people."""

    until: datetime
    reason: str


def unsettled(context: EngineContext, session: Session, execution: JobExecution) -> bool:
    """Return whether something submitted for the execution is not read back."""
    job = settler(context.jobs.get(execution.job_type))
    return job is not None and job.unsettled(session, execution.id)


def settler(job: object) -> Settles | None:
    """Return the job as one that submits work, or None when nothing outlives its calls."""
    return job if isinstance(job, Settles) else None


def tries(session: Session, execution_id: str) -> int:
    """Return how often the execution was put aside to be settled later."""
    details = session.scalars(
        sa.select(AuditEvent.detail).where(
            AuditEvent.execution_id == execution_id,
            AuditEvent.tag.in_([f"job:execution:{event}" for event in _ASIDE]),
        )
    )
    return sum(bool(detail.get(SETTLE_LATER)) for detail in details)


def wait_after(count: int) -> timedelta:
    """Return how long to wait when settling has failed `count` times before."""
    return timedelta(seconds=backoff(count, first=_FIRST_WAIT, longest=_LONGEST_WAIT))
