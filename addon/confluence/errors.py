"""The errors of calls to a site and of questions about rights; each says whether time heals it.

A `SiteError` is always about one call. `transient` is true for what time heals (429, 5xx, timeouts, network) and false
for what someone must change (permission, CQL, a removed page). A refused signature is `addon.base.Unreachable`.
"""

from __future__ import annotations

import math
from datetime import datetime

from addon.base import Refusal


class ConfluenceError(Exception):
    """The root of this room's errors."""


class RightsError(ConfluenceError, Refusal):
    """A person who is not let in; `kind` is stable and part of the JSON API."""


class NotAllowed(RightsError):
    """Confluence says that the person may not do this."""


class RightsUnknown(RightsError):
    """Confluence cannot be asked now what the person may do; `retry_after` says when it can, where that is known."""


class SiteError(ConfluenceError):
    """A call that did not give what was asked. `status` is the HTTP status, None where no answer arrived.

    `message` is Confluence's own words where it had any; `retry_after` its wish in seconds.
    """

    transient = False

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message if status is None else f"{status}: {message}")
        self.status = status
        self.message = message
        self.retry_after = retry_after


class BadRequest(SiteError):
    """400 and other 4xx: the request itself is wrong, too long (413, 414) or goes to a removed endpoint (410)."""


class CqlRejected(BadRequest):
    """400 on a search: Confluence does not take this CQL."""


class NotFound(SiteError):
    """404: missing, or hidden from the app. v2 answers so for a missing permission too: never read it as deleted."""


class Forbidden(SiteError):
    """403: the app's user may not."""


class Conflict(SiteError):
    """409: another version came first, or another archive job runs. Read again, then decide."""


class Postponed(SiteError):
    """Not now. `until` is when to continue, `reason` says why, in words for people.

    Neither a content nor a space is to blame: a run pauses until then, and nothing of it fails.
    """

    transient = True

    def __init__(
        self, until: datetime, reason: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(reason, status=status, retry_after=retry_after)
        self.until = until
        self.reason = reason

    def seconds_left(self, now: datetime) -> int:
        """Return the whole seconds from `now` after which to try again, at least 1."""
        return max(1, math.ceil((self.until - now).total_seconds()))

    def waiting(self, now: datetime) -> str:
        """Return how long that is in words: "5 seconds", "12 minutes"."""
        seconds = self.seconds_left(now)
        count, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
        return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


class ServerError(SiteError):
    """5xx."""

    transient = True


class AskedForFewer(Postponed):
    """The site asks for fewer requests of this kind, for `retry_after` seconds where it says."""

    def __init__(self, until: datetime, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(until, "Confluence asks for fewer requests", status=status, retry_after=retry_after)


class RateLimited(AskedForFewer):
    """429 for a burst: this endpoint only, for a short while, and nothing was done. A used-up quota: QuotaExhausted."""


class Overloaded(AskedForFewer, ServerError):
    """503 that says when to come back. A write may or may not have happened."""


class Timeout(SiteError):
    """The call took longer than its total limit. A write may or may not have happened."""

    transient = True


class Network(SiteError):
    """No connection, or it broke. A write may or may not have happened."""

    transient = True


class SiteBusy(SiteError):
    """The call was not made: too many of this site's are under way, or it has not answered the last ones in time."""

    transient = True


class Malformed(SiteError):
    """The answer is not what the API promises: broken JSON, missing fields, an endless listing, too large."""

    transient = True


class Redirected(SiteError):
    """The site answered with a redirect, which is never followed: the signature is for this host and path only."""


class QuotaExhausted(Postponed):
    """No points are left. `until` is already spread over tenants, `reason` says whose quota it is."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(until, reason, status=429)
