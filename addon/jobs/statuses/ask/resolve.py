"""Which status does one content have? The plain rule that everything else only computes at a lower price.

The entries of a scheme are tried from top to bottom; the first that matches wins, directly before through an
ancestor; the last one is the default and matches everything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matches:
    """What one entry's queries found: ids matching its CQL, and ids of pages matching its ancestor CQL."""

    slug: str
    direct: Collection[str]
    ancestors: Collection[str] = ()


def resolve(entries: Sequence[Matches], default: str, content_id: str, ancestors: Sequence[str]) -> str:
    """Return the slug of the content's status.

    `entries` are the scheme's entries without the last, `ancestors` the ids of all pages above the content.
    """
    for entry in entries:
        if content_id in entry.direct or any(ancestor in entry.ancestors for ancestor in ancestors):
            return entry.slug
    return default
