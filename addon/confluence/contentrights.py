"""May a person view or edit a content? Concluded from space permissions and restrictions, no whenever in doubt.

For sites that do not decide it for the app: Confluence's own check is for Confluence administrators
(confluence-api.md 2.5), and an app's user is none. To view takes the space's read permission and every view restriction
of the content and of the pages above it; to edit takes that, the permission to add such contents to the space, and the
content's own edit restriction. What is granted to anonymous people or to access classes only counts as not granted.
What stands above a page and cannot be read (a draft, a folder, a page in the trash) restricts nobody: a page that hid
itself from the app would hide what is below it as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from addon.confluence import calls
from addon.confluence.answers import Json
from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Operation, Restriction
from addon.confluence.errors import NotFound

_ROWS = 50
"""Permission rows come in smaller pages, since the ones that decide often stand at the beginning."""
_PAGE = 250

Right = tuple[str, str]
"""What a permission row permits: operation key and target type."""


def concluded(site: SiteClient, account_id: str, content: Content) -> dict[Operation, bool]:
    """Return what `account_id` may do to `content`.

    Costs the restrictions of the content and its ancestors, the person's groups, and the space's permission rows up
    to the one that decides.
    """
    groups = site.groups_of(account_id)
    own = site.restrictions(content.id)
    above = site.ancestors(content.id) if content.kind == "page" and content.parent_id else []
    views = [own["read"], *(_view_above(site, page_id) for page_id in above)]
    if content.space_id is None or not all(view is None or view.admits(account_id, groups) for view in views):
        return {"read": False, "update": False}
    view, add = ("read", "space"), ("create", content.kind)
    held = _held(site, account_id, groups, content.space_id, {view, add})
    update = own["update"]
    edits = update is None or update.admits(account_id, groups)
    return {"read": view in held, "update": held == {view, add} and edits}


def _view_above(site: SiteClient, page_id: str) -> Restriction | None:
    try:
        return site.restrictions(page_id)["read"]
    except NotFound:
        return None


def _held(site: SiteClient, account_id: str, groups: set[str], space_id: str, wanted: set[Right]) -> set[Right]:
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


def _rows(site: SiteClient, space_id: str) -> Iterator[tuple[str, str, Right]]:
    first = (("limit", str(_ROWS)),)
    for _, rows in site.pages(calls.SPACE_PERMISSIONS, [space_id], first, read=_row, limit=_ROWS):
        yield from rows


def _roles(site: SiteClient, account_id: str, groups: set[str], space_id: str) -> Iterator[str]:
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
