"""The typed calls to one site: everything that the add-on asks of Confluence, one method for each question."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from addon.base import Space
from addon.base.bounds import identifier
from addon.confluence import errors
from addon.confluence.content import Content, Kind, LongTask, Operation, Property, Restriction, SystemInfo
from addon.confluence.cql.queries import URL_BYTES
from addon.confluence.http import answers, endpoints
from addon.confluence.people import PeopleCalls

V2_PAGE = 250
"""Rows of a page in v2, and ids or keys of one request (docs/rules/confluence-api.md 2.1)."""
SEARCH_PAGE, SEARCH_PAGE_EXPANDED = 1000, 200
"""Rows of a page of a search, without and with an expand (docs/rules/confluence-api.md 2.2)."""
ARCHIVE_MOST = 300
"""Pages of one archive job (docs/rules/confluence-api.md 2.4)."""
RESTRICTIONS_MOST = 200
"""A guess at the most that one content's restrictions name; corrected after the call like every price."""


class SiteClient(PeopleCalls):
    """One site's typed calls; made by `Confluence.client`.

    Every method raises the errors of errors.py (SiteError and its kinds, QuotaExhausted), Unreachable when the site
    refuses our signature, TenantGone when the tenant is not installed any more, and whatever its guard raises.
    """

    def spaces(
        self,
        *,
        keys: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        status: Literal["current", "archived"] = "current",
    ) -> list[Space]:
        """Return the spaces of a status that the app sees, in Confluence's order; all, or those with `keys` or `ids`.

        `types` and `labels` narrow further. Confluence takes one type a call (docs/rules/confluence-api.md 2.1), so
        that each of `types` costs a call more. Spaces of another status and unknown ones are left out.
        """
        found: dict[str, Space] = {}
        narrowing = [("status", status), *endpoints.numbered("labels", labels or ())]
        for kind in types if types is not None else (None,):
            own = narrowing if kind is None else [*narrowing, ("type", kind)]
            for selection in _chunks("keys", keys) if keys is not None else _chunks("ids", ids):
                params, most = [*selection, *own], len(selection) or None
                for space in self.listing(
                    endpoints.SPACES, params=params, read=answers.space, limit=V2_PAGE, most=most
                ):
                    if space.status == status and kind in (None, space.type):
                        found.setdefault(space.id, space)
        return list(found.values())

    def search(
        self,
        cql: str,
        *,
        expand: Sequence[str] = (),
        statuses: Sequence[str] = ("current",),
        limit: int | None = None,
    ) -> Iterator[Content]:
        """Yield the pages and blog posts that `cql` finds, each once, read to the end or to `limit` of them.

        `limit` is at least 1. `expand`: history, history.lastUpdated, version, space, ancestors, metadata.labels,
        metadata.properties.<key>.
        `statuses`: current, archived, draft. The index lags: read by id before anything destructive
        (docs/rules/confluence-api.md 5). Raises CqlRejected with Confluence's words on a query it does not take.
        """
        params = [("cql", cql)]
        if tuple(statuses) != ("current",):
            params.append(("cqlcontext", json.dumps({"contentStatuses": list(statuses)}, separators=(",", ":"))))
        if expand:
            params.append(("expand", ",".join(expand)))
        page = SEARCH_PAGE_EXPANDED if expand else SEARCH_PAGE
        seen: set[str] = set()
        # What a page lists may move to the next one while we read (docs/rules/confluence-api.md 2.2): hence once by id.
        for content in self.listing(
            endpoints.CONTENT_SEARCH, params=params, read=answers.search_result, limit=min(page, limit or page)
        ):
            if content.kind in answers.KINDS and content.id not in seen:
                seen.add(content.id)
                yield content
            if len(seen) == limit:
                return

    def count(self, cql: str) -> int:
        """Return how many results `cql` has, for one point (docs/rules/confluence-api.md 2.2).

        Raises CqlRejected on a query that Confluence does not take, Malformed when the answer does not say.
        """
        params = [("cql", cql), ("limit", "0"), ("excerpt", "none")]
        answer = self.call(endpoints.SEARCH, params=params, most=0)
        return answers.reading(answers.total_size, answer)

    def contents(self, kind: Kind, ids: Iterable[str]) -> list[Content]:
        """Return the current contents with `ids`, read from the database and not from the index.

        Those that are archived, trashed, gone or hidden from the app are left out; the order is Confluence's. Only this
        may decide about something destructive (docs/rules/confluence-api.md 5).
        """
        found: dict[str, Content] = {}
        for selection in _chunks("id", list(dict.fromkeys(ids))):
            if not selection:
                continue
            params = [*selection, ("status", "current")]
            read = answers.content(kind)
            listed = self.listing(
                endpoints.CONTENTS[kind], params=params, read=read, limit=V2_PAGE, most=len(selection)
            )
            for content in listed:
                if content.status == "current":
                    found.setdefault(content.id, content)
        return list(found.values())

    def property(self, kind: Kind, content_id: str, key: str) -> Property | None:
        """Return a content's property, None where it has none. Raises NotFound when the content is gone or hidden.

        `key` is global to the site, and anyone who may edit the content may have written the value
        (docs/rules/confluence-api.md 2.3).
        """
        answer = self.call(endpoints.PROPERTIES[kind], [content_id], [("key", key), ("limit", "1")], most=1)
        return next((row for row in answers.rows(answer, answers.content_property) if row.key == key), None)

    def create_property(self, kind: Kind, content_id: str, key: str, value: Any) -> Property:
        """Store a new property of up to 32 KB (docs/rules/confluence-api.md 2.3) and return it.

        Never repeated automatically: after a failure read it, then decide.
        """
        answer = self.call(endpoints.CREATE_PROPERTY[kind], [content_id], body={"key": key, "value": value})
        return answers.reading(answers.content_property, answer)

    def update_property(self, kind: Kind, content_id: str, prop: Property, value: Any) -> Property:
        """Store `value` as the version after `prop` and return it.

        Raises Conflict when that version exists already (docs/rules/confluence-api.md 2.3).
        """
        body = {"key": prop.key, "value": value, "version": {"number": prop.version + 1}}
        answer = self.call(endpoints.UPDATE_PROPERTY[kind], [content_id, prop.id], body=body)
        return answers.reading(answers.content_property, answer)

    def delete_property(self, kind: Kind, content_id: str, property_id: str) -> None:
        """Remove a property. Raises NotFound when it, or its content, is not there."""
        self.call(endpoints.DELETE_PROPERTY[kind], [content_id, property_id])

    def has_children(self, page_id: str) -> bool:
        """Return whether a page has current children of any kind (archived ones do not count).

        Mostly one call: the first child decides, unless it is not a current one.
        """
        answer = self.call(endpoints.DIRECT_CHILDREN, [page_id], [("limit", "1")], most=1)
        first = answers.rows(answer, _state)
        if "current" in first or not first:
            return bool(first)
        return "current" in self.listing(endpoints.DIRECT_CHILDREN, [page_id], read=_state, limit=V2_PAGE)

    def ancestors(self, page_id: str) -> list[str]:
        """Return the ids of a page's ancestors, topmost first. Raises NotFound when the page is gone or hidden."""
        chain: list[str] = []
        current = page_id
        while True:
            answer = self.call(endpoints.ANCESTORS, [current], [("limit", str(V2_PAGE))], most=V2_PAGE)
            page = answers.rows(answer, lambda row: identifier(row["id"]))
            if not page or page[0] in chain:
                return chain
            chain = page + chain
            if len(page) < V2_PAGE:
                return chain
            current = page[0]

    def read_restricted(self, content_id: str) -> bool:
        """Return whether the content itself restricts who may view it. What it inherits is read from its ancestors.

        What is not certainly open counts as restricted.
        """
        return self.restrictions(content_id)["read"] is not None

    def restrictions(self, content_id: str) -> Mapping[Operation, Restriction | None]:
        """Return who alone may read and who alone may update the content by its own restrictions; None: everyone.

        View restrictions that it inherits are read from its ancestors (docs/rules/confluence-api.md 2.5).
        """
        expand = [("expand", "restrictions.user,restrictions.group")]
        answer = self.call(endpoints.RESTRICTIONS, [content_id], expand, most=RESTRICTIONS_MOST)
        return answers.reading(answers.restrictions, answer)

    def set_app_property(self, addon_key: str, key: str, value: Any) -> None:
        """Store a property of the app itself, which conditions of its modules read; 32 KB at most.

        See docs/rules/connect.md 1.4.
        """
        self.call(endpoints.APP_PROPERTY, [addon_key, key], body=value)

    def archive(self, page_ids: Sequence[str]) -> str:
        """Submit up to 300 pages for archiving and return the task's id.

        How many a site's edition takes at once: docs/rules/confluence-api.md 2.4. There is no way back by the API.
        Raises BadRequest when another archive job runs, a page is archived already, or the edition forbids it.
        """
        if not 0 < len(page_ids) <= ARCHIVE_MOST:
            raise ValueError(f"between 1 and {ARCHIVE_MOST} pages at once")
        answer = self.call(endpoints.ARCHIVE, body={"pages": [{"id": int(page_id)} for page_id in page_ids]})
        return answers.reading(lambda row: identifier(row["id"], answers.TASK_LENGTH), answer)

    def long_task(self, task_id: str) -> LongTask | None:
        """Return a task's state, None when the site does not know it (any more), or hides it from the app.

        See docs/rules/confluence-api.md 2.4.
        """
        try:
            return answers.reading(answers.long_task, self.call(endpoints.LONG_TASK, [task_id]))
        except errors.NotFound:
            return None

    def trash(self, kind: Kind, content_id: str) -> None:
        """Move a content to the trash, never beyond it.

        Raises NotFound when it is gone, hidden, or the app may not delete it: v2 answers a missing permission with 404
        (docs/rules/confluence-api.md 2.4).
        """
        self.call(endpoints.TRASH[kind], [content_id])

    def system_info(self) -> SystemInfo:
        """Return the site's cloud id, edition, title and time zone (docs/rules/confluence-api.md 2.6)."""
        return answers.reading(answers.system_info, self.call(endpoints.SYSTEM_INFO))


def _state(row: answers.Json) -> str:
    return str(row.get("status") or "current")


def _chunks(name: str, values: Sequence[str] | None) -> Iterator[list[tuple[str, str]]]:
    """Yield array parameters of at most 250 values and URL_BYTES each; one empty selection for None."""
    if values is None:
        yield []
        return
    chunk: list[tuple[str, str]] = []
    size = 0
    for value in values:
        length = len(f"&{name}={quote(value)}")
        if chunk and (len(chunk) == V2_PAGE or size + length > URL_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((name, value))
        size += length
    if chunk:
        yield chunk
