"""The standing of a space: which schemes it has, or why jobs leave it alone.

`PolicyDocument` answers that for a space whose labels are known, and refuses to for one whose labels were never asked
for. No listing shows labels, so jobs, screens and the byline ask for them here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from addon.base import Space
from addon.confluence import SiteClient
from addon.policies import PolicyDocument

NARROWED = 250
"""So many spaces fit into one call that names them; more are found in the listing of all spaces of a label."""


def labelled(client: SiteClient, spaces: Sequence[Space], *documents: PolicyDocument) -> list[Space]:
    """Return `spaces` with those of their labels that any of `documents` asks for.

    Costs nothing where no selector is a label, else a call for each such label and a point for each space it finds.
    Raises what the calls raise.
    """
    wanted = sorted(frozenset[str]().union(*(document.labels_asked for document in documents)))
    if not spaces:
        return []
    ids = [space.id for space in spaces] if len(spaces) <= NARROWED else None
    held: dict[str, set[str]] = {}
    for label in wanted:
        for space in client.spaces(ids=ids, labels=[label]):
            held.setdefault(space.id, set()).add(label)
    return [replace(space, labels=frozenset(held.get(space.id, ()))) for space in spaces]
