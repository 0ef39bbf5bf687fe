"""Permissions: who may do what, decided by Confluence and remembered for a short while.

A token says who a person is, never what they may (docs/rules/connect.md 3.7). How fresh a decision must be:
docs/rules/quota.md 4.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from addon.base import Cache, Caller, Clock, Space, TenantGone, TenantId, Unreachable, get_logger
from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Operation
from addon.confluence.errors import (
    BadRequest,
    Forbidden,
    NotAllowed,
    NotFound,
    Postponed,
    QuotaExhausted,
    RightsUnknown,
    SiteBusy,
    SiteError,
)
from addon.confluence.gateway import Confluence
from addon.confluence.quota import budgets
from addon.confluence.rights import grants

log = get_logger(__name__)

WRITE_AGE = timedelta(seconds=60)
"""How old a decision may be for starting, cancelling and changing."""
READ_AGE = timedelta(minutes=15)
"""How old a decision may be for looking."""
_REFUSAL_AGE = timedelta(seconds=60)
"""A refusal is asked again sooner, so that a right just granted soon works."""
_NOWHERE = "0"
"""The id of no space: a person who asks for one that does not exist waits about as long as for one that does."""
_UNDECIDED_LASTS = timedelta(hours=1)
"""How long a site that does not decide about content for the app is not asked to."""
_SITE = ""

_NOT_YOURS = (
    "You are not an administrator of a space with the key {key} that Content Steward sees. Ask an administrator of the "
    "space, or a Confluence administrator."
)

T = TypeVar("T")
_Key = tuple[TenantId, str, str]


@dataclass(frozen=True, slots=True)
class _Decision:
    """What the site said when `as_of` changes of rights were known. True while there is none more."""

    allowed: bool
    as_of: int


class Permissions:
    """Who administers what, with a bounded memory. A change of rights that any process notes ends every entry."""

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
        self._changes = changes
        self._decisions: Cache[_Key, _Decision] = Cache(clock, most=remembered)
        self._undecided: Cache[TenantId, None] = Cache(clock, most=remembered, lasts=_UNDECIDED_LASTS)

    def require_site_admin(
        self, caller: Caller, *, max_age: timedelta = WRITE_AGE, in_need: timedelta | None = None
    ) -> None:
        """Return if `caller` administers Confluence.

        `in_need` is the age of a decision that will do while there are no points to ask with; by default `max_age`.
        Raises NotAllowed when not, RightsUnknown when the site cannot be asked now.
        """
        if not self.is_site_admin(caller, max_age=max_age, in_need=in_need):
            raise NotAllowed(
                "not-site-administrator",
                "Only Confluence administrators may do this. Ask one of them to do it or to grant you the permission.",
            )

    def require_space_admin(
        self,
        caller: Caller,
        key: str,
        find: Callable[[], Space | None],
        *,
        max_age: timedelta = WRITE_AGE,
        in_need: timedelta | None = None,
    ) -> Space:
        """Return the space of this `key`, which `find` looks up, if `caller` administers it but not all of Confluence.

        `in_need` as in `require_site_admin`. Raises RightsUnknown when the site cannot be asked now, and otherwise
        the same NotAllowed for a space that does not exist, that is hidden, and that the caller does not administer, so
        that no one learns which spaces there are. The refusal counts for a minute, without asking the site again.
        """
        own = (caller.tenant_id, caller.account_id, f"key:{key}")
        asked_at = self._clock.monotonic()
        changes = self._changes(caller.tenant_id)
        if self._known(own, changes, _REFUSAL_AGE, _REFUSAL_AGE) is None:
            space = self._asked(find)
            if space is None:
                self._asked(lambda: self._ask_space(caller, _NOWHERE))
            elif self.is_space_admin(caller, space, max_age=max_age, in_need=in_need):
                return space
            self._decisions.put(own, _Decision(False, changes), at=asked_at)
        raise NotAllowed("not-space-administrator", _NOT_YOURS.format(key=key))

    def is_site_admin(self, caller: Caller, *, max_age: timedelta = READ_AGE, in_need: timedelta | None = None) -> bool:
        """Return whether `caller` administers Confluence. Raises RightsUnknown when the site cannot be asked now.

        `in_need` as in `require_site_admin`. The first question about a person may be asked with points that are kept
        for administrators.
        """
        key = (caller.tenant_id, caller.account_id, _SITE)
        administers = self._decided(key, max_age, lambda: self._ask_site(caller), in_need=in_need)
        budgets.note_administrator(caller, administers)
        return administers

    def is_space_admin(
        self, caller: Caller, space: Space, *, max_age: timedelta = READ_AGE, in_need: timedelta | None = None
    ) -> bool:
        """Return whether `caller` administers `space`, or all of Confluence, which is cheaper to ask and comes first.

        `in_need` as in `require_site_admin`. Raises RightsUnknown when the site cannot be asked now.
        """
        if self.is_site_admin(caller, max_age=max_age, in_need=in_need):
            return True
        key = (caller.tenant_id, caller.account_id, space.id)
        return self._decided(key, max_age, lambda: self._ask_space(caller, space.id), in_need=in_need)

    def may(self, caller: Caller, content: Content, operation: Operation, *, max_age: timedelta = WRITE_AGE) -> bool:
        """Return whether `caller` may read or update `content` (which the app sees, with its space id).

        Confluence is asked for its own decision; where it does not tell the app, the same is concluded from space
        permissions and restrictions. Raises RightsUnknown when the site cannot be asked now.
        """
        key = _content_key(caller, content, operation)
        return self._decided(key, max_age, lambda: self._ask_content(caller, content, operation))

    def _ask_site(self, caller: Caller) -> bool:
        with self._confluence.client(caller.tenant_id) as client:
            return client.is_site_admin(caller.account_id)

    def _ask_space(self, caller: Caller, space_id: str) -> bool:
        with self._confluence.client(caller.tenant_id) as client:
            try:
                return client.is_space_admin(caller.account_id, space_id)
            except (NotFound, BadRequest):
                return False

    def _ask_content(self, caller: Caller, content: Content, operation: Operation) -> bool:
        now = self._clock.monotonic()
        changes = self._changes(caller.tenant_id)
        try:
            with self._confluence.client(caller.tenant_id) as client:
                decided = self._decided_by_site(client, caller, content, operation)
                if decided is not None:
                    return decided
                rights = grants.rights_on_content(client, caller.account_id, content)
        except NotFound:
            return False  # The content or the person went, or hides from the app.
        for each, allowed in rights.items():
            self._decisions.put(_content_key(caller, content, each), _Decision(allowed, changes), at=now)
        return rights[operation]

    def _decided_by_site(
        self, client: SiteClient, caller: Caller, content: Content, operation: Operation
    ) -> bool | None:
        """Return the site's own decision; None where it does not decide about content for the app."""
        if self._undecided.get(caller.tenant_id) is not None:
            return None
        try:
            return client.may(caller.account_id, content.id, operation)
        except Forbidden:
            self._undecided.put(caller.tenant_id, None)
            return None

    def _decided(
        self, key: _Key, max_age: timedelta, ask: Callable[[], bool], *, in_need: timedelta | None = None
    ) -> bool:
        asked_at = self._clock.monotonic()
        changes = self._changes(key[0])
        known = self._known(key, changes, max_age, min(max_age, _REFUSAL_AGE))
        if known is not None:
            return known
        return self._asked(lambda: self._ask(key, asked_at, changes, ask, in_need or max_age))

    def _ask(self, key: _Key, asked_at: float, changes: int, ask: Callable[[], bool], in_need: timedelta) -> bool:
        """Ask the site; without the points for it an older decision will do, and then those kept for administrators.

        A refusal holds for a quarter of an hour then, so that those who were refused do not use these up.
        """
        try:
            allowed = ask()
        except Postponed as error:
            older = self._known(key, changes, in_need, READ_AGE)
            if older is not None:
                return older
            if key[2] != _SITE or not isinstance(error, QuotaExhausted):
                raise
            with budgets.from_the_reserve(Caller(key[0], key[1])):
                allowed = ask()
        # The age counts from before the question: a right may be withdrawn while it is answered.
        self._decisions.put(key, _Decision(allowed, changes), at=asked_at)
        return allowed

    def _known(self, key: _Key, changes: int, allowed: timedelta, refused: timedelta) -> bool | None:
        """Return what was decided, or None when it is older than `allowed` (a refusal: `refused`) or rights changed."""
        for answer, age in ((True, allowed), (False, refused)):
            known = self._decisions.get(key, age)
            if known is not None and known.value.allowed is answer and known.value.as_of == changes:
                return answer
        return None

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except Postponed as error:
            now = self._clock.now()
            raise RightsUnknown(
                "quota-exhausted" if isinstance(error, QuotaExhausted) else "asked-for-fewer",
                f"Your permissions cannot be checked now: {error.reason}. Try again in {error.waiting(now)}.",
                retry_after=error.seconds_left(now),
            ) from error
        except Unreachable as error:
            raise RightsUnknown(
                "needs-installation",
                "Confluence refuses the add-on's signature. A Confluence administrator must install the add-on again.",
            ) from error
        except TenantGone as error:
            raise NotAllowed("not-installed", "The add-on is not installed on this site any more.") from error
        except SiteBusy:
            raise  # said in the same words wherever a person waits
        except SiteError as error:
            log.warning("permissions could not be checked", action="rights_unknown", error=str(error))
            raise RightsUnknown(
                "site-unavailable",
                f"Your permissions cannot be checked now, Confluence answered: {error.message}. Try again in a minute.",
                retry_after=30,
            ) from error


def _content_key(caller: Caller, content: Content, operation: Operation) -> _Key:
    return caller.tenant_id, caller.account_id, f"{operation}:{content.id}"
