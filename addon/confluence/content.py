"""The values that calls to a site return, named in Confluence's words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["page", "blogpost"]
Operation = Literal["read", "update"]


@dataclass(frozen=True, slots=True)
class Restriction:
    """Who alone may view or edit a content: account ids and group ids."""

    users: frozenset[str]
    groups: frozenset[str]

    def admits(self, account_id: str, groups: Collection[str]) -> bool:
        """Return whether a person in these groups is among them."""
        return account_id in self.users or not self.groups.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class Property:
    """A content property (v2). `version` is its current version number; an update sends version + 1.

    `written_at` and `author_id` are of that version; None where the site does not say.
    """

    id: str
    key: str
    value: Any
    version: int
    written_at: datetime | None = None
    author_id: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A page or blog post as search (v1) or a look-up by id (v2) returns it; None or empty where not asked for.

    `path` is the web path below the site's base URL. `status`: current, archived, trashed, draft.
    `ancestors` are page ids, topmost first.
    """

    id: str
    kind: Kind
    title: str
    space_id: str | None = None
    space_key: str | None = None
    status: str = "current"
    author_id: str | None = None
    updater_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int | None = None
    parent_id: str | None = None
    path: str = ""
    labels: frozenset[str] = frozenset()
    ancestors: tuple[str, ...] = ()
    properties: Mapping[str, Property] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class User:
    """An account. `email` is None where the profile hides it (or no e-mail API is approved).

    `account_type`: atlassian (a person), app, customer; empty where the site does not say.
    """

    account_id: str
    display_name: str
    email: str | None = None
    time_zone: str | None = None
    active: bool = True
    account_type: str = ""

    @property
    def active_person(self) -> bool:
        """Whether a person works with the account: no app, no customer of a help desk, no one who left."""
        return self.active and self.account_type == "atlassian"


@dataclass(frozen=True, slots=True)
class LongTask:
    """A long-running task of the site (archive)."""

    id: str
    finished: bool
    successful: bool
    percent: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """`GET /wiki/rest/api/settings/systemInfo`. `edition` in lower case; unknown editions count as standard."""

    cloud_id: str
    edition: str
    site_title: str
    time_zone: str
