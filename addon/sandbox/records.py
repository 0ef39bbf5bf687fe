"""Plain records of what the pretend site stores; a content record is never changed in place but replaced.

Replacing makes a lagging search index cheap: the index keeps the record of some seconds ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

Kind = Literal["page", "blogpost"]
Status = Literal["current", "archived", "trashed"]
Operation = Literal["read", "update"]


@dataclass(slots=True)
class Property:
    """A content property. `version` starts at 1 and rises by one with each update."""

    id: str
    key: str
    value: Any
    version: int
    author_id: str
    created_at: datetime


@dataclass(slots=True)
class Restriction:
    """Who alone may view (`read`) or edit (`update`) a content: account ids and group ids."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(slots=True)
class Content:
    """A page or a blog post. Treat it as frozen: `evolve` returns the changed copy that replaces it.

    `created_at`, `updated_at` are aware UTC times; `contributors` are account ids in the order of their first edit;
    `parent_id` is a page id or None at the top of the tree (always None for blog posts).
    """

    id: str
    kind: Kind
    space_id: str
    title: str
    author_id: str
    created_at: datetime
    updated_at: datetime
    updater_id: str
    parent_id: str | None = None
    status: Status = "current"
    version: int = 1
    body: str = ""
    labels: tuple[str, ...] = ()
    contributors: tuple[str, ...] = ()
    properties: Mapping[str, Property] = field(default_factory=dict)

    def evolve(self, **changes: Any) -> Content:
        """Return a copy with `changes`. Raises AttributeError on a name that is no field."""
        # A third of what copy.copy costs, and large sites are stamped a hundred thousand times.
        changed = Content(*_VALUES(self))
        for name, value in changes.items():
            setattr(changed, name, value)
        return changed


_VALUES = attrgetter(*(known.name for known in fields(Content)))


@dataclass(slots=True)
class Space:
    """A space. `type` and `status` as in `GET /wiki/api/v2/spaces` (docs/rules/confluence-api.md 2.1)."""

    id: str
    key: str
    name: str
    type: str
    status: str
    author_id: str
    created_at: datetime
    homepage_id: str | None = None
    labels: tuple[str, ...] = ()
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class User:
    """A person or an app. `email_visible` says whether the profile shows the address to others."""

    account_id: str
    display_name: str
    email: str
    email_visible: bool = True
    time_zone: str | None = None
    active: bool = True
    account_type: str = "atlassian"
    groups: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Group:
    """A group of users, by its id."""

    id: str
    name: str


@dataclass(slots=True)
class PermissionRow:
    """One row of a space's permissions: a principal (user, group or role) may do `operation` on `target`."""

    id: str
    principal_type: Literal["user", "group", "role"]
    principal_id: str
    operation: str
    target: str


@dataclass(slots=True)
class RoleAssignment:
    """One assignment of a space role (role mode). `principal_type`: USER, GROUP or ACCESS_CLASS."""

    principal_type: Literal["USER", "GROUP", "ACCESS_CLASS"]
    principal_id: str
    role_id: str


@dataclass(slots=True)
class LongTask:
    """An archive job: in the queue until `begins_at`, and done with its work at `due_at`.

    `known_at` is when GET /longtask begins to know it, None for a job that the add-on never sees.
    """

    id: str
    page_ids: tuple[str, ...]
    started_at: datetime
    begins_at: datetime
    due_at: datetime
    known_at: datetime | None
    finished_at: datetime | None = None
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class AddonInstallation:
    """An add-on known to the site: who may sign requests, and what its descriptor declares."""

    key: str
    client_key: str
    secret: str
    descriptor: dict[str, Any]
    base_url: str = ""
    enabled: bool = True

    @property
    def scopes(self) -> frozenset[str]:
        """The descriptor's scopes in upper case."""
        return frozenset(str(scope).upper() for scope in self.descriptor.get("scopes", ()))
