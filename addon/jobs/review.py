"""The review of one item, as people give it: until when it holds, when it was reviewed, whether it is to be kept.

It is the property `<namespace>-review`, which belongs to people: no job removes it, and it names no one. Every person
who may edit the item may write it, here or in any other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from addon.confluence import BadRequest, Conflict, Kind, ServerError, SiteClient
from addon.jobs.facts import stored_date


def review_key(namespace: str) -> str:
    """Return the key of the review property."""
    return f"{namespace}-review"


@dataclass(frozen=True, slots=True)
class Review:
    """The dates, each a day without a zone, and whether automations leave the item alone."""

    expiration_date: date | None = None
    reviewed_on: date | None = None
    keep: bool = False

    @classmethod
    def read(cls, value: Any) -> Review:
        """Return what a property says; what is malformed in it counts as not said."""
        said: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        expires, reviewed = stored_date(said.get("expirationDate")), stored_date(said.get("reviewedOn"))
        return cls(expires and expires.date(), reviewed and reviewed.date(), said.get("keep") is True)

    def value(self) -> dict[str, Any]:
        """Return the property's value: only what is said."""
        said: dict[str, Any] = {}
        if self.expiration_date is not None:
            said["expirationDate"] = self.expiration_date.isoformat()
        if self.reviewed_on is not None:
            said["reviewedOn"] = self.reviewed_on.isoformat()
        if self.keep:
            said["keep"] = True
        return said


def write_review(
    client: SiteClient, kind: Kind, content_id: str, key: str, change: Callable[[Review], Review]
) -> Review:
    """Change what the property says and return it; 3 points, 1 or 2 when nothing changes.

    Somebody else's version that came first is read, and the change made to that, once. Raises Conflict when it
    happens again, otherwise SiteError as the calls do.
    """
    try:
        return _write(client, kind, content_id, key, change)
    except (Conflict, _Unclear):
        return _write(client, kind, content_id, key, change)


class _Unclear(BadRequest):
    """A new property was refused: perhaps somebody made it meanwhile."""


def _write(client: SiteClient, kind: Kind, content_id: str, key: str, change: Callable[[Review], Review]) -> Review:
    found = client.property(kind, content_id, key)
    before = Review.read(found.value if found is not None else None)
    after = change(before)
    if after == before:
        return after
    if found is not None:
        client.update_property(kind, content_id, found, after.value())
        return after
    try:
        client.create_property(kind, content_id, key, after.value())
    except (BadRequest, ServerError) as error:
        raise _Unclear(error.message, status=error.status) from error
    return after
