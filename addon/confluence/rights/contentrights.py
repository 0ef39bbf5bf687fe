"""May a person view or edit a content? Concluded from space permissions and restrictions, no whenever in doubt.

For sites that do not decide it for the app: Confluence's own check is for Confluence administrators
(docs/rules/confluence-api.md 2.5), and an app's user is none. To view takes the space's read permission and every view
restriction of the content and of the pages above it; to edit takes that, the permission to add such contents to the
space, and the content's own edit restriction. What is granted to anonymous people or to access classes only counts as
not granted. What stands above a page and cannot be read (a draft, a folder, a page in the trash) restricts nobody: a
page that hid itself from the app would hide what is below it as well.
"""

from __future__ import annotations

from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Operation, Restriction
from addon.confluence.errors import NotFound
from addon.confluence.rights.spacerights import held_of


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
    held = held_of(site, account_id, groups, content.space_id, {view, add})
    update = own["update"]
    edits = update is None or update.admits(account_id, groups)
    return {"read": view in held, "update": held == {view, add} and edits}


def _view_above(site: SiteClient, page_id: str) -> Restriction | None:
    try:
        return site.restrictions(page_id)["read"]
    except NotFound:
        return None
