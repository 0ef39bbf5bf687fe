"""Does a person administer the site, or a space? Asked of Confluence, cheapest way first, no whenever in doubt.

Spaces are ruled by permission rows, by roles, or by both while a site moves from one to the other
(docs/rules/confluence-api.md 2.5, docs/rules/connect.md 3.7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from addon.confluence import errors
from addon.confluence.http import answers, calls
from addon.confluence.http.answers import Json
from addon.confluence.http.calls import Params
from addon.confluence.http.channel import Channel

_PAGE = 250
_ROWS = 100
_FIRST: Params = (("limit", str(_ROWS)),)
"""Permission rows come in smaller pages, because the page with the hit is paid again at every check."""


def of_site(site: Channel, account_id: str) -> bool:
    """Return whether `account_id` may administer the application Confluence."""
    try:
        answer = site.call(calls.USER, params=[("accountId", account_id), ("expand", "operations")])
    except errors.NotFound:
        return False
    operations = answers.reading(lambda row: list(row.get("operations") or ()), answer)
    return any(_is(operation, "administer", "application") for operation in operations)


def of_space(site: Channel, account_id: str, space_id: str) -> bool:
    """Return whether `account_id` may administer the space `space_id`."""
    groups = _Groups(site, account_id)
    if role_mode(site) == "ROLES":
        return _by_roles(site, account_id, space_id, groups)
    return _by_rows(site, account_id, space_id, groups)


def people_of_space(site: Channel, space_id: str, members: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the account ids of everybody who administers a space; `members` lists the people of a group."""
    people, groups, roles = set[str](), set[str](), set[str]()
    if role_mode(site) == "ROLES":
        listed = site.listing(calls.ROLES, params=[("space-id", space_id)], read=_role, limit=_PAGE)
        roles = {role for role, administers in listed if administers}
    if not roles:
        held = {"user": people, "group": groups, "role": roles}
        for kind, principal, administers in site.listing(
            calls.SPACE_PERMISSIONS, [space_id], read=_permission, limit=_PAGE
        ):
            if administers and kind in held:
                held[kind].add(principal)
    if roles:
        for kind, principal, role in site.listing(calls.ROLE_ASSIGNMENTS, [space_id], read=_assignment, limit=_PAGE):
            if role in roles and kind in ("USER", "GROUP"):
                (people if kind == "USER" else groups).add(principal)
    return people.union(*map(members, sorted(groups)))


def role_mode(site: Channel) -> str:
    """Return PRE_ROLES, ROLES_TRANSITION or ROLES; a site that does not say has no roles."""
    try:
        answer = site.call(calls.ROLE_MODE)
    except (errors.NotFound, errors.Forbidden, errors.BadRequest):
        return "PRE_ROLES"
    return answers.reading(lambda row: str(row.get("mode") or "PRE_ROLES"), answer)


class _Groups:
    """A person's groups, asked for once and only when needed."""

    def __init__(self, site: Channel, account_id: str) -> None:
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
            groups = self._site.listing(calls.MEMBER_OF, params=params, read=lambda row: str(row["id"]), limit=200)
            self._ids = set(groups)
        return self._ids & wanted


def _by_rows(site: Channel, account_id: str, space_id: str, groups: _Groups) -> bool:
    """Read the rows up to a hit. The page of the last hit is read again first: alone it is cheap, and just as fresh."""
    known = site.place(space_id, account_id)
    if known is not None and _on_page(site, account_id, space_id, groups, known):
        return True
    pages: dict[str, Params] = {}
    roles = set[str]()
    for page, rows in site.pages(calls.SPACE_PERMISSIONS, [space_id], _FIRST, read=_permission, limit=_ROWS):
        for kind, principal, administers in rows:
            if administers and kind == "user" and principal == account_id:
                site.remember_place(page, space_id, account_id)
                return True
            if administers and kind == "group":
                pages.setdefault(principal, page)
            if administers and kind == "role":
                roles.add(principal)
    for group in sorted(groups.among(pages)):
        site.remember_place(pages[group], space_id, account_id)
        return True
    return any(_has_role(site, account_id, space_id, {role}, groups) for role in sorted(roles))


def _on_page(site: Channel, account_id: str, space_id: str, groups: _Groups, page: Params) -> bool:
    try:
        found = next(site.pages(calls.SPACE_PERMISSIONS, [space_id], page, read=_permission, limit=_ROWS))
    except (errors.BadRequest, errors.NotFound, errors.Malformed):
        return False  # A cursor that the site does not take any more: the rows are read from their beginning.
    held = {(kind, principal) for kind, principal, administers in found[1] if administers}
    if ("user", account_id) in held:
        return True
    return bool(groups.among(principal for kind, principal in held if kind == "group"))


def _by_roles(site: Channel, account_id: str, space_id: str, groups: _Groups) -> bool:
    roles = site.listing(calls.ROLES, params=[("space-id", space_id)], read=_role, limit=_PAGE)
    administering = {role for role, administers in roles if administers}
    if administering:
        return _has_role(site, account_id, space_id, administering, groups)
    # Role documents that name no permission we know: the rows say which roles administer.
    return _by_rows(site, account_id, space_id, groups)


def _has_role(site: Channel, account_id: str, space_id: str, roles: set[str], groups: _Groups) -> bool:
    own = [("principal-type", "USER"), ("principal-id", account_id)]
    for kind, principal, role in site.listing(calls.ROLE_ASSIGNMENTS, [space_id], own, read=_assignment, limit=_PAGE):
        if kind == "USER" and principal == account_id and role in roles:
            return True
    assigned = site.listing(
        calls.ROLE_ASSIGNMENTS, [space_id], [("principal-type", "GROUP")], read=_assignment, limit=_PAGE
    )
    # Other principals (ACCESS_CLASS) name no person: they grant nothing here.
    return bool(groups.among(principal for kind, principal, role in assigned if kind == "GROUP" and role in roles))


def _permission(row: Json) -> tuple[str, str, bool]:
    principal, operation = row["principal"], row["operation"]
    administers = operation["key"] == "administer" and operation["targetType"] == "space"
    return str(principal["type"]), str(principal["id"]), administers


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
