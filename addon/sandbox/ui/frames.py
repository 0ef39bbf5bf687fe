"""How does the site open an add-on's page? From the descriptor's module to a signed address, and the frame's tokens.

Parameters, claims and lifetimes: connect.md 1.5, 3.1 and 3.3.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt

from addon.sandbox.auth import query_hash
from addon.sandbox.records import AddonInstallation, Space
from addon.sandbox.site import Site

PAGE_LIFE = timedelta(seconds=180)
CONTEXT_LIFE = timedelta(minutes=15)
PAGE_TYPES = ("adminPages", "spaceToolsTabs", "generalPages", "configurePage", "postInstallPage")
_VARIABLE = re.compile(r"\{([^{}]+)\}")


class UnknownModule(LookupError):
    """No installed add-on declares a page with that key."""


@dataclass(frozen=True, slots=True)
class Module:
    """A page that an add-on declares. `type` is the descriptor's name for the sort of module."""

    addon: AddonInstallation
    type: str
    key: str
    name: str
    url: str
    location: str

    @property
    def href(self) -> str:
        """The host's own address of a site-wide page (connect.md 1.3)."""
        return f"/wiki/plugins/servlet/ac/{quote(self.addon.key)}/{quote(self.key)}"

    def href_in(self, space: Space) -> str:
        """Return the host's own address of a space's page."""
        return f"/wiki/spaces/{quote(space.key)}/settings/integrations/{quote(self.key)}"


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
    site: Site, module: Module, account_id: str, space: Space | None, custom: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what the host's script needs to open the page for a person: its signed address and its context."""
    channel = f"{module.addon.key}__{module.key}__{secrets.token_hex(6)}"
    return {
        "src": _signed_url(site, module, account_id, space, channel, custom or {}),
        "channel": channel,
        "addonKey": module.addon.key,
        "moduleKey": module.key,
        "spaceKey": space.key if space else None,
        "title": module.name,
        "context": _context(site, space),
    }


def context_token(site: Site, addon: AddonInstallation, account_id: str, space: Space | None) -> str:
    """Return what `AP.context.getToken()` answers: a token with the literal qsh (connect.md 3.3)."""
    return _token(site, addon, account_id, "context-qsh", CONTEXT_LIFE, space)


def _declared(addon: AddonInstallation) -> Iterator[Module]:
    declared = addon.descriptor.get("modules", {})
    for sort in PAGE_TYPES:
        entries = declared.get(sort, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            name = entry.get("name", {}).get("value", entry["key"])
            yield Module(addon, sort, entry["key"], name, entry["url"], entry.get("location", ""))


def _signed_url(
    site: Site, module: Module, account_id: str, space: Space | None, channel: str, custom: Mapping[str, str]
) -> str:
    base = (module.addon.base_url or str(module.addon.descriptor["baseUrl"])).rstrip("/")
    known = {"space.key": space.key, "space.id": space.id} if space else {}
    known |= {f"ac.{name}": value for name, value in custom.items()}
    filled = _VARIABLE.sub(lambda match: quote(known.get(match[1], ""), safe=""), module.url)
    path, _, query = filled.partition("?")
    standard = urlencode(
        {
            "xdm_e": site.origin,
            "xdm_c": channel,
            "cp": "/wiki",
            "xdm_deprecated_addon_key_do_not_use": module.addon.key,
            "lic": "active",
            "cv": "sandbox",
        },
        quote_via=quote,
    )
    query = f"{query}&{standard}" if query else standard
    qsh = query_hash("GET", path, query)
    token = _token(site, module.addon, account_id, qsh, PAGE_LIFE, space)
    # The hash is over the path below the add-on's base URL, which may have a path of its own (connect.md 3.2).
    return f"{urlsplit(base).geturl()}{path}?{query}&jwt={token}"


def _token(
    site: Site, addon: AddonInstallation, account_id: str, qsh: str, life: timedelta, space: Space | None
) -> str:
    now = site.clock.now()
    claims = {
        "iss": addon.client_key,
        "sub": account_id,
        "iat": int(now.timestamp()),
        "exp": int((now + life).timestamp()),
        "qsh": qsh,
        "context": _context(site, space),
    }
    return jwt.encode(claims, addon.secret, algorithm="HS256")


def _context(site: Site, space: Space | None) -> dict[str, Any]:
    confluence = {"space": {"id": space.id, "key": space.key}} if space else {}
    return {"confluence": confluence, "url": {"displayUrl": site.base_url}}
