"""Frames of an add-on's pages: from the descriptor's module to what the host's script needs.

The signed address and the tokens are made by the site's add-on host; this module knows where modules have their place.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from addon.sandbox.records import AddonInstallation, Space
from addon.sandbox.site import Site

PAGE_TYPES = ("adminPages", "spaceToolsTabs", "generalPages", "configurePage", "postInstallPage", "contentBylineItems")


class UnknownModule(LookupError):
    """No installed add-on declares a page with that key."""


@dataclass(frozen=True, slots=True)
class Module:
    """A page that an add-on declares. `type` is the descriptor's name for the sort of module."""

    addon: AddonInstallation
    type: str
    key: str
    name: str
    location: str

    @property
    def href(self) -> str:
        """The host's own address of a site-wide page (docs/rules/connect.md 1.3)."""
        return f"/wiki/plugins/servlet/ac/{quote(self.addon.key)}/{quote(self.key)}"

    def href_in(self, space: Space) -> str:
        """Return the host's own address of a space's page."""
        return f"/wiki/spaces/{quote(space.key, safe='~')}/settings/integrations/{quote(self.key)}"


def modules(site: Site, *types: str) -> list[Module]:
    """Return the pages that enabled add-ons declare, of some types (see PAGE_TYPES) or of all."""
    return [
        module
        for addon in list(site.addons.values())
        if addon.enabled
        for module in _declared(addon)
        if not types or module.type in types
    ]


def module(site: Site, addon_key: str | None, module_key: str) -> Module:
    """Return one page. Raises UnknownModule."""
    for found in modules(site):
        if found.key == module_key and addon_key in (None, found.addon.key):
            return found
    raise UnknownModule(f"{addon_key}/{module_key}")


def opened(
    site: Site, module: Module, account_id: str, space: Space | None, content_id: str | None = None
) -> dict[str, Any]:
    """Return what the host's script needs to open the page for a person: its signed address and its context.

    `content_id` is the content whose byline it is in. Each opening has a channel of its own, by which frame and
    host tell their messages from others.
    """
    channel = f"{module.addon.key}__{module.key}__{secrets.token_hex(6)}"
    space_key = space.key if space else None
    src = site.host.page_url(
        account_id,
        module.key,
        space_key=space_key,
        content_id=content_id,
        extra={"xdm_c": channel},
        addon_key=module.addon.key,
    )
    return {
        "src": src,
        "channel": channel,
        "addonKey": module.addon.key,
        "moduleKey": module.key,
        "spaceKey": space_key,
        "contentId": content_id,
        "title": module.name,
        "context": {
            "confluence": {"space": {"id": space.id, "key": space.key}} if space else {},
            "url": {"displayUrl": site.base_url},
        },
    }


def _declared(addon: AddonInstallation) -> Iterator[Module]:
    declared = addon.descriptor.get("modules", {})
    for sort in PAGE_TYPES:
        entries = declared.get(sort, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            name = entry.get("name", {}).get("value", entry["key"])
            yield Module(addon, sort, entry["key"], name, entry.get("location", ""))
