"""May this person do this? Asked of Confluence, remembered for a short while, refused whenever it cannot be asked.

A token says who somebody is, never what they may (connect.md 3.7). How fresh a decision must be: PROTOCOLS.md 4.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from addon.base import Caller, Clock, Problem, Space, TenantGone, TenantId, Unreachable
from addon.confluence import contentrights
from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Operation
from addon.confluence.errors import Forbidden, NotFound, Postponed, QuotaExhausted, SiteBusy, SiteError
from addon.confluence.gateway import Confluence

log = logging.getLogger(__name__)

WRITE_AGE = timedelta(seconds=60)
"""How old a decision may be for starting, cancelling and changing."""
READ_AGE = timedelta(minutes=15)
"""How old a decision may be for looking."""
_REFUSAL_AGE = timedelta(seconds=60)
"""A refusal is asked again sooner, so that a right just granted soon works."""
_NOT_TOLD = timedelta(hours=1)
"""How long a site that does not decide about content for the app is not asked to."""
_SITE = ""

_Key = tuple[TenantId, str, str]


@dataclass(frozen=True, slots=True)
class _Decision:
    """What the site said, asked `at` (monotonic) with `as_of` changes of rights known. Good while these are all."""

    at: float
    allowed: bool
    as_of: int


class Permissions:
    """Who administers what, with a bounded memory of this process, which a change that any process hears of ends."""

    def __init__(
        self,
        confluence: Confluence,
        clock: Clock,
        *,
        changes: Callable[[TenantId], int],
        remembered: int = 10_000,
    ) -> None:
        """Take the gateway to ask and how many decisions to remember.

        `changes` counts how often rights are known to have changed on a site, by any process.
        """
        self._confluence = confluence
        self._clock = clock
        self._remembered = remembered
        self._changes = changes
        self._decisions: OrderedDict[_Key, _Decision] = OrderedDict()
        self._refused: dict[TenantId, float] = {}
        self._lock = threading.Lock()

    def require_site_admin(self, caller: Caller, *, max_age: timedelta = WRITE_AGE) -> None:
        """Return if `caller` administers Confluence.

        Raises Problem 403 when not, 503 when the site cannot be asked now.
        """
        if not self.is_site_admin(caller, max_age=max_age):
            raise Problem(
                403,
                "not-site-administrator",
                "Only Confluence administrators may do this. Ask one of them to do it or to grant you the permission.",
            )

    def require_space_admin(self, caller: Caller, space: Space, *, max_age: timedelta = WRITE_AGE) -> None:
        """Return if `caller` administers `space`, or all of Confluence.

        Raises Problem 403 when not, 503 when the site cannot be asked now.
        """
        if not self.is_space_admin(caller, space, max_age=max_age):
            raise Problem(
                403,
                "not-space-administrator",
                f"Only administrators of the space {space.key} and Confluence administrators may do this. "
                "Ask one of them to do it or to grant you the permission.",
            )

    def is_site_admin(self, caller: Caller, *, max_age: timedelta = READ_AGE) -> bool:
        """Return whether `caller` administers Confluence. Raises Problem 503 when the site cannot be asked now."""
        key = (caller.tenant_id, caller.account_id, _SITE)
        return self._decided(key, max_age, lambda: self._ask_site(caller))

    def is_space_admin(self, caller: Caller, space: Space, *, max_age: timedelta = READ_AGE) -> bool:
        """Return whether `caller` administers `space`, or all of Confluence, which is cheaper to ask and comes first.

        Raises Problem 503 when the site cannot be asked now.
        """
        if self.is_site_admin(caller, max_age=max_age):
            return True
        key = (caller.tenant_id, caller.account_id, space.id)
        return self._decided(key, max_age, lambda: self._ask_space(caller, space))

    def may(self, caller: Caller, content: Content, operation: Operation, *, max_age: timedelta = WRITE_AGE) -> bool:
        """Return whether `caller` may read or update `content` (which the app sees, with its space id).

        Confluence is asked for its own decision; where it does not tell the app, the same is concluded from space
        permissions and restrictions. Raises Problem 503 when the site cannot be asked now.
        """
        key = _content_key(caller, content, operation)
        return self._decided(key, max_age, lambda: self._ask_content(caller, content, operation))

    def _ask_site(self, caller: Caller) -> bool:
        with self._confluence.client(caller.tenant_id) as client:
            return client.is_site_admin(caller.account_id)

    def _ask_space(self, caller: Caller, space: Space) -> bool:
        with self._confluence.client(caller.tenant_id) as client:
            return client.is_space_admin(caller.account_id, space.id)

    def _ask_content(self, caller: Caller, content: Content, operation: Operation) -> bool:
        now = self._clock.monotonic()
        changes = self._changes(caller.tenant_id)
        try:
            with self._confluence.client(caller.tenant_id) as client:
                told = self._told(client, caller, content, operation, now)
                if told is not None:
                    return told
                rights = contentrights.concluded(client, caller.account_id, content)
        except NotFound:
            return False  # The content or the person went, or hides from the app.
        for each, allowed in rights.items():
            self._keep(_content_key(caller, content, each), _Decision(now, allowed, changes))
        return rights[operation]

    def _told(
        self, client: SiteClient, caller: Caller, content: Content, operation: Operation, now: float
    ) -> bool | None:
        """Return the site's own decision; None where it does not decide about content for the app."""
        refused_at = self._refused.get(caller.tenant_id)
        if refused_at is not None and now - refused_at <= _NOT_TOLD.total_seconds():
            return None
        try:
            return client.may(caller.account_id, content.id, operation)
        except Forbidden:
            self._refused[caller.tenant_id] = now
            return None

    def _decided(self, key: _Key, max_age: timedelta, ask: Callable[[], bool]) -> bool:
        asked_at = self._clock.monotonic()
        changes = self._changes(key[0])
        with self._lock:
            known = self._decisions.get(key)
        if known is not None and known.as_of == changes:
            age = max_age if known.allowed else min(max_age, _REFUSAL_AGE)
            if asked_at - known.at <= age.total_seconds():
                return known.allowed
        allowed = self._asked(ask)
        # The age counts from before the question: a right may be withdrawn while it is answered.
        self._keep(key, _Decision(asked_at, allowed, changes))
        return allowed

    def _keep(self, key: _Key, decision: _Decision) -> None:
        with self._lock:
            self._decisions[key] = decision
            self._decisions.move_to_end(key)
            while len(self._decisions) > self._remembered:
                self._decisions.popitem(last=False)

    def _asked(self, ask: Callable[[], bool]) -> bool:
        try:
            return ask()
        except Postponed as error:
            now = self._clock.now()
            raise Problem(
                503,
                "quota-exhausted" if isinstance(error, QuotaExhausted) else "asked-for-fewer",
                f"Your permissions cannot be checked now: {error.reason}. Try again in {error.waiting(now)}.",
                retry_after=error.seconds_left(now),
            ) from error
        except Unreachable as error:
            raise Problem(
                503,
                "needs-installation",
                "Confluence refuses the add-on's signature. A Confluence administrator must install the add-on again.",
            ) from error
        except TenantGone as error:
            raise Problem(403, "not-installed", "The add-on is not installed on this site any more.") from error
        except SiteBusy:
            raise  # said in the same words wherever a person waits
        except SiteError as error:
            log.warning("permissions could not be checked: %s", error)
            raise Problem(
                503,
                "site-unavailable",
                f"Your permissions cannot be checked now, Confluence answered: {error.message}. Try again in a minute.",
                retry_after=30,
            ) from error


def _content_key(caller: Caller, content: Content, operation: Operation) -> _Key:
    return caller.tenant_id, caller.account_id, f"{operation}:{content.id}"
