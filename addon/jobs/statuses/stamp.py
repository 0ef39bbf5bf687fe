"""The stamp: the status property of an item, whose it is, and the icon that it names.

The property `<namespace>-status` holds {id, name:{value}, tooltip:{value}, icon:{url, width, height}, previous,
changedOn, content}. It is shaped for a byline's `contentPropertyKey` (docs/rules/connect.md 1.3) and indexed for CQL.
Copying a page copies its properties: a stamp that names another item is a copy and counts as absent.

An icon is a small picture described by its address alone. A browser keeps it forever under that address, and every
stamp names one: so the address holds shape and colour, and nothing of a tenant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from addon.base.bounds import utc
from addon.confluence import Property
from addon.policies import PolicyDocument

SLUG_LENGTH = 64


def property_key(namespace: str) -> str:
    """Return the key of the status property."""
    return f"{namespace}-status"


def status_alias(namespace: str) -> str:
    """Return the CQL alias under which the status slug is searched."""
    return f"{namespace}Status"


def expiration_alias(namespace: str) -> str:
    """Return the CQL alias under which the date is searched until which people say that an item holds."""
    return f"{namespace}ExpirationDate"


@dataclass(frozen=True, slots=True)
class Status:
    """What a stamp says of a status for people."""

    slug: str
    name: str
    description: str
    icon: Any


@dataclass(frozen=True, slots=True)
class Stamp:
    """An item's own stamp, read back."""

    slug: str
    previous: str | None
    changed_on: datetime | None
    property: Property


def shown_statuses(policy: PolicyDocument, base_url: str) -> dict[str, Status]:
    """Return the statuses of the policies by slug, as stamps say them.

    Parameters: `base_url` is the add-on's own address, below which their pictures are.
    """
    found: dict[str, Status] = {}
    for status in policy.statuses:
        url = f"{base_url}/status-icons/{icon_file(status.icon, status.colour)}"
        icon = {"url": url, "width": ICON_SIZE, "height": ICON_SIZE}
        found[status.id] = Status(status.id, status.name, status.description, icon)
    return found


def own_stamp(found: Property | None, content_id: str) -> Stamp | None:
    """Return the stamp if it is the item's own; None for none, a copy's, or something malformed."""
    value = found.value if found is not None else None
    if found is None or not isinstance(value, Mapping) or value.get("content") != content_id:
        return None
    slug, previous = value.get("id"), value.get("previous")
    if not _is_slug(slug):
        return None
    return Stamp(slug, previous if _is_slug(previous) else None, _time(value.get("changedOn")), found)


def stamp_value(status: Status, *, previous: str | None, changed_on: datetime, content_id: str) -> dict[str, Any]:
    """Return the value of an item's property, dated in UTC to the millisecond."""
    return {
        "id": status.slug,
        "name": {"value": status.name},
        "tooltip": {"value": status.description or status.name},
        "icon": status.icon,
        "previous": previous,
        "changedOn": changed_on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "content": content_id,
    }


def _is_slug(value: Any) -> TypeGuard[str]:
    # Every editor can write the property: what no status can be called is no stamp, and fits into no column.
    return isinstance(value, str) and 0 < len(value) <= SLUG_LENGTH


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return utc(moment) if moment.tzinfo is not None else None


ICON_SIZE = 16
"""Width and height in pixels, as the stamp says (docs/rules/connect.md 1.3)."""
PLAIN_ICON = "circle"
_DISC = "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z"
_PATHS = {
    "alert": "M8 2 15 14H1zM8 6.3v3.6M8 11.4v.9",
    "archive": "M1.5 2.5h13v3h-13zM2.5 5.5v8h11v-8M6.2 8.3h3.6",
    "calendar": "M2 3.5h12v11H2zM2 6.8h12M5 1.5v3M11 1.5v3",
    "check": f"{_DISC}M5 8.1l2.1 2.1 4-4.3",
    PLAIN_ICON: "M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
    "clock": f"{_DISC}M8 4.5V8l2.5 1.7",
    "eye": "M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
    "flag": "M3.5 14.5v-13M3.5 2.5h9l-2 3 2 3h-9",
    "lock": "M3 7h10v7H3zM5 7V4.7a3 3 0 0 1 6 0V7",
    "pencil": "M2 14l.8-3.4 8-8 2.6 2.6-8 8zM9.3 4.1l2.6 2.6",
    "question": f"{_DISC}M6.2 6.2A1.9 1.9 0 1 1 8 8.4v1M8 11.2v.8",
    "star": "M8 1.8l1.9 4 4.4.6-3.2 3 .8 4.3L8 11.6l-3.9 2.1.8-4.3-3.2-3 4.4-.6z",
}
_NAME = re.compile(r"([a-z]{1,20})-([0-9a-f]{6})\.svg")


def icon_file(icon: str, colour: str) -> str:
    """Return the picture of a status's icon in its colour (#rgb or #rrggbb); a disc for an icon not known here."""
    digits = colour.removeprefix("#").lower()
    full = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    return f"{icon if icon in _PATHS else PLAIN_ICON}-{full}.svg"


def icon_svg(name: str) -> str | None:
    """Return the SVG of a `icon_file`, None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in _PATHS:
        return None
    colour = f"#{match[2]}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{ICON_SIZE}" height="{ICON_SIZE}" viewBox="0 0 16 16">'
        f'<path d="{_PATHS[match[1]]}" fill="{colour if match[1] == PLAIN_ICON else "none"}" stroke="{colour}" '
        'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )
