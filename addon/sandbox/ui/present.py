"""The site's records as its pages show them: names, addresses, dates, lozenges."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from addon.sandbox.records import Content, Space, User
from addon.sandbox.site import Site

HUES = 8
LOOKS = {"expired": "danger", "not-updated": "warning", "up-to-date": "success"}
KINDS = {"page": "Page", "blogpost": "Blog post"}


def hue(text: str) -> int:
    """Return one of the colours of marks and avatars, always the same for the same text."""
    return zlib.crc32(text.encode()) % HUES


def initials(name: str) -> str:
    """Return up to two letters for a mark or an avatar."""
    words = [word for word in name.replace("~", "").split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[0], *words[-1:]) if word)[: 2 if len(words) > 1 else 1].upper() or "?"


def date(moment: datetime, zone: ZoneInfo, *, clock: bool = False) -> str:
    """Return a day as people write it, with the time of day when `clock`."""
    local = moment.astimezone(zone)
    day = f"{local.day} {local:%b %Y}"
    return f"{day}, {local:%H:%M}" if clock else day


def space_href(space: Space) -> str:
    """Return the address of a space."""
    return f"/wiki/spaces/{quote(space.key, safe='~')}"


def content_href(site: Site, content: Content) -> str:
    """Return the address of a page or blog post."""
    folder = "blog" if content.kind == "blogpost" else "pages"
    return f"{space_href(site.space_by_id(content.space_id))}/{folder}/{content.id}"


def person(site: Site, account_id: str) -> dict[str, Any]:
    """Return a person for the templates, also one the site does not know."""
    user = site.people[account_id] if account_id in site.people else User(account_id, "Former user", "", active=False)
    return {
        "account_id": user.account_id,
        "display_name": user.display_name,
        "email": user.email if user.email_visible else "",
        "time_zone": user.time_zone,
        "active": user.active,
        "role": role(site, user),
        "initials": initials(user.display_name),
        "hue": hue(user.account_id),
        "href": f"/wiki/people/{quote(user.account_id)}",
    }


def role(site: Site, user: User) -> str:
    """Return what to call a person in the switcher: administrator of the site, of spaces, or nothing."""
    if site.people.is_admin(user.account_id):
        return "site admin"
    keys = [space.key for space in site.spaces() if administers(site, user.account_id, space)]
    return f"admin of {', '.join(keys)}" if keys else ("" if user.active else "deactivated")


def administers(site: Site, account_id: str, space: Space) -> bool:
    """Tell whether a person administers a space."""
    return site.access.permits(account_id, space.id, "administer")


def space_card(site: Site, space: Space) -> dict[str, Any]:
    """Return a space for the templates."""
    kinds = [content.kind for content in site.live.in_space(space.id).values() if content.status == "current"]
    named = [row.principal_id for row in site.access.rows(space.id) if row.operation == "administer"]
    admins = [site.people[name].display_name for name in named if name in site.people]
    notes = [space.status] if space.status != "current" else [space.type.replace("_", " ")]
    return {
        "key": space.key,
        "name": space.name,
        "type": space.type.replace("_", " "),
        "status": space.status,
        "href": space_href(space),
        "hue": hue(space.key),
        "initials": initials(space.name),
        "pages": kinds.count("page"),
        "posts": kinds.count("blogpost"),
        "admins": ", ".join([*admins, "Confluence administrators"]),
        "note": "" if notes == ["global"] else notes[0],
    }


def stamp(content: Content) -> dict[str, Any] | None:
    """Return the status lozenge of a content from its own status property, None for none or another content's copy."""
    for key, found in content.properties.items():
        value = found.value
        if not key.endswith("-status") or not isinstance(value, Mapping) or str(value.get("content")) != content.id:
            continue
        slug = str(value.get("id"))
        tooltip = str(_value(value.get("tooltip")) or "")
        look = LOOKS.get(slug, "information")
        return {"slug": slug, "name": _value(value.get("name")) or slug, "tooltip": tooltip, "look": look}
    return None


def row(site: Site, content: Content) -> dict[str, Any]:
    """Return a content as one row of a list."""
    return {
        "title": content.title,
        "href": content_href(site, content),
        "kind": KINDS[content.kind],
        "status": content.status,
        "space_name": site.space_by_id(content.space_id).name,
        "updated": date(content.updated_at, site.time_zone),
        "updater": person(site, content.updater_id)["display_name"],
        "stamp": stamp(content),
    }


def article(site: Site, content: Content) -> dict[str, Any]:
    """Return a content as its own page shows it."""
    space = site.space_by_id(content.space_id)
    crumbs = [{"title": space.name, "href": space_href(space)}]
    crumbs += [{"title": above.title, "href": content_href(site, above)} for above in site.live.ancestors(content)]
    properties = [
        {"key": key, "value": json.dumps(found.value, ensure_ascii=False), "version": found.version}
        for key, found in sorted(content.properties.items())
    ]
    return row(site, content) | {
        "id": content.id,
        "crumbs": crumbs,
        "author": person(site, content.author_id),
        "updater": person(site, content.updater_id),
        "created": date(content.created_at, site.time_zone),
        "updated_iso": content.updated_at.isoformat(timespec="seconds"),
        "version": content.version,
        "labels": content.labels,
        "paragraphs": [part for part in content.body.split("\n\n") if part] or ["This page has no text."],
        "restricted": _restrictions(site, content),
        "properties": properties,
    }


def tree(site: Site, space: Space, viewer: str) -> list[dict[str, Any]]:
    """Return the current pages of a space that a person may see, as nested {id, title, href, children}."""
    nodes: dict[str, dict[str, Any]] = {}
    tops: list[dict[str, Any]] = []
    pages = [page for page in site.contents(space.key) if page.kind == "page" and site.access.can_view(viewer, page)]
    for page in pages:
        nodes[page.id] = {"id": page.id, "title": page.title, "href": content_href(site, page), "children": []}
    for page in pages:
        above = nodes.get(page.parent_id or "")
        (above["children"] if above else tops).append(nodes[page.id])
    return tops


def _restrictions(site: Site, content: Content) -> str:
    said = []
    for above in (*site.live.ancestors(content), content):
        rule = site.access.restriction(above.id, "read")
        if rule is not None:
            said.append(f"viewed by {_names(site, (*rule.users, *rule.groups))} only")
    rule = site.access.restriction(content.id, "update")
    if rule is not None:
        said.append(f"edited by {_names(site, (*rule.users, *rule.groups))} only")
    return "; ".join(said)


def _names(site: Site, principals: Iterable[str]) -> str:
    return ", ".join(sorted(site.people[name].display_name if name in site.people else name for name in principals))


def _value(part: Any) -> Any:
    return part.get("value") if isinstance(part, Mapping) else part
