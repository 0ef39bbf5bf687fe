"""The typed calls to one site: everything that the add-on asks of Confluence, one method for each question."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote

from addon.base import Space, get_logger
from addon.base.bounds import ACCOUNT_LENGTH, identifier
from addon.confluence import errors
from addon.confluence.content import Content, Kind, LongTask, Operation, Property, Restriction, SystemInfo, User
from addon.confluence.http import answers, endpoints
from addon.confluence.http.site_requests import SiteRequests
from addon.confluence.rights import grants

log = get_logger(__name__)

V2_PAGE = 250
SEARCH_PAGE = 1000
SEARCH_PAGE_EXPANDED = 200
ARCHIVE_MOST = 300
USERS_MOST = 250
EMAILS_MOST = 90
GROUPS_PAGE = 200
RESTRICTIONS_MOST = 200
"""A guess at the most that one content's restrictions name; corrected after the call like every price."""
URL_BYTES = 6000
"""How long the varying part of a request's URL may get, in bytes."""


class SiteClient(SiteRequests):
    """One site's typed calls; made by `Confluence.client`.

    Every method raises the errors of errors.py (SiteError and its kinds, QuotaExhausted), Unreachable when the site
    refuses our signature, TenantGone when the tenant is not installed any more, and whatever its guard raises.
    """

    email_api = False

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
        """Return how many results `cql` has, for one point. Raises Malformed when the answer does not say."""
        params = [("cql", cql), ("limit", "0"), ("excerpt", "none")]
        answer = self.call(endpoints.SEARCH, params=params, most=0)
        return answers.reading(answers.total_size, answer)

    def contents(self, kind: Kind, ids: Iterable[str]) -> list[Content]:
        """Return the current contents with `ids`, read from the database and not from the index.

        Those that are archived, trashed, gone or hidden from the app are left out; the order is Confluence's.
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
        """Return a content's property, None where it has none. Raises NotFound when the content is gone or hidden."""
        answer = self.call(endpoints.PROPERTIES[kind], [content_id], [("key", key), ("limit", "1")], most=1)
        return next((row for row in answers.rows(answer, answers.content_property) if row.key == key), None)

    def create_property(self, kind: Kind, content_id: str, key: str, value: Any) -> Property:
        """Store a new property. Never repeated automatically: after a failure read it, then decide."""
        answer = self.call(endpoints.CREATE_PROPERTY[kind], [content_id], body={"key": key, "value": value})
        return answers.reading(answers.content_property, answer)

    def update_property(self, kind: Kind, content_id: str, prop: Property, value: Any) -> Property:
        """Store `value` as the version after `prop`. Raises Conflict when that version exists already."""
        body = {"key": prop.key, "value": value, "version": {"number": prop.version + 1}}
        answer = self.call(endpoints.UPDATE_PROPERTY[kind], [content_id, prop.id], body=body)
        return answers.reading(answers.content_property, answer)

    def delete_property(self, kind: Kind, content_id: str, property_id: str) -> None:
        """Remove a property. Raises NotFound when it, or its content, is not there."""
        self.call(endpoints.DELETE_PROPERTY[kind], [content_id, property_id])

    def has_children(self, page_id: str) -> bool:
        """Return whether a page has current children of any kind (archived ones do not count)."""
        answer = self.call(endpoints.DIRECT_CHILDREN, [page_id], [("limit", "1")], most=1)
        first = answers.rows(answer, _state)
        if "current" in first or not first:
            return bool(first)
        return "current" in self.listing(endpoints.DIRECT_CHILDREN, [page_id], read=_state, limit=V2_PAGE)

    def ancestors(self, page_id: str) -> list[str]:
        """Return the ids of a page's ancestors, topmost first."""
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

    def may(self, account_id: str, content_id: str, operation: Operation) -> bool:
        """Return whether a person may read or update a content, as Confluence itself decides it.

        Raises Forbidden where the app's user may not ask for others: only Confluence administrators may
        (docs/rules/confluence-api.md 2.5).
        """
        body = {"subject": {"type": "user", "identifier": account_id}, "operation": operation}
        answer = self.call(endpoints.PERMISSION_CHECK, [content_id], body=body)
        return answers.reading(lambda row: row["hasPermission"] is True, answer)

    def may_delete(self, account_id: str, kind: Kind, space_id: str) -> bool:
        """Return whether a person in work may delete contents of a kind in a space; an app never may.

        What restricts a single item is left out: ask about a person who has just edited it. 3 points and, for a
        person, their groups and the space's permission rows up to the one that decides.
        """
        if not any(user.active_person for user in self.users([account_id]) if user.account_id == account_id):
            return False
        wanted = {("read", "space"), ("delete", kind)}
        return grants.rights_in_space(self, account_id, self.groups_of(account_id), space_id, wanted) == wanted

    def set_app_property(self, addon_key: str, key: str, value: Any) -> None:
        """Store a property of the app itself, which conditions of its modules read; 32 KB at most.

        See docs/rules/connect.md 1.4.
        """
        self.call(endpoints.APP_PROPERTY, [addon_key, key], body=value)

    def archive(self, page_ids: Sequence[str]) -> str:
        """Submit up to 300 pages for archiving and return the task's id.

        docs/rules/confluence-api.md 2.4 says who may archive how many.

        Raises BadRequest when another archive job runs, a page is archived already, or the edition forbids it.
        """
        if not 0 < len(page_ids) <= ARCHIVE_MOST:
            raise ValueError(f"between 1 and {ARCHIVE_MOST} pages at once")
        answer = self.call(endpoints.ARCHIVE, body={"pages": [{"id": int(page_id)} for page_id in page_ids]})
        return answers.reading(lambda row: identifier(row["id"], answers.TASK_LENGTH), answer)

    def long_task(self, task_id: str) -> LongTask | None:
        """Return a task's state, None when the site does not know it (any more)."""
        try:
            return answers.reading(answers.long_task, self.call(endpoints.LONG_TASK, [task_id]))
        except errors.NotFound:
            return None

    def trash(self, kind: Kind, content_id: str) -> None:
        """Move a content to the trash. Raises NotFound when it is gone, hidden, or the app may not delete it."""
        self.call(endpoints.TRASH[kind], [content_id])

    def users(self, account_ids: Iterable[str]) -> list[User]:
        """Return the people behind `account_ids`; unknown ones are left out.

        E-mail addresses are those that profiles show, and all when the e-mail API is approved for this app.
        """
        wanted = list(dict.fromkeys(account_ids))
        found: dict[str, User] = {}
        for start in range(0, len(wanted), USERS_MOST):
            chunk = wanted[start : start + USERS_MOST]
            answer = self.call(endpoints.USERS_BULK, body={"accountIds": chunk}, most=len(chunk))
            found.update((user.account_id, user) for user in answers.rows(answer, answers.user))
        if self.email_api:
            for account_id, email in self._emails(list(found)).items():
                found[account_id] = replace(found[account_id], email=email)
        return list(found.values())

    def groups_of(self, account_id: str) -> set[str]:
        """Return the ids of the groups a person belongs to."""
        params = [("accountId", account_id)]
        return set(self.listing(endpoints.MEMBER_OF, params=params, read=lambda row: str(row["id"]), limit=GROUPS_PAGE))

    def group_members(self, group_id: str) -> set[str]:
        """Return the account ids of a group's members; empty for a group that is unknown or hidden."""
        try:
            rows = self.listing(
                endpoints.GROUP_MEMBERS,
                [group_id],
                read=lambda row: identifier(row["accountId"], ACCOUNT_LENGTH),
                limit=GROUPS_PAGE,
            )
            return set(rows)
        except errors.NotFound:
            return set()

    def space_admins(self, space_id: str) -> set[str]:
        """Return the account ids of the people who administer a space, directly, by a group or by a role."""
        return grants.people_of_space(self, space_id, self.group_members)

    def system_info(self) -> SystemInfo:
        """Return the site's cloud id, edition, title and time zone."""
        return answers.reading(answers.system_info, self.call(endpoints.SYSTEM_INFO))

    def is_site_admin(self, account_id: str) -> bool:
        """Return whether a person administers this Confluence; unknown people do not."""
        return grants.of_site(self, account_id)

    def is_space_admin(self, account_id: str, space_id: str) -> bool:
        """Return whether a person administers a space. What cannot be understood counts as no."""
        return grants.of_space(self, account_id, space_id)

    def _emails(self, account_ids: Sequence[str]) -> dict[str, str]:
        emails: dict[str, str] = {}
        for start in range(0, len(account_ids), EMAILS_MOST):
            chunk = account_ids[start : start + EMAILS_MOST]
            try:
                answer = self.call(endpoints.EMAILS, params=endpoints.numbered("accountId", chunk), most=len(chunk))
            except errors.Postponed:
                raise
            except (errors.BadRequest, errors.Forbidden, errors.NotFound, errors.ServerError) as error:
                # Approval can be withdrawn any day; visible addresses are better than no mail at all.
                log.warning("the e-mail API refused a look-up", action="email_lookup_refused", error=str(error))
                return emails
            rows = answer if isinstance(answer, list) else []
            emails.update((str(row["accountId"]), str(row["email"])) for row in rows if row.get("email"))
        return emails


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
