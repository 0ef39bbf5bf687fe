"""What stands in the status property of a content, and whose is it?

The property `<namespace>-status` holds {id, name:{value}, tooltip:{value}, icon:{url, width, height}, previous,
changedOn, content}. It is shaped for a byline's `contentPropertyKey` (docs/rules/connect.md 1.3) and indexed for CQL.
Copying a page copies its properties: a stamp that names another content is a copy and counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

from addon.base.bounds import utc
from addon.confluence import Property
from addon.jobs.statuses.write import icons
from addon.policies import PolicyDocument

SLUG_LENGTH = 64


def property_key(namespace: str) -> str:
    """Return the key of the status property."""
    return f"{namespace}-status"


def status_alias(namespace: str) -> str:
    """Return the CQL alias under which the status slug is searched."""
    return f"{namespace}Status"


def expiration_alias(namespace: str) -> str:
    """Return the CQL alias under which the date is searched until which people say that a content holds."""
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
    """A content's own stamp, read back."""

    slug: str
    previous: str | None
    changed_on: datetime | None
    property: Property


def shown(policy: PolicyDocument, base_url: str) -> dict[str, Status]:
    """Return the statuses of the policies by slug, as stamps say them.

    Parameters: `base_url` is the add-on's own address, below which their pictures are.
    """
    found: dict[str, Status] = {}
    for status in policy.statuses:
        url = f"{base_url}/status-icons/{icons.file_name(status.icon, status.colour)}"
        icon = {"url": url, "width": icons.SIZE, "height": icons.SIZE}
        found[status.id] = Status(status.id, status.name, status.description, icon)
    return found


def own_stamp(found: Property | None, content_id: str) -> Stamp | None:
    """Return the stamp if it is the content's own; None for none, a copy's, or something malformed."""
    value = found.value if found is not None else None
    if found is None or not isinstance(value, Mapping) or value.get("content") != content_id:
        return None
    slug, previous = value.get("id"), value.get("previous")
    if not _slug(slug):
        return None
    return Stamp(slug, previous if _slug(previous) else None, _time(value.get("changedOn")), found)


def stamp_value(status: Status, *, previous: str | None, changed_on: datetime, content_id: str) -> dict[str, Any]:
    """Return the property value for a content."""
    return {
        "id": status.slug,
        "name": {"value": status.name},
        "tooltip": {"value": status.description or status.name},
        "icon": status.icon,
        "previous": previous,
        "changedOn": changed_on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "content": content_id,
    }


def _slug(value: Any) -> TypeGuard[str]:
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
