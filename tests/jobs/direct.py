"""A site without HTTP: the client's methods straight on the sandbox's Site, for tests of what jobs decide.

`calls` counts calls by method; `faults` holds functions that may raise instead of a call: (method, arguments) -> None.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from addon.base import Space
from addon.confluence import Content, Kind, LongTask, Property, SystemInfo, User, errors
from addon.confluence.cql import encoded_length
from addon.sandbox import records
from addon.sandbox.search import CqlRejected, question
from addon.sandbox.site import Site, StaleVersion
from addon.sandbox.tasks import ArchiveRefused

WRITES = ("create_property", "update_property", "delete_property", "archive", "trash")
Fault = Callable[[str, tuple[Any, ...]], None]


class DirectClient:
    """What the jobs use of addon.confluence.SiteClient."""

    site_url = "http://127.0.0.1/wiki"

    def __init__(self, site: Site) -> None:
        self.site = site
        self.calls: Counter[str] = Counter()
        self.points = 0
        """What Atlassian would have counted: one for each call, and one for each content or space returned."""
        self.faults: list[Fault] = []
        self.guard: Any = None

    @property
    def writes(self) -> int:
        return sum(self.calls[name] for name in WRITES)

    def spaces(
        self, *, keys: Any = None, ids: Any = None, types: Any = None, labels: Any = None, status: str = "current"
    ) -> list[Space]:
        for kind in types if types is not None else (None,):
            self._call("spaces", keys, ids, kind)
        found = [
            Space(space.id, space.key, space.name, space.type, space.status, space.homepage_id)
            for space in self.site.spaces()
            if space.status == status
            and (types is None or space.type in types)
            and self.site.access.app_may("view", space.id)
            and (ids is None or space.id in ids)
            and (keys is None or space.key in keys)
            and (labels is None or set(labels) & set(space.labels))
        ]
        self.points += len(found)
        return found

    def search(
        self, cql: str, *, expand: Sequence[str] = (), statuses: Sequence[str] = ("current",), limit: int | None = None
    ) -> Iterator[Content]:
        self._call("search", cql)
        for record in self._hits(cql, statuses)[:limit]:
            self.points += 1
            # What is expanded comes from the database, not from the index.
            yield self._content(self.site.live.get(record.id) or record)

    def count(self, cql: str) -> int:
        self._call("count", cql)
        asked = question(cql, None)
        spaces = self.site.search.spaces(asked)
        return len(self._hits(cql, ("current",)) if spaces is None else spaces)

    def contents(self, kind: Kind, ids: Iterable[str]) -> list[Content]:
        ids = list(ids)
        self._call("contents", kind, ids)
        found = [self.site.live.get(id) for id in ids]
        return [self._content(one) for one in found if one is not None and self._visible(one) and one.kind == kind]

    def property(self, kind: Kind, content_id: str, key: str) -> Property | None:
        self._call("property", content_id, key)
        return _property(self._seen(content_id).properties.get(key))

    def create_property(self, kind: Kind, content_id: str, key: str, value: Any) -> Property:
        self._call("create_property", content_id, key, value)
        record = self._editable(content_id)
        if key in record.properties:
            raise errors.Conflict("a property with this key exists", status=409)
        return _known(self.site.set_property(content_id, key, json.loads(json.dumps(value))))

    def update_property(self, kind: Kind, content_id: str, prop: Property, value: Any) -> Property:
        self._call("update_property", content_id, prop.key, value)
        record = self._editable(content_id)
        stored = record.properties.get(prop.key)
        if stored is None or stored.id != prop.id:
            raise errors.NotFound("no such property", status=404)
        try:
            return _known(self.site.set_property(content_id, prop.key, value, version=prop.version + 1))
        except StaleVersion as error:
            raise errors.Conflict(str(error), status=409) from error

    def delete_property(self, kind: Kind, content_id: str, property_id: str) -> None:
        self._call("delete_property", content_id, property_id)
        record = self._editable(content_id)
        for key, found in record.properties.items():
            if found.id == property_id:
                self.site.delete_property(content_id, key)
                return
        raise errors.NotFound("no such property", status=404)

    def has_children(self, page_id: str) -> bool:
        self._call("has_children", page_id)
        return any(child.status == "current" for child in self.site.live.children(page_id))

    def ancestors(self, page_id: str) -> list[str]:
        self._call("ancestors", page_id)
        return [record.id for record in self.site.live.ancestors(self._seen(page_id))]

    def read_restricted(self, content_id: str) -> bool:
        self._call("read_restricted", content_id)
        return self.site.access.restriction(content_id, "read") is not None

    def may_delete(self, account_id: str, kind: Kind, space_id: str) -> bool:
        self._call("may_delete", account_id, kind, space_id)
        user = self.site.people.get(account_id)
        if user is None or not user.active or user.account_type != "atlassian":
            return False
        return self.site.access.permits(account_id, space_id, "delete", kind)

    def archive(self, page_ids: Sequence[str]) -> str:
        self._call("archive", tuple(page_ids))
        try:
            return self.site.tasks.submit(page_ids).id
        except ArchiveRefused as error:
            raise errors.BadRequest(str(error), status=400) from error

    def long_task(self, task_id: str) -> LongTask | None:
        self._call("long_task", task_id)
        task = self.site.tasks.get(task_id)
        if task is None:
            return None
        done = task.finished_at is not None
        return LongTask(task.id, done, done and not task.errors, 100 if done else 0, tuple(task.errors))

    def trash(self, kind: Kind, content_id: str) -> None:
        self._call("trash", content_id)
        record = self._seen(content_id)
        if not self.site.access.app_may("delete", record.space_id):
            raise errors.NotFound("not permitted", status=404)
        self.site.trash(content_id)

    def users(self, account_ids: Iterable[str]) -> list[User]:
        ids = list(account_ids)
        self._call("users", ids)
        people = [self.site.people[id] for id in ids if id in self.site.people]
        return [
            User(one.account_id, one.display_name, one.email if one.email_visible else None, active=one.active)
            for one in people
        ]

    def system_info(self) -> SystemInfo:
        self._call("system_info")
        return SystemInfo(self.site.cloud_id, self.site.edition, self.site.title, str(self.site.time_zone))

    def space_admins(self, space_id: str) -> list[str]:
        self._call("space_admins", space_id)
        rows = self.site.access.rows(space_id)
        return [row.principal_id for row in rows if row.principal_type == "user" and row.operation == "administer"]

    def group_members(self, group_id: str) -> list[str]:
        self._call("group_members", group_id)
        return [user.account_id for user in self.site.people.members(group_id)]

    def _call(self, method: str, *arguments: Any) -> None:
        if self.guard is not None:
            self.guard.call_seconds(write=method in WRITES)
            self.guard.used(points=1, calls=1)
        self.calls[method] += 1
        self.points += 1
        self.site.tasks.settle()
        for fault in list(self.faults):
            fault(method, arguments)

    def _hits(self, cql: str, statuses: Sequence[str]) -> list[records.Content]:
        assert encoded_length(cql) <= 6000, "the query does not fit into a URL"
        try:
            context = json.dumps({"contentStatuses": list(statuses)})
            return self.site.search.hits(question(cql, context))
        except CqlRejected as error:
            raise errors.CqlRejected(str(error), status=400) from error

    def _content(self, record: records.Content) -> Content:
        space = self.site.space_by_id(record.space_id)
        return Content(
            id=record.id,
            kind=record.kind,
            title=record.title,
            space_id=record.space_id,
            space_key=space.key,
            status=record.status,
            author_id=record.author_id,
            updater_id=record.updater_id,
            created_at=record.created_at,
            updated_at=record.updated_at,
            version=record.version,
            parent_id=record.parent_id,
            path=f"/spaces/{space.key}/pages/{record.id}",
            labels=frozenset(record.labels),
            ancestors=tuple(one.id for one in self.site.live.ancestors(record)),
            properties={key: _known(found) for key, found in record.properties.items()},
        )

    def _visible(self, record: records.Content) -> bool:
        return record.status == "current" and self.site.access.app_sees(record)

    def _seen(self, content_id: str) -> records.Content:
        record = self.site.live.get(content_id)
        if record is None or not self._visible(record):
            raise errors.NotFound("not found", status=404)
        return record

    def _editable(self, content_id: str) -> records.Content:
        record = self._seen(content_id)
        if not self.site.access.app_edits(record):
            raise errors.NotFound("not permitted", status=404)
        return record


def _property(found: records.Property | None) -> Property | None:
    return None if found is None else _known(found)


def _known(found: records.Property) -> Property:
    return Property(found.id, found.key, found.value, found.version, found.created_at, found.author_id)


class DirectConfluence:
    """Hands out one client for every tenant."""

    def __init__(self, site: Site) -> None:
        self.one = DirectClient(site)

    def client(
        self, tenant_id: Any, *, run: Any = None, share: str = "interactive"
    ) -> AbstractContextManager[DirectClient]:
        self.one.guard = run
        return nullcontext(self.one)
