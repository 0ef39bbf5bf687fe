"""The CQL of a refresh: a scheme's terms, and the queries about them for one group of spaces.

Every query is `(type in (page, blogpost)) and (space in (…)) and (…)`: in parentheses, never beginning with a negation
(docs/rules/confluence-api.md 8). What an administrator wrote has parentheses of its own. Ids of items whose status is
known without a stamp (they refuse it) are left out of all questions about stamps, so that they cost nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from addon.confluence.cql import (
    Piece,
    Pieces,
    TooManyPieces,
    all_of,
    any_of,
    crossed,
    encoded_length,
    failing,
    holding,
    in_spaces,
    none_of,
    quote,
    values,
    widest,
)
from addon.jobs.counting import chunked, ids_in


@dataclass(frozen=True, slots=True)
class Pair:
    """A set of items and a part of it: what meets all of `within`, and of that what meets `part` as well.

    Asked for are the items that are in the set and not in its part. An empty `part` is met by nothing.
    """

    within: tuple[str, ...]
    part: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a scheme but the last. `pieced`: its CQL is never asked as written, only in pieces (negation.py)."""

    slug: str
    cql: str | None
    ancestor_cql: str | None
    pieced: bool = False

    @property
    def holds(self) -> Pieces:
        """What its own CQL matches."""
        return _holding(self.cql, self.pieced)

    @property
    def fails(self) -> Pieces:
        """What its own CQL does not match."""
        if self.cql is None:
            return (Piece(),)
        try:
            return failing(self.cql) if self.pieced and holding(self.cql) else (Piece(lacks=self.cql),)
        except TooManyPieces:
            return (Piece(lacks=self.cql),)

    @property
    def above(self) -> Pieces:
        """What its ancestor CQL matches."""
        return _holding(self.ancestor_cql, self.pieced)


def _holding(cql: str | None, pieced: bool) -> Pieces:
    if cql is None:
        return ()
    try:
        # What has too many pieces one way is asked as written both ways, so that the answers belong together.
        return holding(cql) if pieced and failing(cql) else (Piece(has=cql),)
    except TooManyPieces:
        return (Piece(has=cql),)


@dataclass(frozen=True, slots=True)
class Terms:
    """One scheme's vocabulary: its entries without the last, its default, and all slugs the tenant ever used."""

    alias: str
    entries: tuple[Entry, ...]
    default: str
    slugs: frozenset[str]
    spelt_not: bool = False
    """Whether a negation of ours is spelled NOT, on a site that reads only that as meant."""

    @property
    def pieced(self) -> bool:
        """Whether the entries' CQL is asked in pieces only."""
        return any(entry.pieced for entry in self.entries)

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


