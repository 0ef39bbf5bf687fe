"""The plans of a run: groups of spaces of one scheme, as large as a URL allows, and the way each is asked.

An ancestor CQL finds few pages in many spaces, and its query is short. So it names as many spaces as fit into a URL and
is asked once for several groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from addon.base import Space
from addon.confluence import Content, SiteClient
from addon.confluence.cql import MOST_SPACES, Spelling, encoded_length, group_spaces, others_fields, quote, with_not
from addon.engine.job import Run, RunSpace
from addon.jobs import ledger
from addon.jobs.counting import ids_bytes
from addon.jobs.faults import reason_of
from addon.jobs.spaces import Member
from addon.jobs.statuses.ask import clauses
from addon.jobs.statuses.ask.clauses import (
    ID_BYTES,
    SPAN_BYTES,
    URL_BYTES,
    Entry,
    Group,
    Pair,
    QueryTooLong,
    Terms,
)
from addon.jobs.statuses.ask.reading import Plan, Way, differences, topmost
from addon.jobs.statuses.stamp import property_key, status_alias
from addon.policies import PolicyDocument, StatusScheme

COUNTED = "counted"
"""Key of a space's checkpoint: its items are in the run's contentsChecked, so that a later owner adds none again."""


class Planner:
    """Makes the plans of one run. Belongs to the runner thread."""

    def __init__(
        self, run: Run, policy: PolicyDocument, namespace: str, slugs: frozenset[str], spelling: Spelling
    ) -> None:
        """Parameters: `slugs` are all that the tenant ever used, `spelling` how negations are put to the site."""
        self._run = run
        self._policy = policy
        self._key = property_key(namespace)
        self._alias = status_alias(namespace)
        self._slugs = slugs
        self._stamps = policy.status_stamps
        self._namespace = namespace
        self._spelling: Spelling = spelling
        with run.read() as session:
            now = run.clock.now()
            # Read once: no space is read again after it was written, so what refuses its stamp meanwhile is for the
            # next run.
            self._unstamped = ledger.resting(session, now) if self._stamps else ledger.answered_for(session, now)

    def plans(self, members: Iterable[Member]) -> list[Plan]:
        """Return the plans for some spaces: together where they have the same scheme and their queries fit."""
        by_scheme: dict[str, tuple[Terms, list[Member]]] = {}
        for member in members:
            scheme = self._policy.status_scheme(member.space)
            if scheme.id not in by_scheme:
                by_scheme[scheme.id] = self._terms(scheme), []
            by_scheme[scheme.id][1].append(member)
        return [plan for terms, own in by_scheme.values() for plan in self._of_scheme(terms, own)]

    def split(self, plan: Plan, parts: int) -> list[Plan]:
        """Return plans for `parts` equal parts of one's spaces, of which there must be as many at least."""
        number = len(plan.spaces)
        cuts = [number * part // parts for part in range(parts + 1)]
        return [self._plan(plan.terms, plan.spaces[start:end], plan.way) for start, end in pairwise(cuts)]

    def only(self, plan: Plan, spaces: Sequence[RunSpace]) -> list[Plan]:
        """Return the plan for some of one's spaces, none without any."""
        return [self._plan(plan.terms, spaces, plan.way)] if spaces else []

    def _of_scheme(self, terms: Terms, members: Sequence[Member]) -> Iterable[Plan]:
        run_spaces = {member.space.id: member.run_space for member in members}
        spaces: list[Space] = [member.space for member in members]
        for group, fits in groups(terms, spaces, self._unstamped, stamps=self._stamps):
            way: Way = "positive" if terms.pieced else "stamped"
            yield self._plan(
                terms, [run_spaces[space.id] for space in group], way if fits and self._stamps else "ledger"
            )

    def _terms(self, scheme: StatusScheme) -> Terms:
        texts = [text for entry in scheme.entries[:-1] for text in (entry.cql, entry.ancestor_cql) if text is not None]
        # In what other apps keep, NOT over a whole entry may miss content as well.
        pieced = self._spelling == "pieces" or any(others_fields(text, self._namespace) for text in texts)
        spelt_not = self._spelling == "not" and not pieced
        entries = tuple(
            Entry(
                entry.status,
                with_not(entry.cql) if spelt_not and entry.cql else entry.cql,
                with_not(entry.ancestor_cql) if spelt_not and entry.ancestor_cql else entry.ancestor_cql,
                pieced,
            )
            for entry in scheme.entries[:-1]
        )
        return Terms(self._alias, entries, scheme.default_status, self._slugs, spelt_not=spelt_not)

    def _plan(self, terms: Terms, spaces: Sequence[RunSpace], way: Way) -> Plan:
        slugs = sorted({entry.slug for entry in terms.entries} - {terms.default})
        ids = [space.id for space in spaces]
        now = self._run.clock.now()
        with self._run.read() as session:
            expected = ledger.expectations(session, ids, slugs, now)
            own = way == "ledger" and self._stamps
            known: Mapping[str, Mapping[str, str]] = ledger.answered_for(session, now, ids) if own else self._unstamped
        return Plan(
            terms,
            tuple(spaces),
            self._key,
            expected,
            to_count=tuple(space.key for space in spaces if not counted(space)),
            space_ids_by_name={space.id: space.id for space in spaces} | {space.key: space.id for space in spaces},
            way=way,
            unstamped={content_id: slug for id in ids for content_id, slug in known.get(id, {}).items()},
            may_list=self._policy.list_large_spaces,
        )


def longest_query(terms: Terms, *, stamps: bool) -> int:
    """Return the encoded bytes of a scheme's longest query without its spaces, or more than fit where it fits nowhere.

    `stamps`: whether stamps are asked for; otherwise room for a hundred ids is counted. Measured by making the queries,
    so that no second description of them can be wrong.
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
        yield group.asked(*pair.within, pair.part)


def groups(
    terms: Terms, spaces: Sequence[Space], unstamped: Mapping[str, Collection[str]], *, stamps: bool
) -> Iterator[tuple[list[Space], bool]]:
    """Yield the spaces, in order, in groups whose longest query fits into a URL, each with whether `unstamped` fits.

    `unstamped`: space id -> ids to be left out of questions about stamps. A space with more of them than fit is a group
    of its own.
    """
    room = clauses.URL_BYTES - longest_query(terms, stamps=stamps) - encoded_length(" and (id not in ())")
    group: list[Space] = []
    taken = 0
    for space in spaces:
        # What refuses its stamp is left out of the queries about stamps, which would return it at every run, for a
        # point each time. A space with more such ids than fit into a query is asked by the ledger, which needs no
        # exceptions.
        key = encoded_length(f"{quote(space.key)}, ")
        size = key + (ids_bytes(unstamped.get(space.id, ())) if stamps else 0)
        fits = size <= room or not unstamped.get(space.id) or not stamps
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
        return list(differences(client, group, group.above(question.index), ("ancestors", "space")))

    asked = [question for terms, own in shared.items() for question in _questions(terms, own)]
    for question, pages in run.map(ask, asked):
        if isinstance(pages, Exception):
            reason_of(pages)
            failed.add(question.terms)
        else:
            found.setdefault((question.terms, question.index), []).extend(pages)

    def ancestors(plan: Plan) -> dict[int, list[str]]:
        return {
            index: topmost([page for page in pages if plan.space_of(page) is not None])
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
            alone = max(encoded_length(probe.asked(*pair.within, pair.part)) for pair in probe.above(index))
            for group in group_spaces(spaces, alone, most=len(spaces), url_bytes=URL_BYTES):
                yield _Question(terms, index, tuple(space.key for space in group))


def counted(space: RunSpace) -> bool:
    """Return whether the space's items are already in the run's contentsChecked."""
    return bool(space.checkpoint and space.checkpoint.get(COUNTED))
