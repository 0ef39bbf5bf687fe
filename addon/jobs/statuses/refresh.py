"""How does a refresh go through its spaces? Groups are read concurrently, then each group's changes are written.

A group whose queries fail is halved, down to single spaces; a single space that fails fails alone. All database work
happens here on the runner thread, all calls on the call threads.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from addon.confluence import HintKind, SiteClient, hints_since
from addon.confluence.cql import Spelling, spelling
from addon.engine import queries
from addon.engine.job import CancelRequested, Interrupted, Run, RunSpace
from addon.jobs import ledger, site_facts
from addon.jobs import spaces as scope
from addon.jobs.context import JobContext
from addon.jobs.counting import Counting
from addon.jobs.faults import SITE_FAULTS, STOPS, Reason, reason_of
from addon.jobs.presence import Absent, Presence, absent
from addon.jobs.statuses.ask.asking import read_group
from addon.jobs.statuses.ask.clauses import QueryTooLong
from addon.jobs.statuses.ask.listing import ListingRefused
from addon.jobs.statuses.ask.parallel_read import read_in_parts
from addon.jobs.statuses.ask.planning import Planner, with_ancestors
from addon.jobs.statuses.ask.probe import due, probe, verdict
from addon.jobs.statuses.ask.reading import Plan, Reading
from addon.jobs.statuses.upkeep.drift import Drift
from addon.jobs.statuses.upkeep.excluded import clear_excluded
from addon.jobs.statuses.upkeep.missing import Found, find_missing, kind_of
from addon.jobs.statuses.write.board import BATCH, Board
from addon.jobs.statuses.write.deciding import Decided, Known, decide
from addon.jobs.statuses.write.stamp import expiration_alias, property_key, shown, status_alias
from addon.jobs.statuses.write.stamping import Change, Outcome, Stamper
from addon.policies import PolicyDocument

log = logging.getLogger(__name__)

LIMITED = 429
PERMISSIONS_CHANGED = "space_permissions_updated"
SPACES_ONLY: tuple[HintKind, ...] = ("space",)


class Refresh:
    """One call of the job's `work`."""

    def __init__(self, context: JobContext, run: Run, client: SiteClient) -> None:
        """Read the policies of the run's version and what is known of the site."""
        self._context = context
        self._run = run
        self._client = client
        self._counting = Counting(client)
        self._key = property_key(context.settings.namespace)
        self._alias = status_alias(context.settings.namespace)
        self._policy: PolicyDocument = context.policy(run)
        self._statuses = shown(self._policy, context.settings.base_url)
        with run.read() as session:
            self._slugs = frozenset(context.policies.slugs(session, run.tenant_id))
            self._began = began = queries.started_at(session, run.execution_id)
            self._trusting = ledger.empty_before(session, began)
            self._presence = Presence(self._client, self._counting, run.clock, began)
            self._site_facts = site_facts.load(session)

    def work(self, spaces: Sequence[RunSpace]) -> None:
        """Bring the spaces to done, failed or skipped."""
        live = self._context.live_policy(self._run)
        taking_part = scope.skip(self._run, scope.members(self._client, live, self._policy, spaces))
        self._wake(spaces)
        spelled = self._spelling() if taking_part else self._site_facts.spelling
        planner = Planner(self._run, self._policy, self._context.settings.namespace, self._slugs, spelled)
        plans = with_ancestors(self._run, self._client, planner.plans(taking_part))
        while plans:
            smaller: list[Plan] = []
            for plan, reading in self._readings(planner, plans):
                if not isinstance(reading, Exception):
                    smaller += self._write(planner, plan, reading)
                elif isinstance(reading, Absent):
                    smaller += self._without(planner, plan, reading.reasons)
                elif len(plan.spaces) > 1 and _may_be_smaller(reading):
                    smaller += planner.split(plan, 2)
                else:
                    self._not_read(plan, reading)
            plans = smaller
        if self._run.scope == "site" and self._run.trigger != "retry" and "spaces" not in self._run.params:
            self._tidy()

    def _readings(self, planner: Planner, plans: Sequence[Plan]) -> Iterator[tuple[Plan, Reading | Exception]]:
        # No sweep yet: no refresh of the whole site has come to its end.
        first = self._policy.status_stamps and self._site_facts.swept_at is None
        if first and len(plans) == 1 and len(plans[0].spaces) > 1:
            return read_in_parts(self._run, self._counting, planner, plans[0], self._read)
        return self._run.map(self._read, plans)

    def _tidy(self) -> None:
        """Do what concerns the site beyond the run's spaces."""
        clear_excluded(self._context, self._run, self._client, self._key, stamps=self._policy.status_stamps)
        if self._policy.status_stamps:
            Drift(self._run, self._client, self._counting, self._alias, self._key).sweep()

    def _wake(self, spaces: Sequence[RunSpace]) -> None:
        """Let what refused its stamp be asked again where a webhook said that permissions changed."""
        with self._run.read() as session:
            since = self._run.clock.now() - ledger.READ_ONLY_REST
            hints = hints_since(session, self._run.tenant_id, since, SPACES_ONLY)
            changed = [hint for hint in hints if hint.event == PERMISSIONS_CHANGED]
            heard = {name: hint.heard_at for hint in changed for name in (hint.subject_id, hint.space_key) if name}
        woken = {space.id: heard.get(space.id) or heard.get(space.key) for space in spaces}
        if any(woken.values()):
            with self._run.write() as session:
                for space_id, at in woken.items():
                    if at is not None:
                        ledger.retry_read_only(session, space_id, at)

    def _spelling(self) -> Spelling:
        """Return how negations are put to the site, asking how it reads them where that is not known or a week old."""
        now = self._run.clock.now()
        if not due(self._site_facts, now):
            return self._site_facts.spelling
        found = probe(self._counting, self._alias, expiration_alias(self._context.settings.namespace), self._slugs)
        if found is None:
            return self._site_facts.spelling
        with self._run.write() as session:
            site_facts.save(session, self._run.tenant_id, negation=verdict(found), readings=found, probed_at=now)
        return spelling(found)

    def _read(self, plan: Plan) -> Reading:
        self._presence.require(plan.spaces)
        return read_group(self._client, self._counting, self._run.clock, plan)

    def _without(self, planner: Planner, plan: Plan, reasons: Mapping[str, str]) -> list[Plan]:
        """End the spaces that went since the run began; return the plan for the others, if there are any."""
        self._skip(plan, reasons)
        return planner.only(plan, [space for space in plan.spaces if space.id not in reasons])

    def _skip(self, plan: Plan, reasons: Mapping[str, str]) -> None:
        with self._run.write() as session:
            for space in plan.spaces:
                if space.id in reasons:
                    self._run.skipped(session, space, reasons[space.id])

    def _not_read(self, plan: Plan, error: Exception) -> None:
        """End the spaces of a group that could not be read."""
        ours = isinstance(error, QueryTooLong | ListingRefused)
        reason = Reason(str(error), False) if ours else reason_of(error)
        gone = scope.vanished(self._client, plan.spaces[0]) if len(plan.spaces) == 1 else None
        if gone is not None:
            self._skip(plan, {plan.spaces[0].id: gone})
            return
        with self._run.write() as session:
            for space in plan.spaces:
                self._run.failed(session, space, reason.text, transient=reason.transient)

    def _write(self, planner: Planner, plan: Plan, reading: Reading) -> list[Plan]:
        """Write what changed; return the plan to be read again when a space turns out to be gone."""
        decided = self._decide(plan, reading)
        found = find_missing(self._run, self._client, decided.missing)
        left = find_missing(self._run, self._client, decided.absent)
        reasons = self._gone_as_a_whole([*found.gone, *left.gone])
        if reasons:
            return self._without(planner, plan, reasons)
        order = {space.id: position for position, space in enumerate(plan.spaces)}
        changes = sorted([*decided.changes, *self._left(plan, left)], key=lambda change: order[change.space_id])
        stamps = self._policy.status_stamps
        board = Board(self._run, plan, reading.total, changes, reading.started, stamps=stamps)
        dropped = [*found.gone, *(row.content_id for row in found.here), *left.gone, *decided.forgotten]
        # What refuses the stamp and matches nothing is like all contents that never had one, also in another space.
        bare = [row for row in (*left.here, *left.moved) if row.property_id is None and self._policy.status_stamps]
        dropped += [row.content_id for row in bare]
        corrected = [*decided.rows, *found.moved, *(row for row in left.moved if row not in bare)]
        board.begin(corrected, dropped, decided.unrecorded)
        stamper = Stamper(
            self._client,
            self._run.clock,
            self._key,
            plan.terms.default,
            self._statuses,
            reading.started,
            self._trusting,
            stamps=self._policy.status_stamps,
            began=self._began,
        )
        self._stamp(board, stamper, changes)
        return []

    def _gone_as_a_whole(self, content_ids: Sequence[str]) -> dict[str, str]:
        """Return {space id: reason} of spaces that are gone, asked where nothing is left of what the ledger knows."""
        if not content_ids:
            return {}
        with self._run.read() as session:
            lost = Counter(row.space_id for row in ledger.load(session, content_ids).values())
            known = ledger.entries_by_space(session, list(lost))
        emptied = [space_id for space_id, number in lost.items() if number == known[space_id]]
        try:
            return absent(self._client, emptied)
        except SITE_FAULTS as error:
            reason_of(error)
            return {}

    def _still_due(self, board: Board, changes: Sequence[Change], since: datetime) -> Iterator[Change]:
        """Yield the changes, but those of contents that people had refreshed singly since the reading began."""
        for start in range(0, len(changes), BATCH):
            part = changes[start : start + BATCH]
            with self._run.read() as session:
                rows = ledger.load(session, [change.content_id for change in part])
            for change in part:
                row = rows.get(change.content_id)
                if row is not None and row.single and row.written_at > since:
                    board.record(change, Outcome("kept", row))
                else:
                    yield change

    def _left(self, plan: Plan, left: Found) -> list[Change]:
        """Return the changes of what matches no entry any more and has a stamp, or is on a site without stamps."""
        return [
            Change(row.content_id, kind_of(row), row.space_id, plan.terms.default, row)
            for row in left.here
            if row.property_id is not None or not self._policy.status_stamps
        ]

    def _decide(self, plan: Plan, reading: Reading) -> Decided:
        now = self._run.clock.now()
        listed = {content_id for contents in reading.listed.values() for content_id in contents}
        with self._run.read() as session:
            known = Known(
                rows=ledger.load(session, {*reading.candidates, *listed, *reading.absent}),
                began=self._began,
                trusting=self._trusting,
                settled={slug: ledger.searchable(session, plan.space_ids, slug, now) for slug in reading.listed},
                bare=ledger.bare(session, plan.space_ids, now) if self._policy.status_stamps else (),
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
            for change, outcome in self._run.map(apply, self._still_due(board, changes, stamper.since)):
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


def _may_be_smaller(error: Exception) -> bool:
    """Return whether asking about fewer spaces may help; raises what concerns the whole run."""
    if isinstance(error, QueryTooLong):
        return True
    reason_of(error)
    return getattr(error, "status", None) != LIMITED
