"""What Confluence grants to one person: on the site, in a space, on one content; refused whenever it is in doubt.

The rights in a space are in permission rows, in roles, or in both while a site moves from one to the other
(docs/rules/confluence-api.md 2.5, docs/rules/connect.md 3.7). What is granted to anonymous people or to access classes
only counts as not granted, because neither names a person.

Rights on a content are concluded here for sites that do not decide them for the app: Confluence's own check is for
Confluence administrators, and an app's user is none. To view takes the space's read permission and every view
restriction of the content and of the pages above it; to edit takes that, the permission to add such contents to the
space, and the content's own edit restriction. An ancestor that cannot be read (a draft, a folder, a page in the trash)
restricts no one: a page that hid itself from the app would hide what is below it as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from addon.confluence import errors
from addon.confluence.content import Content, Operation, Restriction
from addon.confluence.http import answers, endpoints
from addon.confluence.http.answers import Json
from addon.confluence.http.endpoints import Params
from addon.confluence.http.site_requests import SiteRequests

if TYPE_CHECKING:
    from addon.confluence.client import SiteClient

_PAGE = 250
_ROWS = 100
_FIRST: Params = (("limit", str(_ROWS)),)
"""Permission rows come in smaller pages, because the page with the hit is paid again at every check."""
_FEW_ROWS = 50
"""The same where reading ends at the rows that decide, which are often among the first."""

Right = tuple[str, str]
"""What a permission row permits: operation key and target type."""


def of_site(site: SiteRequests, account_id: str) -> bool:
    """Return whether `account_id` may administer the application Confluence."""
    try:
        answer = site.call(endpoints.USER, params=[("accountId", account_id), ("expand", "operations")])
    except errors.NotFound:
        return False
    operations = answers.reading(lambda row: list(row.get("operations") or ()), answer)
    return any(_is(operation, "administer", "application") for operation in operations)


def of_space(site: SiteRequests, account_id: str, space_id: str) -> bool:
    """Return whether `account_id` may administer the space `space_id`."""
    groups = _Groups(site, account_id)
    if role_mode(site) == "ROLES":
        return _by_roles(site, account_id, space_id, groups)
    return _by_rows(site, account_id, space_id, groups)


def people_of_space(site: SiteRequests, space_id: str, members: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the account ids of all people who administer a space; `members` lists the people of a group."""
    people, groups, roles = set[str](), set[str](), set[str]()
    if role_mode(site) == "ROLES":
        listed = site.listing(endpoints.ROLES, params=[("space-id", space_id)], read=_role, limit=_PAGE)
        roles = {role for role, administers in listed if administers}
    if not roles:
        by_kind = {"user": people, "group": groups, "role": roles}
        for kind, principal, administers in site.listing(
            endpoints.SPACE_PERMISSIONS, [space_id], read=_permission, limit=_PAGE
        ):
            if administers and kind in by_kind:
                by_kind[kind].add(principal)
    if roles:
        for kind, principal, role in site.listing(
            endpoints.ROLE_ASSIGNMENTS, [space_id], read=_assignment, limit=_PAGE
        ):
            if role in roles and kind in ("USER", "GROUP"):
                (people if kind == "USER" else groups).add(principal)
    return people.union(*map(members, sorted(groups)))


def role_mode(site: SiteRequests) -> str:
    """Return PRE_ROLES, ROLES_TRANSITION or ROLES; a site that does not say has no roles."""
    try:
        answer = site.call(endpoints.ROLE_MODE)
    except (errors.NotFound, errors.Forbidden, errors.BadRequest):
        return "PRE_ROLES"
    return answers.reading(lambda row: str(row.get("mode") or "PRE_ROLES"), answer)


def rights_in_space(
    site: SiteRequests, account_id: str, groups: set[str], space_id: str, wanted: set[Right]
) -> set[Right]:
    """Return which of the `wanted` rights a person in these groups has in a space: themselves, by a group or a role.

    Costs the space's permission rows up to the one that decides. Raises SiteError as calls do.
    """
    granted, by_role = set[Right](), dict[str, set[Right]]()
    for kind, principal, right in _rows(site, space_id):
        if right not in wanted:
            continue
        if (kind == "user" and principal == account_id) or (kind == "group" and principal in groups):
            granted.add(right)
        elif kind == "role":
            by_role.setdefault(principal, set()).add(right)
        if granted == wanted:
            return granted
    if any(rights - granted for rights in by_role.values()):
        for role in _roles(site, account_id, groups, space_id):
            granted |= by_role.get(role, set())
    return granted


def rights_on_content(site: SiteClient, account_id: str, content: Content) -> dict[Operation, bool]:
    """Return what `account_id` may do to `content`.

    Costs the restrictions of the content and its ancestors, the person's groups, and the space's permission rows up
    to the one that decides. Raises SiteError as calls do.
    """
    groups = site.groups_of(account_id)
    own = site.restrictions(content.id)
    above = site.ancestors(content.id) if content.kind == "page" and content.parent_id else []
    views = [own["read"], *(_view_above(site, page_id) for page_id in above)]
    if content.space_id is None or not all(view is None or view.admits(account_id, groups) for view in views):
        return {"read": False, "update": False}
    view, add = ("read", "space"), ("create", content.kind)
    granted = rights_in_space(site, account_id, groups, content.space_id, {view, add})
    update = own["update"]
    edits = update is None or update.admits(account_id, groups)
    return {"read": view in granted, "update": granted == {view, add} and edits}


