"""What must change in a group of spaces? Asked of Confluence only: no database, so it runs on call threads.

A group costs one count, one query per entry, one for what must leave, one count per stamped slug, and one point per
content found. When the counts of stamps disagree with the ledger, the stamps themselves are listed. A stamp that went
and another that came since the last refresh balance each other: every status is right then, and the numbers are put
right with the next difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from addon.base import Clock
from addon.confluence import SiteClient
from addon.confluence.content import Content, Property
from addon.engine.job import RunSpace
from addon.jobs.statuses.clauses import Group, QueryTooLong, Terms
from addon.jobs.statuses.ledger import Expected
from addon.jobs.statuses.resolve import Matches, resolve
from addon.jobs.statuses.stamp import own_stamp


@dataclass(frozen=True, slots=True)
class Plan:
    """Some spaces of one scheme, read together. `uncounted`: those not yet in contentsChecked."""

    terms: Terms
    spaces: tuple[RunSpace, ...]
    property_key: str
    expected: Mapping[str, Expected] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    """Space key or id -> space id, for what a query brings back."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the space keys."""
        return tuple(space.key for space in self.spaces)

    @property
    def space_ids(self) -> list[str]:
        """Return the space ids."""
        return [space.id for space in self.spaces]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A content that search says should get `slug`. `seen` is its property where the query brought it along."""

    content_id: str
    kind: str
    space_id: str
    slug: str
    seen: Property | None = None


@dataclass(slots=True)
class Reading:
    """What a group's queries found. `listed`: slug -> all contents search holds for stamped so, where listed."""

    started: datetime
    total: int = 0
    candidates: dict[str, Candidate] = field(default_factory=dict)
    listed: dict[str, dict[str, Content]] = field(default_factory=dict)


def read_group(client: SiteClient, clock: Clock, plan: Plan) -> Reading:
    """Ask Confluence what must change in the plan's spaces. First match wins also between the queries.

    Raises QueryTooLong when the group should be smaller, and SiteError as the calls do.
    """
    group = Group(plan.terms, plan.keys)
    reading = Reading(started=clock.now())
    if plan.uncounted:
        reading.total = client.count(group.everything(plan.uncounted))
    group = replace(group, ancestors=_topmost_by_entry(client, group))
    try:
        _search(client, plan, group, reading)
    except QueryTooLong:
        if len(plan.spaces) > 1:
            raise
        reading.candidates.clear()
        _list(client, plan, group, reading)
        return reading
    _compare_counts(client, plan, group, reading)
    return reading


def topmost(pages: Sequence[Content]) -> list[str]:
    """Return the ids of the pages that have none of the others above them, in the order found."""
    ids = {page.id for page in pages}
    return [page.id for page in pages if not ids.intersection(page.ancestors)]


def _topmost_by_entry(client: SiteClient, group: Group) -> dict[int, list[str]]:
    return {
        index: topmost(list(client.search(group.above(index), expand=("ancestors",))))
        for index, entry in enumerate(group.terms.entries)
        if entry.ancestor_cql
    }


def _search(client: SiteClient, plan: Plan, group: Group, reading: Reading) -> None:
    entering = [(entry.slug, group.enter(index)) for index, entry in enumerate(plan.terms.entries)]
    for slug, cql in [*entering, (plan.terms.default, group.leave())]:
        if cql is None:
            continue
        for content in client.search(cql, expand=("space",)):
            candidate = _candidate(plan, content, slug)
            if candidate is not None:
                reading.candidates.setdefault(content.id, candidate)


def _compare_counts(client: SiteClient, plan: Plan, group: Group, reading: Reading) -> None:
    expand = ("space", f"metadata.properties.{plan.property_key}")
    for slug in sorted({entry.slug for entry in plan.terms.entries} - {plan.terms.default}):
        holding = group.holding(slug)
        if not plan.expected.get(slug, Expected()).explains(client.count(holding)):
            reading.listed[slug] = {content.id: content for content in client.search(holding, expand=expand)}


def _list(client: SiteClient, plan: Plan, group: Group, reading: Reading) -> None:
    """Decide in Python, over all contents of one space: the last resort when the ancestors fit into no query."""
    matches = [
        Matches(
            entry.slug,
            {content.id for content in client.search(group.direct(index))} if entry.cql else frozenset(),
            frozenset(group.ancestors.get(index, ())),
        )
        for index, entry in enumerate(plan.terms.entries)
    ]
    reading.listed = {slug: {} for slug in plan.terms.others}
    expand = ("space", "ancestors", f"metadata.properties.{plan.property_key}")
    for content in client.search(group.everything(), expand=expand):
        slug = resolve(matches, plan.terms.default, content.id, content.ancestors)
        seen = content.properties.get(plan.property_key)
        stamp = own_stamp(seen, content.id)
        if stamp is None and seen is None and slug == plan.terms.default:
            continue
        if stamp is None or stamp.slug != slug:
            candidate = _candidate(plan, content, slug, seen)
            if candidate is not None:
                reading.candidates[content.id] = candidate
        elif slug in reading.listed:
            reading.listed[slug][content.id] = content


def _candidate(plan: Plan, content: Content, slug: str, seen: Property | None = None) -> Candidate | None:
    """Return the candidate, or None for a content that meanwhile moved to a space of another group."""
    space_id = plan.places.get(content.space_id or "") or plan.places.get(content.space_key or "")
    return None if space_id is None else Candidate(content.id, content.kind, space_id, slug, seen)
