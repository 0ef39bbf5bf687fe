"""How is a question about statuses put to Confluence? All CQL of a refresh is written here.

Every query is `(type in (page, blogpost)) and (space in (…)) and (…)`: parenthesised, never beginning with a negation
(confluence-api.md 8). What an administrator wrote stands in its own parentheses. Ids of contents whose status is known
without a stamp (they refuse it) are left out of all questions about stamps, so that they cost nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from addon.base import Space
from addon.confluence.cql import quote
from addon.confluence.queries import MOST_SPACES, all_of, any_of, base, encoded_length, none_of, values

URL_BYTES = 5_500
"""Encoded bytes of one query: what else a search's URL carries must fit beside it."""
SPAN_BYTES = 150
"""Encoded bytes of a span of creation dates."""
FEWEST_IDS = 20
"""A query with less room for ids than for so many is of no use."""
ID_BYTES = 13
"""What an id of ten digits takes, with its comma."""


class QueryTooLong(Exception):
    """The query does not fit into a URL: ask for fewer spaces, or list instead."""


class Halve(QueryTooLong):
    """Something differs in these spaces: ask for fewer, so that less has to be listed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a scheme but the last."""

    slug: str
    cql: str | None
    ancestor_cql: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """One scheme's vocabulary: its entries without the last, its default, and all slugs the tenant ever used."""

    alias: str
    entries: tuple[Entry, ...]
    default: str
    slugs: frozenset[str]

    @property
    def all_slugs(self) -> frozenset[str]:
        """Every slug that a stamp may have."""
        return self.slugs | {entry.slug for entry in self.entries} | {self.default}

    @property
    def others(self) -> list[str]:
        """Every slug that is not the default's, in a fixed order: what a content may have to leave."""
        return sorted(self.all_slugs - {self.default})

    @property
    def unused(self) -> list[str]:
        """The slugs that this scheme has not, in a fixed order."""
        return sorted(self.all_slugs - {entry.slug for entry in self.entries} - {self.default})

    def after(self, index: int) -> list[str]:
        """Return every slug that gives way to the entry's: those of later entries, the default's and the unused."""
        return sorted(self.all_slugs - {entry.slug for entry in self.entries[: index + 1]})

    def position(self, slug: str) -> int | None:
        """Return which entry has `slug`, None for the default's and those of other schemes."""
        return next((index for index, entry in enumerate(self.entries) if entry.slug == slug), None)


@dataclass(frozen=True, slots=True)
class Group:
    """The queries about some spaces of one scheme. `ancestors`: entry index -> topmost pages its ancestor CQL found.

    `held`: ids that no question about stamps is to return. All methods that return a query raise QueryTooLong.
    """

    terms: Terms
    keys: tuple[str, ...]
    ancestors: Mapping[int, Sequence[str]] = field(default_factory=dict)
    held: tuple[str, ...] = ()

    def everything(self, keys: Collection[str] | None = None) -> str:
        """All current pages and blog posts, of all spaces or of those with `keys`."""
        return base(self.keys if keys is None else keys)

    def direct(self, index: int) -> str:
        """What the entry's own CQL matches."""
        return _fitting(base(self.keys, self.terms.entries[index].cql))

    def above(self, index: int) -> str:
        """The pages whose descendants inherit the entry's status."""
        return _fitting(all_of(base(self.keys, "type in (page)"), self.terms.entries[index].ancestor_cql))

    def enter(self, index: int) -> str | None:
        """What matches the entry and no earlier one and is not stamped so; None when nothing can match."""
        wanted = self._match(index)
        unlike = self._unlike(self.terms.entries[index].slug)
        if not wanted or not unlike:
            return None
        earlier = none_of(*map(self._match, range(index)))
        return self._asked(wanted, earlier, unlike)

    def leave(self) -> str | None:
        """What is stamped with any slug but the default's and matches no entry; None when no other slug exists."""
        if not self.terms.others:
            return None
        matching = none_of(*map(self._match, range(len(self.terms.entries))))
        return self._asked(self.stamped(self.terms.others), matching)

    def holding(self, slugs: Iterable[str], *extra: str) -> str:
        """What is stamped with any of `slugs` and meets `extra`."""
        return self._asked(self.stamped(slugs), *extra)

    def matching(self, index: int, *extra: str) -> str:
        """What matches the entry, an earlier one or not, and meets `extra`."""
        return self._asked(self._match(index), *extra)

    def up_to(self, index: int, *extra: str) -> str:
        """What matches the entry or an earlier one and meets `extra`."""
        return self._asked(any_of(*map(self._match, range(index + 1))), *extra)

    def stamped(self, slugs: Iterable[str]) -> str:
        """Return the condition of being stamped with any of `slugs`."""
        return f"{self.terms.alias} in {values(slugs)}"

    def id_chunks(self, ids: Iterable[str]) -> Iterator[tuple[list[str], str]]:
        """Yield `ids` in chunks that fit beside the longest question, each with its condition."""
        everything = any_of(*map(self._match, range(len(self.terms.entries))))
        room = URL_BYTES - encoded_length(base(self.keys, all_of(everything, "id in ()")))
        if room < FEWEST_IDS * ID_BYTES:
            raise QueryTooLong(f"a query leaves {room} bytes for ids")
        yield from ((chunk, ids_in(chunk)) for chunk in chunked(ids, room))

    def _unlike(self, slug: str) -> str:
        if slug != self.terms.default:
            return f"{self.terms.alias} != {values([slug])[1:-1]}"
        return self.stamped(self.terms.others) if self.terms.others else ""

    def _match(self, index: int) -> str:
        pages = self.ancestors.get(index)
        return any_of(self.terms.entries[index].cql, f"ancestor in ({', '.join(pages)})" if pages else None)

    def _asked(self, *parts: str) -> str:
        held = f"id not in ({','.join(self.held)})" if self.held else ""
        return _fitting(base(self.keys, all_of(*parts, held)))


