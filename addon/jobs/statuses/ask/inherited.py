"""Which pages hand their status down, in all groups of a scheme at once?

An ancestor CQL finds few pages in many spaces. Its query is short, so it names as many spaces as fit into a URL and
is asked once for several groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from addon.confluence import Content, SiteClient
from addon.confluence.cql import encoded_length, group_spaces
from addon.engine.job import Run
from addon.jobs.faults import reason_of
from addon.jobs.statuses.ask.clauses import URL_BYTES, Group
from addon.jobs.statuses.ask.pairs import listed
from addon.jobs.statuses.ask.reading import Plan, topmost
from addon.jobs.statuses.ask.terms import Terms


@dataclass(frozen=True, slots=True)
class _Question:
    """The ancestor CQL of one entry, in some spaces."""

    terms: Terms
    index: int
    keys: tuple[str, ...]

    @property
    def group(self) -> Group:
        return Group(self.terms, self.keys)


def with_ancestors(run: Run, client: SiteClient, plans: Sequence[Plan]) -> list[Plan]:
    """Return the plans, those of several groups of one scheme with the pages whose descendants inherit.

    Where such a query fails, the scheme's plans come back as they were: each asks for itself then, so that a space
    that cannot be asked keeps no other from its answer. Raises what concerns the run: Pause, Abandon or Fatal.
    """
    by_terms: dict[Terms, list[Plan]] = {}
    for plan in plans:
        if any(entry.ancestor_cql for entry in plan.terms.entries):
            by_terms.setdefault(plan.terms, []).append(plan)
    shared = {terms: own for terms, own in by_terms.items() if len(own) > 1}
    found: dict[tuple[Terms, int], list[Content]] = {}
    failed: set[Terms] = set()

    def ask(question: _Question) -> list[Content]:
        group = question.group
        return list(listed(client, group, group.above(question.index), ("ancestors", "space")))

    asked = [question for terms, own in shared.items() for question in _questions(terms, own)]
    for question, pages in run.map(ask, asked):
        if isinstance(pages, Exception):
            reason_of(pages)
            failed.add(question.terms)
        else:
            found.setdefault((question.terms, question.index), []).extend(pages)

    def ancestors(plan: Plan) -> dict[int, list[str]]:
        return {
            index: topmost([page for page in pages if plan.place(page) is not None])
            for (terms, index), pages in found.items()
            if terms == plan.terms
        }

    answered = shared.keys() - failed
    return [replace(plan, ancestors=ancestors(plan)) if plan.terms in answered else plan for plan in plans]


def _questions(terms: Terms, plans: Sequence[Plan]) -> Iterator[_Question]:
    spaces = [space for plan in plans for space in plan.spaces]
    for index, entry in enumerate(terms.entries):
        if entry.ancestor_cql:
            probe = Group(terms, ("",))
            alone = max(encoded_length(probe.asked(*pair.within, pair.besides)) for pair in probe.above(index))
            for group in group_spaces(spaces, alone, most=len(spaces), url_bytes=URL_BYTES):
                yield _Question(terms, index, tuple(space.key for space in group))
