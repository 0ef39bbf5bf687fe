"""Faults: what an error of the site means for a run. The one place that turns confluence's errors into the engine's.

Either the error ends or pauses the run, and is raised as the engine's own; or it belongs to one item or one space, and
becomes a reason that people read in the audit log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from addon.base import TenantGone, Unreachable, get_logger
from addon.confluence import Postponed, SiteError
from addon.engine import DATABASE_AWAY, internal_error
from addon.engine.job import Abandon, CancelRequested, Fatal, Interrupted, JobRefused, Pause

log = get_logger(__name__)

STOPS = (Interrupted, CancelRequested, Pause, Abandon, Fatal)
SITE_FAULTS = (SiteError, TenantGone, Unreachable)

_REINSTALL = (
    "the site no longer accepts this installation's signature; "
    "uninstall Content Steward in Confluence and install it again"
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something failed, in words for people. `transient`: it may pass, so a retry makes sense."""

    text: str
    transient: bool


def reason_of(error: BaseException) -> Reason:
    """Return why one item or one space failed.

    Raises what concerns the whole run instead: Pause (no points, or fewer requests asked for), Abandon (tenant gone),
    Fatal (signature refused), a database that is away, and the engine's own exceptions as they are.
    """
    match error:
        case Interrupted() | CancelRequested() | Pause() | Abandon() | Fatal() | JobRefused():
            raise error
        case Postponed():
            raise Pause(error.until, error.reason) from error
        case TenantGone():
            raise Abandon(str(error) or "the site uninstalled the app") from error
        case Unreachable():
            raise Fatal(_REINSTALL, transient=False) from error
        case SiteError():
            return Reason(str(error), error.transient)
        case error if isinstance(error, DATABASE_AWAY):
            raise error  # nothing is wrong with the item: the engine gives the execution back
        case Exception():
            log.error("unexpected error in a job", action="item_failed", exc_info=error)
            return Reason(internal_error(error), transient=False)
    raise error


@contextmanager
def translated() -> Iterator[None]:
    """Raise what a call outside any item or space raises as the engine's own.

    A failure that would belong to a space becomes Fatal: without that answer no space can be worked on.
    """
    try:
        yield
    except SITE_FAULTS as error:
        reason = reason_of(error)
        raise Fatal(reason.text, transient=reason.transient) from error
