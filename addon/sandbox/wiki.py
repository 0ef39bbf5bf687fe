"""The wiki of the pretend site: its spaces, contents and properties, and every change of them.

Every change happens under one lock, reaches the live shelf at once and the search index after its lag.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from addon.base import Clock
from addon.sandbox.access import Access, AppPermission
from addon.sandbox.index import LaggingIndex, Shelf
from addon.sandbox.people import ADMINISTRATORS, BOT, EVERYONE, People
from addon.sandbox.records import Content, Group, Kind, Operation, Property, Space, Status, User

ADMIN = "u-admin"
"""Account id of the Confluence administrator every pretend site has."""


class UnknownSpace(LookupError):
    """No space with that key or id."""


class UnknownContent(LookupError):
    """No content with that id."""


class StaleVersion(ValueError):
    """An update did not carry the next version number. `current` is the stored one."""

    def __init__(self, current: int, given: int) -> None:
        super().__init__(f"Current Version: [{current}]. Provided version: [{given}]")
        self.current = current
        self.given = given


class Wiki:
    """The people, spaces and contents of a site."""

    def __init__(self, clock: Clock, *, index_lag: float, time_zone: str) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.people = People()
        self.live = Shelf()
        self.index = LaggingIndex(self.live, clock, index_lag)
        self.access = Access(self.people, self.live)
        self._spaces: dict[str, Space] = {}
        self._space_ids: dict[str, str] = {}
        self._numbers = itertools.count(65_537)
        self.people.add(ADMIN, "Alana Admin", "alana@example.com", admin=True, time_zone=time_zone)
        self.people.add_app(BOT, "Content Steward")

    def next_id(self) -> str:
        """Return a new id, unique among everything on the site and rising."""
        return str(next(self._numbers))

    # people

    def add_user(self, account_id: str, display_name: str, email: str = "", **options: Any) -> User:
        """Add a person; options as in People.add (email_visible, time_zone, admin, groups, active)."""
        with self.lock:
            return self.people.add(account_id, display_name, email, **options)

    def add_group(self, group_id: str, name: str | None = None) -> Group:
        """Add a group of users."""
        with self.lock:
            return self.people.add_group(group_id, name)

    # spaces

    def add_space(
        self,
        key: str,
        name: str | None = None,
        *,
        type: str = "global",
        status: str = "current",
        author: str = ADMIN,
        admins: Iterable[str] = (),
        admin_groups: Iterable[str] = (ADMINISTRATORS,),
        readers: str | None = EVERYONE,
        labels: Iterable[str] = (),
        created_at: datetime | None = None,
        homepage: bool = True,
    ) -> Space:
        """Add a space, with a home page unless `homepage` says otherwise.

        `admins` are account ids, `admin_groups` group ids; `readers` is the group whose members read and write.
        """
        with self.lock:
            space = Space(
                self.next_id(),
                key,
                name or key,
                type,
                status,
                author,
                created_at or self.clock.now(),
                None,
                tuple(labels),
            )
            self._spaces[space.id] = space
            self._space_ids[key] = space.id
            if readers is not None:
                self.access.admit(space.id, "group", readers, admin=False)
            for group_id in admin_groups:
                self.access.admit(space.id, "group", group_id, admin=True)
            for account_id in admins:
                self.access.admit(space.id, "user", account_id, admin=True)
            if homepage:
                home = self.add_page(key, f"{space.name} home", author=author, created_at=space.created_at)
                space.homepage_id = home.id
            return space

    def space(self, key: str) -> Space:
        """Return the space with this key. Raises UnknownSpace."""
        try:
            return self._spaces[self._space_ids[key]]
        except KeyError:
            raise UnknownSpace(key) from None

    def space_by_id(self, space_id: str) -> Space:
        """Return the space with this id. Raises UnknownSpace."""
        try:
            return self._spaces[space_id]
        except KeyError:
            raise UnknownSpace(space_id) from None

    def has_space(self, space_id: str) -> bool:
        """Tell whether there is a space with this id."""
        return space_id in self._spaces

    def spaces(self) -> list[Space]:
        """Return all spaces in the order they were added."""
        return list(self._spaces.values())

    def remove_space(self, key: str) -> None:
        """Delete a space and everything in it."""
        with self.lock:
            space = self.space(key)
            for content_id in list(self.live.in_space(space.id)):
                self.purge(content_id)
            del self._spaces[space.id], self._space_ids[key]

    def grant_app(self, space_key: str, *permissions: AppPermission) -> None:
        """Let the app's user do exactly these in a space (view, edit, delete, archive); none hides the space."""
        with self.lock:
            self.access.set_app(self.space(space_key).id, permissions)

    # contents

    def add_page(self, space_key: str, title: str, *, parent: str | None = None, **options: Any) -> Content:
        """Add a page, below the page id `parent` or at the top. Options as in `add_content`."""
        return self.add_content("page", space_key, title, parent=parent, **options)

    def add_blogpost(self, space_key: str, title: str, **options: Any) -> Content:
        """Add a blog post. Options as in `add_content`."""
        return self.add_content("blogpost", space_key, title, **options)

    def add_content(
        self,
        kind: Kind,
        space_key: str,
        title: str,
        *,
        parent: str | None = None,
        author: str = ADMIN,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        updater: str | None = None,
        status: Status = "current",
        version: int | None = None,
        labels: Iterable[str] = (),
        body: str = "",
    ) -> Content:
        """Add a content; times are aware and default to now, the last updater to the author."""
        with self.lock:
            created = created_at or self.clock.now()
            updated = updated_at or created
            editor = updater or author
            contributors = (author,) if editor == author else (author, editor)
            content = Content(
                self.next_id(), kind, self.space(space_key).id, title, author, created, updated, editor, parent, status
            )
            content.version = version or (1 if updated == created else 2)
            content.body, content.labels, content.contributors = body, tuple(labels), contributors
            self._put(content)
            return content

    def get(self, content_id: str) -> Content:
        """Return the content as it is now. Raises UnknownContent."""
        content = self.live.get(content_id)
        if content is None:
            raise UnknownContent(content_id)
        return content

    def contents(self, space_key: str | None = None, *, status: Status | None = "current") -> Iterator[Content]:
        """Yield contents, of one space or all, in one status or (None) in any. Hold the lock while iterating."""
        source = self.live if space_key is None else self.live.in_space(self.space(space_key).id).values()
        return (record for record in source if status is None or record.status == status)

    def edit(
        self,
        content_id: str,
        *,
        by: str = ADMIN,
        title: str | None = None,
        body: str | None = None,
        at: datetime | None = None,
    ) -> Content:
        """Publish a new version: raises the version, moves lastmodified, last updater and contributors."""
        with self.lock:
            old = self.get(content_id)
            return self._put(
                old.evolve(
                    title=old.title if title is None else title,
                    body=old.body if body is None else body,
                    version=old.version + 1,
                    updated_at=at or self.clock.now(),
                    updater_id=by,
                    contributors=old.contributors if by in old.contributors else (*old.contributors, by),
                )
            )

    def label(self, content_id: str, *names: str) -> Content:
        """Add labels; neither version nor dates move."""
        with self.lock:
            old = self.get(content_id)
            return self._put(old.evolve(labels=tuple(dict.fromkeys((*old.labels, *names)))))

    def unlabel(self, content_id: str, *names: str) -> Content:
        """Remove labels; neither version nor dates move."""
        with self.lock:
            old = self.get(content_id)
            return self._put(old.evolve(labels=tuple(name for name in old.labels if name not in names)))

    def move(self, content_id: str, *, parent: str | None = None, space_key: str | None = None) -> Content:
        """Hang a page elsewhere, also into another space (its descendants go along)."""
        with self.lock:
            old = self.get(content_id)
            space_id = self.space(space_key).id if space_key else old.space_id
            for below in list(self.live.descendants(content_id)):
                self._put(below.evolve(space_id=space_id))
            return self._put(old.evolve(parent_id=parent, space_id=space_id))

    def copy(self, content_id: str, *, title: str, by: str = ADMIN) -> Content:
        """Copy a content with its labels and properties, as Confluence copies a page."""
        with self.lock:
            old, now = self.get(content_id), self.clock.now()
            fresh = {
                key: Property(self.next_id(), key, found.value, 1, by, now) for key, found in old.properties.items()
            }
            return self._put(
                old.evolve(
                    id=self.next_id(), title=title, author_id=by, updater_id=by, created_at=now, updated_at=now,
                    version=1, contributors=(by,), properties=fresh, status="current",
                )
            )  # fmt: skip

    def restrict(
        self, content_id: str, *, users: Iterable[str] = (), groups: Iterable[str] = (), operation: Operation = "read"
    ) -> None:
        """Let only these view (or with operation="update" edit) the content; the app's user is bound too."""
        with self.lock:
            content = self.get(content_id)
            self.access.restrict(content_id, operation, users, groups)
            self._put(content)

    def unrestrict(self, content_id: str) -> None:
        """Drop the content's own restrictions."""
        with self.lock:
            content = self.get(content_id)
            self.access.unrestrict(content_id)
            self._put(content)

    def archive(self, content_id: str) -> Content:
        """Archive a page; pages below it that stay move up to its parent."""
        return self._leave_tree(content_id, "archived")

    def trash(self, content_id: str) -> Content:
        """Put a content in the trash; pages below it move up to its parent."""
        return self._leave_tree(content_id, "trashed")

    def restore(self, content_id: str) -> Content:
        """Bring a content back from the trash or the archive; at the top when its parent is not current."""
        with self.lock:
            old = self.get(content_id)
            parent = self.live.get(old.parent_id) if old.parent_id else None
            stays = parent is not None and parent.status == "current"
            return self._put(old.evolve(status="current", parent_id=old.parent_id if stays else None))

    def purge(self, content_id: str) -> None:
        """Delete a content permanently."""
        with self.lock:
            self.live.remove(content_id)
            self.access.unrestrict(content_id)
            self.index.changed(content_id)

    def _leave_tree(self, content_id: str, status: Status) -> Content:
        with self.lock:
            old = self.get(content_id)
            for child in self.live.children(content_id):
                if child.status == "current":
                    self._put(child.evolve(parent_id=old.parent_id))
            return self._put(old.evolve(status=status))

    def _put(self, content: Content) -> Content:
        self.live.put(content)
        self.index.changed(content.id)
        return content

    # content properties

    def set_property(
        self, content_id: str, key: str, value: Any, *, version: int | None = None, by: str = BOT
    ) -> Property:
        """Create or update a content property; neither the content's version nor its dates move.

        `version` must be the next number when given. Raises StaleVersion otherwise.
        """
        with self.lock:
            content = self.get(content_id)
            old = content.properties.get(key)
            number = old.version + 1 if old else 1
            if version is not None and version != number:
                raise StaleVersion(number - 1, version)
            property_id = old.id if old else self.next_id()
            written = Property(property_id, key, value, number, by, self.clock.now())
            self._put(content.evolve(properties={**content.properties, key: written}))
            return written

    def delete_property(self, content_id: str, key: str) -> None:
        """Remove a content property, if it is there."""
        with self.lock:
            content = self.get(content_id)
            kept = {name: found for name, found in content.properties.items() if name != key}
            self._put(content.evolve(properties=kept))