class _Groups:
    """A person's groups, asked for once and only when needed."""

    def __init__(self, site: SiteRequests, account_id: str) -> None:
        self._site = site
        self._account_id = account_id
        self._ids: set[str] | None = None

    def among(self, ids: Iterable[str]) -> set[str]:
        """Return those of the groups `ids` that the person is in."""
        wanted = set(ids)
        if not wanted:
            return set()
        if self._ids is None:
            params = [("accountId", self._account_id)]
            groups = self._site.listing(endpoints.MEMBER_OF, params=params, read=lambda row: str(row["id"]), limit=200)
            self._ids = set(groups)
        return self._ids & wanted


def _rows(site: SiteRequests, space_id: str) -> Iterator[tuple[str, str, Right]]:
    first = (("limit", str(_FEW_ROWS)),)
    for _, rows in site.pages(endpoints.SPACE_PERMISSIONS, [space_id], first, read=_row, limit=_FEW_ROWS):
        yield from rows


def _roles(site: SiteRequests, account_id: str, groups: set[str], space_id: str) -> Iterator[str]:
    own = {("USER", account_id), *(("GROUP", group) for group in groups)}
    for kind in ("USER", "GROUP"):
        params = [("principal-type", kind), *([("principal-id", account_id)] if kind == "USER" else [])]
        for found, principal, role in site.listing(
            endpoints.ROLE_ASSIGNMENTS, [space_id], params, read=_assignment, limit=_PAGE
        ):
            if (found, principal) in own:
                yield role


def _view_above(site: SiteClient, page_id: str) -> Restriction | None:
    try:
        return site.restrictions(page_id)["read"]
    except errors.NotFound:
        return None


def _by_rows(site: SiteRequests, account_id: str, space_id: str, groups: _Groups) -> bool:
    """Read the rows up to a hit. The page of the last hit is read again first: alone it is cheap, and just as fresh."""
    known = site.page_hint(space_id, account_id)
    if known is not None and _on_page(site, account_id, space_id, groups, known):
        return True
    pages: dict[str, Params] = {}
    roles = set[str]()
    for page, rows in site.pages(endpoints.SPACE_PERMISSIONS, [space_id], _FIRST, read=_permission, limit=_ROWS):
        for kind, principal, administers in rows:
            if administers and kind == "user" and principal == account_id:
                site.note_page(page, space_id, account_id)
                return True
            if administers and kind == "group":
                pages.setdefault(principal, page)
            if administers and kind == "role":
                roles.add(principal)
    for group in sorted(groups.among(pages)):
        site.note_page(pages[group], space_id, account_id)
        return True
    return any(_has_role(site, account_id, space_id, {role}, groups) for role in sorted(roles))


def _on_page(site: SiteRequests, account_id: str, space_id: str, groups: _Groups, page: Params) -> bool:
    try:
        found = next(site.pages(endpoints.SPACE_PERMISSIONS, [space_id], page, read=_permission, limit=_ROWS))
    except (errors.BadRequest, errors.NotFound, errors.Malformed):
        return False  # A cursor that the site does not take any more: the rows are read from their beginning.
    granted = {(kind, principal) for kind, principal, administers in found[1] if administers}
    if ("user", account_id) in granted:
        return True
    return bool(groups.among(principal for kind, principal in granted if kind == "group"))


def _by_roles(site: SiteRequests, account_id: str, space_id: str, groups: _Groups) -> bool:
    roles = site.listing(endpoints.ROLES, params=[("space-id", space_id)], read=_role, limit=_PAGE)
    administering = {role for role, administers in roles if administers}
    if administering:
        return _has_role(site, account_id, space_id, administering, groups)
    # Role documents that name no permission we know: the rows say which roles administer.
    return _by_rows(site, account_id, space_id, groups)


def _has_role(site: SiteRequests, account_id: str, space_id: str, roles: set[str], groups: _Groups) -> bool:
    own = [("principal-type", "USER"), ("principal-id", account_id)]
    for kind, principal, role in site.listing(
        endpoints.ROLE_ASSIGNMENTS, [space_id], own, read=_assignment, limit=_PAGE
    ):
        if kind == "USER" and principal == account_id and role in roles:
            return True
    assigned = site.listing(
        endpoints.ROLE_ASSIGNMENTS, [space_id], [("principal-type", "GROUP")], read=_assignment, limit=_PAGE
    )
    # Other principals (ACCESS_CLASS) name no person: they grant nothing here.
    return bool(groups.among(principal for kind, principal, role in assigned if kind == "GROUP" and role in roles))


def _row(row: Json) -> tuple[str, str, Right]:
    principal, operation = row["principal"], row["operation"]
    return str(principal["type"]), str(principal["id"]), (str(operation["key"]), str(operation["targetType"]))


def _permission(row: Json) -> tuple[str, str, bool]:
    kind, principal, right = _row(row)
    return kind, principal, right == ("administer", "space")


def _assignment(row: Json) -> tuple[str, str, str]:
    principal = row["principal"]
    return str(principal["principalType"]), str(principal["principalId"]), str(row["roleId"])


def _role(row: Json) -> tuple[str, bool]:
    permissions = row.get("spacePermissions") or ()
    return str(row["id"]), any(_administers_space(str(permission)) for permission in permissions)


def _administers_space(permission: str) -> bool:
    # The spec does not say how role documents spell it; order and separators vary.
    return sorted(re.findall(r"[a-z]+", permission.lower())) == ["administer", "space"]


def _is(operation: Any, name: str, target: str) -> bool:
    return isinstance(operation, dict) and operation.get("operation") == name and operation.get("targetType") == target