URL_BYTES = 5_500
"""Encoded bytes of one query: there must be room for what else a search's URL carries."""
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
class Group:
    """The queries about some spaces of one scheme. `ancestors`: entry index -> topmost pages its ancestor CQL found.

    `left_out`: ids that no question is to return. All methods that return a query raise QueryTooLong.
    """

    terms: Terms
    keys: tuple[str, ...]
    ancestors: Mapping[int, Sequence[str]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def whole(self) -> Group:
        """Return the same questions with nothing left out of them."""
        return replace(self, left_out=())

    def everything(self, keys: Collection[str] | None = None) -> str:
        """All current pages and blog posts, of all spaces or of those with `keys`."""
        return in_spaces(self.keys if keys is None else keys)

    def direct(self, index: int) -> list[Pair]:
        """What the entry's own CQL matches."""
        return [Pair((piece.has,), piece.lacks) for piece in self.terms.entries[index].holds]

    def above(self, index: int) -> list[Pair]:
        """The pages whose descendants inherit the entry's status."""
        return [Pair(("type in (page)", piece.has), piece.lacks) for piece in self.terms.entries[index].above]

    def holds(self, index: int) -> Pieces:
        """What matches the entry, an earlier one or not."""
        pages = self._inherited(index)
        return (*self.terms.entries[index].holds, *((Piece(has=pages),) if pages else ()))

    def fails(self, index: int) -> Pieces:
        """What does not match the entry."""
        pages = self._inherited(index)
        fails = self.terms.entries[index].fails
        return crossed(fails, (Piece(lacks=pages),)) if pages else fails

    def matching(self, index: int, *extra: str) -> list[Pair]:
        """What matches the entry, an earlier one or not, and meets `extra`."""
        return [Pair((piece.has, *extra), piece.lacks) for piece in self.holds(index)]

    def enter(self, index: int) -> str | None:
        """What matches the entry and no earlier one and is not stamped so; None when nothing can match."""
        wanted = self._match(index)
        unlike = self._unlike(self.terms.entries[index].slug)
        if not wanted or not unlike:
            return None
        earlier = none_of(*map(self._match, range(index)))
        return self.asked(wanted, earlier, unlike)

    def leave(self) -> str | None:
        """What is stamped with any slug but the default's and matches no entry; None when no other slug exists."""
        if not self.terms.others:
            return None
        matching = none_of(*map(self._match, range(len(self.terms.entries))))
        return self.asked(self.stamped(self.terms.others), matching)

    def having_stamp(self, slugs: Iterable[str]) -> str:
        """What is stamped with any of `slugs`."""
        return self.asked(self.stamped(slugs))

    def entering(self, index: int) -> list[Pair]:
        """What matches the entry and is stamped neither so nor with an earlier entry's slug."""
        rather = self.stamped(entry.slug for entry in self.terms.entries[: index + 1])
        return [Pair((piece.has,), any_of(rather, piece.lacks)) for piece in self.holds(index)]

    def leaving(self, index: int) -> list[Pair]:
        """What is stamped with the entry's slug and does not match it."""
        stamped = self.stamped([self.terms.entries[index].slug])
        return [Pair((stamped, piece.has), piece.lacks) for piece in self.fails(index)]

    def rightly(self) -> str:
        """What is stamped with an entry's slug and meets what all of its items meet."""
        mains = [next((piece.lacks for piece in self.fails(i) if not piece.has), "") for i in self._indices]
        return any_of(*(all_of(self.stamped([e.slug]), mains[i]) for i, e in enumerate(self.terms.entries)))

    def suspect(self) -> str:
        """What is stamped with an entry's slug and might have to leave it: for itself, or for an earlier one."""
        found: list[str] = []
        for index, entry in enumerate(self.terms.entries):
            leaving = any_of(*(piece.has for piece in self.fails(index)))
            found.append(all_of(self.stamped([entry.slug]), leaving) if leaving else "")
            later = [each.slug for each in self.terms.entries[index + 1 :]]
            if later and self.holds(index):
                found.append(all_of(self.stamped(later), widest(self.holds(index))))
        return any_of(*found)

    def widest(self, last: int | None = None) -> str:
        """Return a condition that all matches of the entries, or of those up to `last`, meet; empty: everything is."""
        return widest(
            piece for index in self._indices[: None if last is None else last + 1] for piece in self.holds(index)
        )

    def asked(self, *parts: str) -> str:
        """Return the query of what meets all of `parts` in these spaces, without what is left out."""
        others = f"id not in ({','.join(self.left_out)})" if self.left_out else ""
        return _fitting(in_spaces(self.keys, all_of(*parts, others)))

    def stamped(self, slugs: Iterable[str]) -> str:
        """Return the condition of being stamped with any of `slugs`."""
        return f"{self.terms.alias} in {values(slugs)}"

    def id_chunks(self, ids: Iterable[str], *others: Pieces) -> Iterator[tuple[list[str], str]]:
        """Yield `ids` in chunks that fit next to the longest question, each with its condition.

        `others`: pieces that are asked about in addition to those of the entries.
        """
        pieces = [piece for pieces in (*map(self.holds, self._indices), *others) for piece in pieces]
        longest = max((encoded_length(all_of(piece.has, piece.lacks)) for piece in pieces), default=0)
        longest = max(longest, encoded_length(self.widest()))
        room = URL_BYTES - longest - encoded_length(in_spaces(self.keys, all_of("id in ()", "x")))
        if room < FEWEST_IDS * ID_BYTES:
            raise QueryTooLong(f"a query leaves {room} bytes for ids")
        yield from ((chunk, ids_in(chunk)) for chunk in chunked(ids, room))

    @property
    def _indices(self) -> range:
        return range(len(self.terms.entries))

    def _inherited(self, index: int) -> str:
        pages = self.ancestors.get(index)
        return f"ancestor in ({', '.join(pages)})" if pages else ""

    def _unlike(self, slug: str) -> str:
        if slug != self.terms.default:
            same = f"{self.terms.alias} = {quote(slug)}"
            return none_of(same) if self.terms.spelt_not else same.replace(" = ", " != ", 1)
        return self.stamped(self.terms.others) if self.terms.others else ""

    def _match(self, index: int) -> str:
        return any_of(self.terms.entries[index].cql, self._inherited(index))


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


def _fitting(cql: str) -> str:
    if encoded_length(cql) > URL_BYTES:
        raise QueryTooLong(f"a query of {encoded_length(cql)} bytes fits into no URL")
    return cql
