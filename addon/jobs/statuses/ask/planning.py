"""Which spaces are asked about together, and how? Groups of one scheme, as large as a URL allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from addon.base import Space
from addon.confluence.cql import Spelling, others_fields, with_not
from addon.engine.job import Run, RunSpace
from addon.jobs import ledger
from addon.jobs import spaces as scope
from addon.jobs.statuses.ask.grouping import groups
from addon.jobs.statuses.ask.reading import Plan, Way
from addon.jobs.statuses.ask.terms import Entry, Terms
from addon.jobs.statuses.write.board import counted
from addon.jobs.statuses.write.stamp import property_key, status_alias
from addon.policies import PolicyDocument
from addon.policies.document import StatusScheme


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
            self._held = ledger.resting(session, now) if self._stamps else ledger.answered_for(session, now)

    def plans(self, members: Iterable[scope.Member]) -> list[Plan]:
        """Return the plans for some spaces: together where they have the same scheme and their queries fit."""
        by_scheme: dict[str, tuple[Terms, list[scope.Member]]] = {}
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

    def _of_scheme(self, terms: Terms, members: Sequence[scope.Member]) -> Iterable[Plan]:
        run_spaces = {member.space.id: member.run_space for member in members}
        spaces: list[Space] = [member.space for member in members]
        for group, fits in groups(terms, spaces, self._held, stamps=self._stamps):
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
            held: Mapping[str, Mapping[str, str]] = ledger.answered_for(session, now, ids) if own else self._held
        return Plan(
            terms,
            tuple(spaces),
            self._key,
            expected,
            uncounted=tuple(space.key for space in spaces if not counted(space)),
            places={space.id: space.id for space in spaces} | {space.key: space.id for space in spaces},
            way=way,
            held={content_id: slug for id in ids for content_id, slug in held.get(id, {}).items()},
            may_list=self._policy.list_large_spaces,
        )
