"""Do contents whose status only the ledger knows still have it? Contents that refuse the stamp, or a whole space.

Their ids are asked for in chunks, one point for some hundred of them: a count that is the number of ids asked for
proves that nothing changed. No question is negated, so the answer is right on every site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from addon.confluence.content import Content
from addon.jobs.statuses.clauses import Halve, without_held
from addon.jobs.statuses.reading import Questions


def check(asked: Questions) -> None:
    """Find those of the plan's held contents that have another status now.

    Raises QueryTooLong, and SiteError as the calls do.
    """
    group, terms = without_held(asked.group), asked.plan.terms
    for slug, ids in _by_slug(asked.plan.held).items():
        index = terms.position(slug)
        for chunk, condition in group.id_chunks(ids):
            if index is None:
                last = len(terms.entries) - 1
                same = last < 0 or asked.counting.number(group.up_to(last, condition)) == 0
                same = same and slug == terms.default
            else:
                same = asked.counting.number(group.up_to(index, condition)) == len(chunk)
                same = same and (index == 0 or asked.counting.number(group.up_to(index - 1, condition)) == 0)
            if not same:
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
        if asked.plan.held.get(content.id) != slug:
            asked.propose(content, slug)
    asked.reading.absent |= {id for id, slug in _not_default(asked).items() if id not in shown}


def judge(asked: Questions, ids: Iterable[str]) -> dict[str, tuple[Content, str]]:
    """Return which of the contents match an entry, each with the slug of the first.

    Raises QueryTooLong, and SiteError as the calls do.
    """
    found: dict[str, tuple[Content, str]] = {}
    for _, condition in without_held(asked.group).id_chunks(ids):
        found |= _match_lists(asked, condition)
    return found


def _judge_again(asked: Questions, ids: Iterable[str]) -> None:
    found = judge(asked, ids)
    held = _not_default(asked)
    for content, slug in found.values():
        if asked.plan.held[content.id] != slug:
            asked.propose(content, slug)
    asked.reading.absent |= {id for id in ids if id in held and id not in found}


def _as_known(asked: Questions) -> bool:
    group, terms = asked.group, asked.plan.terms
    known = _by_slug(_not_default(asked))
    if set(known) - {entry.slug for entry in terms.entries}:
        return False
    expected = 0
    for index, entry in enumerate(terms.entries):
        expected += len(known.get(entry.slug, ()))
        if asked.counting.number(group.up_to(index)) != expected:
            return False
    for slug, ids in known.items():
        index = terms.position(slug) or 0
        for chunk, condition in group.id_chunks(ids):
            if asked.counting.number(group.up_to(index, condition)) != len(chunk):
                return False
    return True


def _match_lists(asked: Questions, condition: str) -> dict[str, tuple[Content, str]]:
    group = without_held(asked.group)
    found: dict[str, tuple[Content, str]] = {}
    for index, entry in enumerate(asked.plan.terms.entries):
        for content in asked.client.search(group.matching(index, condition), expand=("space",)):
            found.setdefault(content.id, (content, entry.slug))
    return found


def _not_default(asked: Questions) -> dict[str, str]:
    return {id: slug for id, slug in asked.plan.held.items() if slug != asked.plan.terms.default}


def _by_slug(held: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for content_id, slug in held.items():
        found.setdefault(slug, []).append(content_id)
    return found
