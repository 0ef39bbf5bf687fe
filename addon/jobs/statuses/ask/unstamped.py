"""The items whose status only the ledger knows: those that refuse the stamp, or a whole space without stamps.

Their ids are asked for in chunks, one point for some hundred of them: a count that is the number of ids asked for
proves that nothing changed. No question is negated, so the answer is right on every site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import combinations

from addon.confluence import Content
from addon.confluence.cql import Pieces, TooManyPieces, any_of, crossed, widest
from addon.jobs.statuses.ask.clauses import Group, Halve
from addon.jobs.statuses.ask.reading import Questions, differences

MOST_SHARED = 4
"""So many overlapping sets are counted by what they share, in at most thirty questions; more are listed."""


def check(asked: Questions) -> None:
    """Find those of the plan's unstamped items that have another status now.

    Raises QueryTooLong, and SiteError as the calls do.
    """
    group, terms = asked.group.whole(), asked.plan.terms
    for slug, ids in _by_slug(asked.plan.unstamped).items():
        index = terms.position(slug)
        earlier = _union(group, len(terms.entries) if index is None else index)
        fails = () if index is None else group.fails(index)
        for chunk, condition in group.id_chunks(ids, earlier, fails):
            same = slug == terms.default if index is None else _all_match(asked, group, fails, condition, len(chunk))
            if not same or not _none_match(asked, group, earlier, condition):
                _judge_again(asked, chunk)


def read(asked: Questions) -> None:
    """Compare everything the ledger knows of the plan's spaces with what matches now.

    The numbers of what matches the first, the first two, … entries must be those of the ledger, and all ids of a
    status must be among what matches its entry or an earlier one; then the sets are equal. Where they are not, a
    group is halved down to single spaces and there what matches is listed.
    Raises Halve for a group of several spaces, QueryTooLong, and SiteError as the calls do.
    """
    if _as_known(asked):
        return
    if len(asked.plan.spaces) > 1:
        raise Halve("something differs from the ledger in these spaces")
    shown = _match_lists(asked, "")
    for content, slug in shown.values():
        if asked.plan.unstamped.get(content.id) != slug:
            asked.propose(content, slug)
    asked.reading.unmatched |= {id for id, slug in _not_default(asked).items() if id not in shown}


def judge(asked: Questions, ids: Iterable[str]) -> dict[str, tuple[Content, str]]:
    """Return which of the items match an entry, each with the slug of the first.

    Raises QueryTooLong, and SiteError as the calls do.
    """
    found: dict[str, tuple[Content, str]] = {}
    for _, condition in asked.group.whole().id_chunks(ids):
        found |= _match_lists(asked, condition)
    return found


def _judge_again(asked: Questions, ids: Iterable[str]) -> None:
    found = judge(asked, ids)
    expected = _not_default(asked)
    for content, slug in found.values():
        if asked.plan.unstamped[content.id] != slug:
            asked.propose(content, slug)
    asked.reading.unmatched |= {id for id in ids if id in expected and id not in found}


def _as_known(asked: Questions) -> bool:
    group, terms = asked.group, asked.plan.terms
    known = _by_slug(_not_default(asked))
    if set(known) - {entry.slug for entry in terms.entries}:
        return False
    # Sets are equal when one lies within the other and both have the same size. The sizes first, one count for each
    # entry: what matches the first i entries together must be as many as the ledger has with their statuses.
    expected = 0
    for index, entry in enumerate(terms.entries):
        expected += len(known.get(entry.slug, ()))
        if not _has_number(asked, group, _union(group, index + 1), expected):
            return False
    # Then the ids: each must match its own entry or an earlier one. If it matched an earlier one, the sizes would have
    # shown that: there is one more of these than the ledger has.
    for slug, ids in known.items():
        try:
            fails = reduce(crossed, map(group.fails, range((terms.position(slug) or 0) + 1)))
        except TooManyPieces:
            return False
        for chunk, condition in group.id_chunks(ids, fails):
            if not _all_match(asked, group, fails, condition, len(chunk)):
                return False
    return True


def _union(group: Group, number: int) -> Pieces:
    """Return the pieces of what matches any of the first `number` entries."""
    return tuple(piece for index in range(number) for piece in group.holds(index))


def _has_number(asked: Questions, group: Group, pieces: Pieces, expected: int) -> bool:
    """Return whether the pieces together are `expected` items, or at most so many where that is all they can be.

    Numbers of sets that overlap are added up and those of what they share taken off; many of them are not counted.
    """
    if not pieces:
        return expected == 0
    if asked.counting.count_or_read(group.asked(widest(pieces))) == expected:
        return True
    if len(pieces) > MOST_SHARED or not any(piece.lacks for piece in pieces):
        return False
    # Inclusion and exclusion: without an OR over negated pieces, the size of a union is the sum of the single sizes,
    # less what two share, plus what three share, and so on.
    number = 0
    for size in range(1, len(pieces) + 1):
        for some in combinations(pieces, size):
            has = [piece.has for piece in some]
            lacks = any_of(*(piece.lacks for piece in some))
            shared = asked.counting.count_or_read(group.asked(*has))
            shared -= asked.counting.count_or_read(group.asked(*has, lacks)) if lacks and shared else 0
            number += shared if size % 2 else -shared
    return number == expected


def _all_match(asked: Questions, group: Group, fails: Pieces, condition: str, number: int) -> bool:
    """Return whether as many items meet the condition as are expected, and none of them is in `fails`."""
    main = next((piece for piece in fails if not piece.has), None)
    if main is not None and not main.lacks:
        return number == 0
    if asked.counting.count_or_read(group.asked(condition, main.lacks if main is not None else "")) != number:
        return False
    return _none_match(asked, group, tuple(piece for piece in fails if piece.has), condition)


def _none_match(asked: Questions, group: Group, pieces: Pieces, condition: str) -> bool:
    """Return whether nothing that meets the condition is in any of `pieces`."""
    if not pieces or asked.counting.count_or_read(group.asked(condition, widest(pieces))) == 0:
        return True
    for piece in pieces:
        number = asked.counting.count_or_read(group.asked(condition, piece.has))
        if number and (
            not piece.lacks or asked.counting.count_or_read(group.asked(condition, piece.has, piece.lacks)) < number
        ):
            return False
    return True


def _match_lists(asked: Questions, condition: str) -> dict[str, tuple[Content, str]]:
    group = asked.group.whole()
    found: dict[str, tuple[Content, str]] = {}
    for index, entry in enumerate(asked.plan.terms.entries):
        for content in differences(asked.client, group, group.matching(index, condition), ("space",)):
            found.setdefault(content.id, (content, entry.slug))
    return found


def _not_default(asked: Questions) -> dict[str, str]:
    return {id: slug for id, slug in asked.plan.unstamped.items() if slug != asked.plan.terms.default}


def _by_slug(unstamped: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for content_id, slug in unstamped.items():
        found.setdefault(slug, []).append(content_id)
    return found
