"""The items below a content's title: those of add-ons whose conditions hold, as their content property says.

An item shows what its module declares; each of name, tooltip and icon that the property named by contentPropertyKey
holds takes its place (docs/rules/connect.md 1.3). Conditions read the add-on's own properties (docs/rules/connect.md
1.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from addon.sandbox.records import AddonInstallation, Content, Space
from addon.sandbox.site import Site


def items(site: Site, content: Content) -> list[dict[str, Any]]:
    """Return the items of a content for the templates and the host's script."""
    space = site.space_by_id(content.space_id)
    return [
        _item(addon, module, content, space)
        for addon in site.addons.values()
        if addon.enabled
        for module in addon.descriptor.get("modules", {}).get("contentBylineItems", ())
        if all(holds(site, addon, condition, space) for condition in module.get("conditions", ()))
    ]


def holds(site: Site, addon: AddonInstallation, condition: Mapping[str, Any], space: Space) -> bool:
    """Tell whether a condition lets a module be shown in a space. Those the sandbox does not know do not."""
    if "or" in condition:
        return any(holds(site, addon, each, space) for each in condition["or"])
    if "and" in condition:
        return all(holds(site, addon, each, space) for each in condition["and"])
    params = condition.get("params", {})
    value: Any = site.app_properties.get(addon.key, {}).get(params.get("propertyKey"))
    for name in filter(None, str(params.get("objectName", "")).split(".")):
        value = value.get(name) if isinstance(value, Mapping) else None
    context = {"space.key": space.key, "space.id": space.id}.get(params.get("contextParameter", ""))
    known = condition.get("condition")
    if known == "addon_property_exists":
        held = value is not None
    elif known == "addon_property_equal_to":
        held = value is not None and _text(value) == params.get("value")
    elif known == "addon_property_contains_context":
        held = isinstance(value, list) and context in value
    else:
        return False
    return held != bool(condition.get("invert"))


def _item(addon: AddonInstallation, module: Mapping[str, Any], content: Content, space: Space) -> dict[str, Any]:
    found = content.properties.get(module.get("contentPropertyKey", ""))
    said = found.value if found is not None and isinstance(found.value, Mapping) else {}
    name, tooltip = (_words(said.get(field)) or _words(module.get(field)) for field in ("name", "tooltip"))
    own = said.get("icon")
    icon: Mapping[str, Any] = own if isinstance(own, Mapping) else module.get("icon", {})
    return {
        "addonKey": addon.key,
        "moduleKey": module["key"],
        "propertyKey": module.get("contentPropertyKey"),
        "contentId": content.id,
        "spaceKey": space.key,
        "name": name,
        "tooltip": tooltip or "",
        "icon": urljoin(f"{addon.base_url.rstrip('/')}/", str(icon.get("url", "")).lstrip("/")),
        "status": str(said["id"]) if "id" in said else "",
        "options": dict(module.get("target", {}).get("options", {})),
    }


def _words(part: Any) -> str | None:
    return str(part["value"]) if isinstance(part, Mapping) and part.get("value") else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