@dataclass(frozen=True, slots=True)
class Span:
    """A span of creation times, open where None. Its ends are labels: whatever zone they are read in, spans meet."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def cql(self) -> str:
        """Return the condition, empty for the span of all time."""
        after = f'created >= "{self.since:%Y-%m-%d %H:%M}"' if self.since else None
        before = f'created < "{self.until:%Y-%m-%d %H:%M}"' if self.until else None
        return all_of(after, before)


def ids_in(ids: Iterable[str]) -> str:
    """Return the condition of having one of `ids`."""
    return f"id in ({','.join(ids)})"


def chunked(ids: Iterable[str], room: int) -> Iterator[list[str]]:
    """Yield `ids` in chunks of at most `room` encoded bytes."""
    chunk: list[str] = []
    taken = 0
    for each in ids:
        size = held_bytes([each])
        if chunk and taken + size > room:
            yield chunk
            chunk, taken = [], 0
        chunk.append(each)
        taken += size
    if chunk:
        yield chunk


def held_bytes(ids: Iterable[str]) -> int:
    """Return the encoded bytes that `ids` take in a list."""
    return sum(len(each) + 3 for each in ids)


def longest_query(terms: Terms, *, stamps: bool) -> int:
    """Return the encoded bytes of a scheme's longest query without its spaces, or more than fit where it fits nowhere.

    `stamps`: whether stamps are asked for; otherwise room for ids is counted.
    """
    probe = Group(terms, ("",))
    last = len(terms.entries) - 1
    try:
        asked: list[str | None] = [probe.above(index) for index in range(last + 1) if terms.entries[index].ancestor_cql]
        if last >= 0:
            asked.append(probe.up_to(last, probe.stamped(terms.all_slugs) if stamps else ""))
            asked += [probe.matching(index, probe.stamped(terms.after(index))) for index in range(last + 1)]
        if stamps:
            asked += [probe.leave(), *(probe.enter(index) for index in range(last + 1))]
    except QueryTooLong:
        return URL_BYTES + 1
    longest = max((encoded_length(cql) for cql in asked if cql), default=encoded_length(probe.everything()))
    return longest + (SPAN_BYTES if stamps else 100 * ID_BYTES)


def groups(
    terms: Terms, spaces: Sequence[Space], held: Mapping[str, Collection[str]], *, stamps: bool
) -> Iterator[tuple[list[Space], bool]]:
    """Yield the spaces, in order, in groups whose longest query fits into a URL, each with whether `held` fits too.

    `held`: space id -> ids to be left out of questions about stamps. A space with more of them than fit is a group of
    its own.
    """
    room = URL_BYTES - longest_query(terms, stamps=stamps) - encoded_length(" and (id not in ())")
    group: list[Space] = []
    taken = 0
    for space in spaces:
        key = encoded_length(f"{quote(space.key)}, ")
        size = key + (held_bytes(held.get(space.id, ())) if stamps else 0)
        fits = size <= room or not held.get(space.id) or not stamps
        if group and (not fits or len(group) >= MOST_SPACES or taken + size > room):
            yield group, True
            group, taken = [], 0
        if not fits:
            yield [space], False
            continue
        group.append(space)
        taken += size
    if group:
        yield group, True


def _fitting(cql: str) -> str:
    if encoded_length(cql) > URL_BYTES:
        raise QueryTooLong(f"a query of {encoded_length(cql)} bytes fits into no URL")
    return cql


def without_held(group: Group) -> Group:
    """Return the group's questions with nothing left out."""
    return replace(group, held=())
