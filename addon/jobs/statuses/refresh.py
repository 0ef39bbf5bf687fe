"""How does a refresh go through its spaces? Groups are read concurrently, then each group's changes are written.

A group whose queries fail is halved, down to single spaces; a single space that fails fails alone. All database work
happens here on the runner thread, all calls on the call threads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from addon.confluence import SiteClient
from addon.engine.job import CancelRequested, Interrupted, Run, RunSpace
from addon.engine.models import JobExecution
from addon.jobs import scope
from addon.jobs.faults import SITE_FAULTS, STOPS, Reason, reason_of
from addon.jobs.parts import JobParts
from addon.jobs.statuses import ledger
from addon.jobs.statuses.board import Board, counted
from addon.jobs.statuses.clauses import Entry, QueryTooLong, Terms, groups
from addon.jobs.statuses.deciding import Decided, Known, decide
from addon.jobs.statuses.excluded import clear_excluded
from addon.jobs.statuses.missing import find_missing
from addon.jobs.statuses.reading import Plan, Reading, read_group
from addon.jobs.statuses.stamp import Status, property_key, status_alias
from addon.jobs.statuses.stamping import Change, Outcome, Stamper
from addon.policies import PolicyDocument

log = logging.getLogger(__name__)

LIMITED = 429


class Refresh:
    """One call of the job's `work`."""

    def __init__(self, parts: JobParts, run: Run) -> None:
        """Read the policies of the run's version."""
        self._parts = parts
        self._run = run
        self._client: SiteClient = parts.client(run)
        self._key = property_key(parts.settings.namespace)
        self._policy: PolicyDocument = parts.policy(run)
        self._statuses = {
            status.id: Status(status.id, status.name, status.description, status.icon)
            for status in self._policy.statuses
        }
        with run.read() as session:
            self._slugs = frozenset(parts.policies.slugs(session, run.tenant_id))
            began = session.scalars(sa.select(JobExecution.started_at).where(JobExecution.id == run.execution_id)).one()
            self._trusting = ledger.untouched(session, began)

    def work(self, spaces: Sequence[RunSpace]) -> None:
        """Bring the spaces to done, failed or skipped."""
        live = self._parts.live_policy(self._run)
        plans = self._plans(scope.skip(self._run, scope.members(self._client, live, spaces)))
        while plans:
            smaller: list[Plan] = []
            for plan, reading in self._run.map(self._read, plans):
                if isinstance(reading, Exception):
                    smaller += self._not_read(plan, reading)
                else:
                    self._write(plan, reading)
            plans = smaller
        if self._run.scope == "site" and self._run.trigger != "retry" and "spaces" not in self._run.params:
            clear_excluded(self._parts, self._run, self._client, self._key)

    def _plans(self, members: Iterable[scope.Member]) -> list[Plan]:
        alias = status_alias(self._parts.settings.namespace)
        by_scheme: dict[str, tuple[Terms, list[scope.Member]]] = {}
        for member in members:
            scheme = self._policy.status_scheme(member.space)
            if scheme.id not in by_scheme:
                entries = tuple(Entry(entry.status, entry.cql, entry.ancestor_cql) for entry in scheme.entries[:-1])
                by_scheme[scheme.id] = Terms(alias, entries, scheme.default_status, self._slugs), []
            by_scheme[scheme.id][1].append(member)
        plans: list[Plan] = []
        for terms, own in by_scheme.values():
            run_spaces = {member.space.id: member.run_space for member in own}
            for group in groups(terms, [member.space for member in own]):
                plans.append(self._plan(terms, [run_spaces[space.id] for space in group]))
        return plans

    def _plan(self, terms: Terms, spaces: Sequence[RunSpace]) -> Plan:
        slugs = sorted({entry.slug for entry in terms.entries} - {terms.default})
        with self._run.read() as session:
            expected = ledger.expectations(session, [space.id for space in spaces], slugs, self._run.clock.now())
        return Plan(
            terms,
            tuple(spaces),
            self._key,
            expected,
            uncounted=tuple(space.key for space in spaces if not counted(space)),
            places={space.id: space.id for space in spaces} | {space.key: space.id for space in spaces},
        )

    def _read(self, plan: Plan) -> Reading:
        return read_group(self._client, self._run.clock, plan)

    def _not_read(self, plan: Plan, error: Exception) -> list[Plan]:
        """Return the smaller groups to try instead; a single space that failed is ended here."""
        reason = Reason(str(error), False) if isinstance(error, QueryTooLong) else reason_of(error)
        if len(plan.spaces) > 1 and getattr(error, "status", None) != LIMITED:
            middle = len(plan.spaces) // 2
            return [self._plan(plan.terms, half) for half in (plan.spaces[:middle], plan.spaces[middle:])]
        gone = [space for space in plan.spaces if len(plan.spaces) == 1 and scope.vanished(self._client, space)]
        with self._run.write() as session:
            for space in plan.spaces:
                if space in gone:
                    self._run.skipped(session, space, scope.GONE)
                else:
                    self._run.failed(session, space, reason.text, transient=reason.transient)
        return []

    def _write(self, plan: Plan, reading: Reading) -> None:
        decided = self._decide(plan, reading)
        found = find_missing(self._run, self._client, decided.missing)
        order = {space.id: position for position, space in enumerate(plan.spaces)}
        changes = sorted(decided.changes, key=lambda change: order[change.space_id])
        board = Board(self._run, plan, reading.total, changes)
        board.begin([*decided.rows, *found.moved], [*decided.dropped, *found.gone])
        stamper = Stamper(
            self._client,
            self._run.clock,
            self._key,
            plan.terms.default,
            self._statuses,
            reading.started,
            self._trusting,
        )
        self._stamp(board, stamper, changes)

    def _decide(self, plan: Plan, reading: Reading) -> Decided:
        now = self._run.clock.now()
        listed = {content_id for contents in reading.listed.values() for content_id in contents}
        with self._run.read() as session:
            known = Known(
                rows=ledger.load(session, [*reading.candidates, *listed]),
                refusing=ledger.refusing(session, plan.space_ids),
                trusting=self._trusting,
                settled={slug: ledger.settled(session, plan.space_ids, slug, now) for slug in reading.listed},
            )
        return decide(plan, reading, known, now)

    def _stamp(self, board: Board, stamper: Stamper, changes: Sequence[Change]) -> None:
        """Fan the writes out. What ends the run early is raised by `map` once the calls under way are recorded."""

        def apply(change: Change) -> Outcome | Reason:
            try:
                return stamper.apply(change)
            except SITE_FAULTS as error:
                return reason_of(error)

        try:
            for change, outcome in self._run.map(apply, changes):
                board.record(change, reason_of(outcome) if isinstance(outcome, Exception) else outcome)
                if board.due:
                    board.flush()
                self._outcome_recorded()
        except STOPS:
            self._save_what_we_may(board)
            raise
        if changes:
            board.flush()

    def _outcome_recorded(self) -> None:
        try:
            self._run.safe_point()
        except CancelRequested:
            log.debug("cancel: no further content is begun, those under way are recorded")

    def _save_what_we_may(self, board: Board) -> None:
        try:
            board.flush()
        except Interrupted:
            log.info("execution %s: its lease is lost; the next owner finds out what was done", self._run.execution_id)
