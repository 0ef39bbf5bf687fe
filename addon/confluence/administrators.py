"""Does a person administer the site, or a space? Asked of Confluence, cheapest way first, no whenever in doubt.

Spaces are ruled by permission rows, by roles, or by both while a site moves from one to the other
(confluence-api.md 2.5, connect.md 3.7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from addon.confluence import answers, calls, errors
from addon.confluence.answers import Json
from addon.confluence.channel import Channel

_PAGE = 250


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

    def meet(self, ids: set[str]) -> bool:
        if not ids:
            return False
        if self._ids is None:
            params = [("accountId", self._account_id)]
            groups = self._site.listing(calls.MEMBER_OF, params=params, read=lambda row: str(row["id"]), limit=200)
            self._ids = set(groups)
        return not self._ids.isdisjoint(ids)


def _by_rows(site: Channel, account_id: str, space_id: str, groups: _Groups) -> bool:
    held: dict[str, set[str]] = {"group": set(), "role": set()}
    for row in site.listing(calls.SPACE_PERMISSIONS, [space_id], read=_permission, limit=_PAGE):
        kind, principal, administers = row
        if administers and kind == "user" and principal == account_id:
            return True
        if administers and kind in held:
            held[kind].add(principal)
    if groups.meet(held["group"]):
        return True
    return any(_has_role(site, account_id, space_id, {role}, groups) for role in sorted(held["role"]))


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
    return groups.meet({principal for kind, principal, role in assigned if kind == "GROUP" and role in roles})


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
