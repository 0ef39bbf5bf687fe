"""How is a question about statuses put to Confluence? All CQL of a refresh is written here.

Every query is `(type in (page, blogpost)) and (space in (…)) and (…)`: parenthesised, never beginning with a negation
(confluence-api.md 8). What an administrator wrote stands in its own parentheses.

Known limit: on a site where `alias != "x"` finds only contents that have the property ("exclusive"), contents never
stamped are not found by `enter`. They keep no stamp, which is never a wrong one; the probe of PROTOCOLS.md 5 and the
positive clauses for such sites come with the cost work on statuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from addon.base import Space
from addon.confluence.queries import all_of, any_of, base, encoded_length, group_spaces, none_of, values

URL_BYTES = 5_500
"""Encoded bytes of one query: what else a search's URL carries must fit beside it."""


class QueryTooLong(Exception):
    """The query does not fit into a URL: ask for fewer spaces, or list instead."""


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
    def others(self) -> list[str]:
        """Every slug that is not the default's, in a fixed order: what a content may have to leave."""
        known = self.slugs | {entry.slug for entry in self.entries}
        return sorted(known - {self.default})


@dataclass(frozen=True, slots=True)
class Group:
    """The queries about some spaces of one scheme. `ancestors`: entry index -> topmost pages its ancestor CQL found."""

    terms: Terms
    keys: tuple[str, ...]
    ancestors: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def everything(self, keys: Collection[str] | None = None) -> str:
        """All current pages and blog posts, of all spaces or of those with `keys`."""
        return base(self.keys if keys is None else keys)

    def direct(self, index: int) -> str:
        """What the entry's own CQL matches."""
        return base(self.keys, self.terms.entries[index].cql)

    def above(self, index: int) -> str:
        """The pages whose descendants inherit the entry's status."""
        return all_of(base(self.keys, "type in (page)"), self.terms.entries[index].ancestor_cql)

    def enter(self, index: int) -> str | None:
        """What matches the entry and no earlier one and is not stamped so; None when nothing can match.

        Raises QueryTooLong.
        """
        wanted = self._match(index)
        unlike = self._unlike(self.terms.entries[index].slug)
        if not wanted or not unlike:
            return None
        earlier = none_of(*map(self._match, range(index)))
        return _fitting(base(self.keys, all_of(wanted, earlier, unlike)))

    def leave(self) -> str | None:
        """What is stamped with any slug but the default's and matches no entry; None when no other slug exists.

        Raises QueryTooLong.
        """
        if not self.terms.others:
            return None
        matching = none_of(*map(self._match, range(len(self.terms.entries))))
        return _fitting(base(self.keys, all_of(self._stamped(self.terms.others), matching)))

    def holding(self, slug: str) -> str:
        """What is stamped with `slug`."""
        return base(self.keys, self._stamped([slug]))

    def _stamped(self, slugs: Iterable[str]) -> str:
        return f"{self.terms.alias} in {values(slugs)}"

    def _unlike(self, slug: str) -> str:
        if slug != self.terms.default:
            return f"{self.terms.alias} != {values([slug])[1:-1]}"
        return self._stamped(self.terms.others) if self.terms.others else ""

    def _match(self, index: int) -> str:
        pages = self.ancestors.get(index)
        return any_of(self.terms.entries[index].cql, f"ancestor in ({', '.join(pages)})" if pages else None)


def groups(terms: Terms, spaces: Sequence[Space]) -> list[list[Space]]:
    """Return the spaces, in order, in groups whose longest query fits into a URL."""
    probe = Group(terms, ("",))
    try:
        asked = [probe.leave(), *(probe.enter(index) for index in range(len(terms.entries)))]
    except QueryTooLong:
        return [[space] for space in spaces]
    longest = max((encoded_length(cql) for cql in asked if cql), default=0)
    return list(group_spaces(spaces, longest, url_bytes=URL_BYTES))


def _fitting(cql: str) -> str:
    if encoded_length(cql) > URL_BYTES:
        raise QueryTooLong(f"a query of {encoded_length(cql)} bytes fits into no URL")
    return cql
