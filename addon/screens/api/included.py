"""The spaces that are not included: listed for Confluence administrators, and taken in by one click.

There are none while the policies choose no spaces. A space counts as new when it was made after the policies began to
choose, so that those which were left out on purpose are not offered again and again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from addon.base import Cache, Caller, FieldError, Space, TenantId
from addon.jobs import with_labels
from addon.parts import Parts
from addon.policies import NOT_INCLUDED, PolicyDocument, Selector
from addon.screens.access import Access
from addon.screens.api.base import Api
from addon.screens.api.executions.presenter import Presenter
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.schemas import Body, Model, SpaceKey

REMEMBERED = timedelta(minutes=15)
"""A listing of all spaces costs a point for each of them."""
MOST = 100
"""Spaces that are listed, the newest first."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class IncludeSpaces(Body):
    """Let these spaces take part from now on."""

    keys: Annotated[list[SpaceKey], Field(min_length=1, max_length=MOST)]


class LeftOut(Model):
    """A space that takes no part because it was not chosen."""

    key: str
    name: str
    type: str
    new: bool = Field(description="Made since the policies began to choose spaces")


class NotIncluded(Model):
    """The spaces that are neither excluded nor chosen."""

    total: int
    new: int
    items: list[LeftOut] = Field(description="The newest, at most 100")


class Included(Model):
    """The spaces are taken in; this version of the policies holds."""

    policy_version: int


class IncludedApi(Api):
    """Which spaces are not included, and the way in."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        super().__init__(parts, access, lookups, presenter)
        self._listings: Cache[TenantId, list[Space]] = Cache(parts.clock, most=200)

    @operation("GET", "/not-included", answers={200: NotIncluded}, problems=(401, 403, 503), name="not_included")
    def left_out(self, caller: Caller) -> NotIncluded:
        """Return the spaces that take no part because the policies do not choose them, new ones first."""
        self._access.site(caller)
        with self._parts.db.read(caller.tenant_id) as session:
            _, document = self._parts.policies.current(session, caller.tenant_id)
            since = self._parts.policies.choosing_since(session, caller.tenant_id)
        if since is None:
            return NotIncluded(total=0, new=0, items=[])
        spaces = sorted(self._spaces(caller, document, REMEMBERED), key=_made, reverse=True)
        found = [
            LeftOut(key=space.key, name=space.name, type=space.type, new=_made(space) > since)
            for space in spaces
            if document.exclusion(space) == NOT_INCLUDED
        ]
        return NotIncluded(total=len(found), new=sum(each.new for each in found), items=found[:MOST])

    @operation(
        "POST",
        "/included-spaces",
        body=IncludeSpaces,
        answers={200: Included},
        problems=(400, 401, 403, 412, 413, 415, 422, 503),
        name="include_spaces",
    )
    def include(self, caller: Caller, *, body: IncludeSpaces) -> Included:
        """Let the named spaces take part, by a new version of the policies; a space that does already stays as it is.

        Raises Problem 422 for a space that is excluded or cannot be seen, 412 when somebody saves meanwhile.
        """
        self._access.site(caller, write=True)
        with self._parts.db.read(caller.tenant_id) as session:
            version, document = self._parts.policies.current(session, caller.tenant_id)
        reasons = {space.key: document.exclusion(space) for space in self._spaces(caller, document, timedelta(0))}
        errors = [
            FieldError(f"/keys/{position}", f"The space {key} {_refused(reasons.get(key, ''))}.")
            for position, key in enumerate(body.keys)
            if reasons.get(key, "") not in (None, NOT_INCLUDED)
        ]
        if errors:
            raise Problem(422, "invalid", "Not every one of these spaces can be taken in.", errors=errors)
        fresh = [Selector(key=key) for key in dict.fromkeys(body.keys) if reasons[key] == NOT_INCLUDED]
        if not fresh:
            return Included(policy_version=version)
        changed = document.model_copy(update={"included_spaces": (*document.included_spaces, *fresh)})
        checked = self._parts.policies.check(changed)
        with self._parts.db.write(caller.tenant_id) as session:
            version = self._store(session, caller, checked, version)
        return Included(policy_version=version)

    def _spaces(self, caller: Caller, document: PolicyDocument, max_age: timedelta) -> list[Space]:
        known = self._listings.get(caller.tenant_id, max_age)
        with self._parts.confluence.client(caller.tenant_id) as client:
            spaces = client.spaces() if known is None else known.value
            if known is None:
                self._listings.put(caller.tenant_id, spaces)
            return with_labels(client, spaces, document)


def _made(space: Space) -> datetime:
    return space.created_at or LONG_AGO


def _refused(reason: str | None) -> str:
    return f"is {reason}" if reason else "is archived, does not exist, or cannot be seen by Content Steward"
