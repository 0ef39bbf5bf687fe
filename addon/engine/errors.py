"""What the engine refuses, each with the facts that a person needs: the active execution, the reason, until when."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import exc
from structlog.stdlib import BoundLogger

from addon.base import cause_of, is_away, is_blocked
from addon.engine.job import Interrupted
from addon.engine.models import JobExecution

DATABASE_AWAY = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)
"""Errors which say that the database cannot be reached now, and nothing about the work itself."""


def log_failure(log: BoundLogger, error: Exception, event: str, *, action: str, **ids: str) -> None:
    """Log `event` and the error; a database that is away or busy has nothing to show by a traceback."""
    if is_away(error) or is_blocked(error):
        log.warning(event, action=action, database=cause_of(error), **ids)
    else:
        log.error(event, action=action, exc_info=error, **ids)


def internal_error(error: BaseException) -> str:
    """Return what people read of an exception that no one meant to raise. The log has the rest."""
    return f"internal error ({type(error).__name__}); the log of the app has the details"


class UnknownJob(Exception):
    """No job of this type exists here."""

    def __init__(self, job_type: str) -> None:
        super().__init__(f"there is no job {job_type!r}")
        self.job_type = job_type


class Busy(Exception):
    """The tenant's lane is taken: `active` is the execution that runs there."""

    def __init__(self, active: JobExecution) -> None:
        super().__init__(f"execution {active.id} ({active.job_type}) is {active.status}")
        self.active = active


class NotAdmitted(Exception):
    """Nothing may start now. `kind` for programs, `reason` for people, `until` when it is known to end."""

    def __init__(
        self, kind: Literal["closed", "first_run", "hold"], reason: str, until: datetime | None = None
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.until = until


class NotFound(Exception):
    """The tenant has no such execution."""


class NotCancellable(Exception):
    """The execution has come too far to be cancelled: `status` is finalizing or terminal."""

    def __init__(self, status: str) -> None:
        super().__init__(f"an execution that is {status} cannot be cancelled")
        self.status = status


class NotRetryable(Exception):
    """No retry by hand of this execution: it has not failed, no space of it did, or `by` has taken them over."""

    def __init__(
        self, kind: Literal["not-failed", "no-failed-space", "retried"], status: str, by: str | None = None
    ) -> None:
        super().__init__(f"an execution that is {status} cannot be retried: {kind}")
        self.kind = kind
        self.status = status
        self.by = by


class Fenced(Interrupted):
    """The lease is gone: the execution has another owner, or none. Nothing may be written for it any more."""
