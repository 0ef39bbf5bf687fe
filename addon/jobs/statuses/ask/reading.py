"""A group's plan, the reading that its queries fill, and the questions they are asked with.

No database: everything here runs on call threads. The ways to ask are in asking.py and the modules it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from addon.base import Clock
from addon.confluence import Content, Kind, Property, SiteClient
from addon.engine.job import RunSpace
from addon.jobs.counting import Counting
from addon.jobs.ledger import Expected
from addon.jobs.statuses.ask.clauses import Group, Pair, Terms

Way = Literal["stamped", "positive", "ledger"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Some spaces of one scheme, read together. `to_count`: the keys of those not yet in contentsChecked.

    `unstamped`: content id -> slug of what the ledger alone answers for: items that refuse the stamp; all the ledger
    knows in these spaces when `way` is "ledger". `may_list`: an administrator agreed to list spaces of any size.
    """

    terms: Terms
    spaces: tuple[RunSpace, ...]
    property_key: str
    expected: Mapping[str, Expected] = field(default_factory=dict)
    to_count: tuple[str, ...] = ()
    space_ids_by_name: Mapping[str, str] = field(default_factory=dict)
    """Space key or id -> space id, for what a query brings back."""
    way: Way = "stamped"
    unstamped: Mapping[str, str] = field(default_factory=dict)
    may_list: bool = False
    ancestors: Mapping[int, Sequence[str]] | None = None
    """Entry index -> topmost pages whose descendants inherit, where several groups were asked at once; else None."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the space keys."""
        return tuple(space.key for space in self.spaces)

    @property
    def space_ids(self) -> list[str]:
        """Return the space ids."""
        return [space.id for space in self.spaces]

    def space_of(self, content: Content) -> str | None:
        """Return the id of the space of the plan that has `content`, None when it meanwhile moved elsewhere."""
        return self.space_ids_by_name.get(content.space_id or "") or self.space_ids_by_name.get(content.space_key or "")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that search says should get `slug`. `seen` is its property where the query brought it along."""

    content_id: str
    kind: Kind
    space_id: str
    slug: str
    seen: Property | None = None


@dataclass(slots=True)
class Reading:
    """What a group's queries found.

    `total`: items of the plan's spaces `to_count`, None where the site does not count them. `stamped`: slug -> all
    items that search shows as stamped so, for the slugs whose stamps were listed. `unmatched`: ids of the plan's
    `unstamped` that match no entry any more, or are in these spaces no more.
    """

    started: datetime
    total: int | None = 0
    candidates: dict[str, Candidate] = field(default_factory=dict)
    stamped: dict[str, dict[str, Content]] = field(default_factory=dict)
    unmatched: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Questions:
    """One group's questions and where their answers go."""

    client: SiteClient
    counting: Counting
    clock: Clock
    plan: Plan
    group: Group
    reading: Reading

    def take(self, cql: str, slug: str) -> None:
        """Let what `cql` finds become candidates for `slug`, where they are none yet; first match wins."""
        for content in self.client.search(cql, expand=("space",)):
            self.propose(content, slug)

    def propose(self, content: Content, slug: str, seen: Property | None = None) -> None:
        """Make one content a candidate for `slug`, unless it is one already or moved to a space of another group."""
        space_id = self.plan.space_of(content)
        if space_id is not None:
            candidate = Candidate(content.id, content.kind, space_id, slug, seen)
            self.reading.candidates.setdefault(content.id, candidate)

    def compare(self, slug: str, found: int | None) -> None:
        """List the stamps of a slug when their number is not what the ledger expects, or is not known."""
        if found is None or not self.plan.expected.get(slug, Expected()).explains(found):
            expand = ("space", f"metadata.properties.{self.plan.property_key}")
            shown = self.client.search(self.group.having_stamp([slug]), expand=expand)
            self.reading.stamped[slug] = {content.id: content for content in shown}


def questions(client: SiteClient, counting: Counting, clock: Clock, plan: Plan) -> Questions:
    """Count the plan's items, find the pages whose descendants inherit, and return what can be asked then.

    Raises SiteError as the calls do.
    """
    group = Group(plan.terms, plan.keys, left_out=() if plan.way == "ledger" else tuple(sorted(plan.unstamped)))
    reading = Reading(started=clock.now())
    if plan.to_count:
        reading.total = counting.count(group.everything(plan.to_count))
    ancestors = _topmost_by_entry(client, group) if plan.ancestors is None else plan.ancestors
    return Questions(client, counting, clock, plan, replace(group, ancestors=ancestors), reading)


def topmost(pages: Sequence[Content]) -> list[str]:
    """Return the ids of the pages that have none of the others above them, in the order found."""
    ids = {page.id for page in pages}
    return [page.id for page in pages if not ids.intersection(page.ancestors)]


def _topmost_by_entry(client: SiteClient, group: Group) -> dict[int, list[str]]:
    return {
        index: topmost(list(differences(client, group.whole(), group.above(index), ("ancestors",))))
        for index, entry in enumerate(group.terms.entries)
        if entry.ancestor_cql
    }


def differences(
    client: SiteClient, group: Group, pairs: Iterable[Pair], expand: Sequence[str] = ()
) -> Iterator[Content]:
    """Yield the items of all `pairs`, each once, read to the end. Raises SiteError as the calls do."""
    seen: set[str] = set()
    for pair in pairs:
        for content in difference(client, group, pair, expand=expand):
            if content.id not in seen:
                seen.add(content.id)
                yield content


def difference(
    client: SiteClient, group: Group, pair: Pair, extra: str = "", expand: Sequence[str] = ()
) -> Iterator[Content]:
    """Yield the items of one pair that meet `extra`. Raises SiteError as the calls do."""
    contents = {content.id: content for content in client.search(group.asked(*pair.within, extra), expand=expand)}
    if contents and pair.part:
        for content in client.search(group.asked(*pair.within, pair.part, extra)):
            contents.pop(content.id, None)
    yield from contents.values()
