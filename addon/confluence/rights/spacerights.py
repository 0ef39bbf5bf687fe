"""The permissions that one person holds in a space, no whenever in doubt.

What is granted to anonymous people or to access classes only counts as not granted.
"""

from __future__ import annotations

from collections.abc import Iterator

from addon.confluence.http import calls
from addon.confluence.http.answers import Json
from addon.confluence.http.channel import Channel

_ROWS = 50
"""Permission rows come in smaller pages, since the ones that decide often stand at the beginning."""
_PAGE = 250

Right = tuple[str, str]
"""What a permission row permits: operation key and target type."""


def held_of(site: Channel, account_id: str, groups: set[str], space_id: str, wanted: set[Right]) -> set[Right]:
    """Return which of the `wanted` rights a person in these groups holds in a space, by themselves, a group or a role.

    Costs the space's permission rows up to the one that decides. Raises SiteError as calls do.
    """
    held, by_role = set[Right](), dict[str, set[Right]]()
    for kind, principal, right in _rows(site, space_id):
        if right not in wanted:
            continue
        if (kind == "user" and principal == account_id) or (kind == "group" and principal in groups):
            held.add(right)
        elif kind == "role":
            by_role.setdefault(principal, set()).add(right)
        if held == wanted:
            return held
    if any(rights - held for rights in by_role.values()):
        for role in _roles(site, account_id, groups, space_id):
            held |= by_role.get(role, set())
    return held


def _rows(site: Channel, space_id: str) -> Iterator[tuple[str, str, Right]]:
    first = (("limit", str(_ROWS)),)
    for _, rows in site.pages(calls.SPACE_PERMISSIONS, [space_id], first, read=_row, limit=_ROWS):
        yield from rows


def _roles(site: Channel, account_id: str, groups: set[str], space_id: str) -> Iterator[str]:
    held = {("USER", account_id), *(("GROUP", group) for group in groups)}
    for kind in ("USER", "GROUP"):
        params = [("principal-type", kind), *([("principal-id", account_id)] if kind == "USER" else [])]
        for found, principal, role in site.listing(
            calls.ROLE_ASSIGNMENTS, [space_id], params, read=_assignment, limit=_PAGE
        ):
            if (found, principal) in held:
                yield role


def _row(row: Json) -> tuple[str, str, Right]:
    principal, operation = row["principal"], row["operation"]
    return str(principal["type"]), str(principal["id"]), (str(operation["key"]), str(operation["targetType"]))


def _assignment(row: Json) -> tuple[str, str, str]:
    principal = row["principal"]
    return str(principal["principalType"]), str(principal["principalId"]), str(row["roleId"])
