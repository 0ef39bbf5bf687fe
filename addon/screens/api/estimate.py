"""The estimate of a first refresh: contents by status, stamps to write and points, from a few counts by search.

It is a glance and never a bulk read: where it would take more, the counts stay unknown.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from addon.base import Space
from addon.confluence import SiteClient, SiteError
from addon.confluence.cql import Spelling, all_of, any_of, base, encoded_length, group_spaces, none_of, with_not
from addon.policies import PolicyDocument, StatusScheme

log = logging.getLogger(__name__)

MOST_GROUPS = 20
"""Groups of spaces that are counted at most."""
POINTS_A_WRITE = 3
"""Found in a listing, looked up, written."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a first refresh would find and cost: contents by status (None: unknown), stamps to write, points."""

    counts: Mapping[str, int | None]
    writes: int
    points: int


def estimated(client: SiteClient, document: PolicyDocument, spaces: Sequence[Space], spelling: Spelling) -> Estimate:
    """Return the estimate for `spaces`, each by the status scheme that it has. `spelling`: how negations are put.

    Where the site does not read them as meant, what a scheme with conditions would find is not counted at a glance.
    """
    default = next(scheme for scheme in document.status_schemes if scheme.default)
    of_scheme: dict[str, list[Space]] = {} if spaces else {default.id: []}
    for space in spaces:
        of_scheme.setdefault(document.status_scheme(space).id, []).append(space)
    counts: dict[str, int | None] = {}
    writes = points = 0
    for scheme in document.status_schemes:
        own = of_scheme.get(scheme.id)
        if own is None:
            continue
        found = _unknown(scheme) if spelling == "pieces" else _counts(client, scheme, own)
        stamped = sum(found[entry.status] or 0 for entry in scheme.entries[:-1])
        writes += stamped
        points += math.ceil(len(own) / 50) * 3 * len(scheme.entries) + stamped * POINTS_A_WRITE
        for slug, number in found.items():
            before = counts.get(slug, 0)
            counts[slug] = None if number is None or before is None else before + number
    return Estimate(counts, writes, points)


def _counts(client: SiteClient, scheme: StatusScheme, spaces: Sequence[Space]) -> dict[str, int | None]:
    """Return how many contents of `spaces` would have each status of `scheme`; None where unknown."""
    wanted: dict[str, str | None] = {}
    earlier: list[str] = []
    for entry in scheme.entries[:-1]:
        held = any_of(with_not(entry.cql) if entry.cql is not None else None)
        wanted[entry.status] = all_of(held, none_of(*earlier))
        earlier.append(held)
    longest = max((encoded_length(cql) for cql in wanted.values() if cql), default=0)
    groups = list(group_spaces(spaces, longest))
    if len(groups) > MOST_GROUPS:
        return _unknown(scheme)
    try:
        total = sum(client.count(base(group)) for group in groups)
        counts = {status: sum(client.count(base(group, cql)) for group in groups) for status, cql in wanted.items()}
    except SiteError as error:
        log.info("the first run's counts are left out: %s", error)
        return _unknown(scheme)
    return {**counts, scheme.default_status: max(0, total - sum(counts.values()))}


def _unknown(scheme: StatusScheme) -> dict[str, int | None]:
    return dict.fromkeys((entry.status for entry in scheme.entries), None)
