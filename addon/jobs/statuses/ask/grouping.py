"""Spaces that are asked about together: as many as fit into a URL beside the longest question about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from addon.base import Space
from addon.confluence.cql import MOST_SPACES, encoded_length, quote
from addon.jobs.statuses.ask import clauses
from addon.jobs.statuses.ask.clauses import ID_BYTES, SPAN_BYTES, Group, QueryTooLong, held_bytes
from addon.jobs.statuses.ask.terms import Pair, Terms


def longest_query(terms: Terms, *, stamps: bool) -> int:
    """Return the encoded bytes of a scheme's longest query without its spaces, or more than fit where it fits nowhere.

    `stamps`: whether stamps are asked for; otherwise room for ids is counted.
    """
    probe = Group(terms, ("",))
    indices = range(len(terms.entries))
    try:
        asked: list[str | None] = [cql for index in indices for cql in _both(probe, probe.above(index))]
        if terms.entries:
            asked.append(probe.asked(probe.widest(), probe.stamped(terms.all_slugs) if stamps else ""))
        if stamps and terms.pieced:
            asked += [probe.asked(probe.rightly()), probe.asked(probe.suspect())]
            asked += [cql for i in indices for cql in _both(probe, [*probe.entering(i), *probe.leaving(i)])]
        elif stamps:
            asked += [probe.leave(), *map(probe.enter, indices)]
            asked += [probe.asked(probe.widest(i), probe.stamped(terms.after(i))) for i in indices]
    except QueryTooLong:
        return clauses.URL_BYTES + 1
    longest = max((encoded_length(cql) for cql in asked if cql), default=encoded_length(probe.everything()))
    return longest + (SPAN_BYTES if stamps else 100 * ID_BYTES)


def _both(group: Group, pairs: Iterable[Pair]) -> Iterator[str]:
    for pair in pairs:
        yield group.asked(*pair.within, pair.besides)


def groups(
    terms: Terms, spaces: Sequence[Space], held: Mapping[str, Collection[str]], *, stamps: bool
) -> Iterator[tuple[list[Space], bool]]:
    """Yield the spaces, in order, in groups whose longest query fits into a URL, each with whether `held` fits too.

    `held`: space id -> ids to be left out of questions about stamps. A space with more of them than fit is a group of
    its own.
    """
    room = clauses.URL_BYTES - longest_query(terms, stamps=stamps) - encoded_length(" and (id not in ())")
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
