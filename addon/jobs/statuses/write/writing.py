"""The writing of one group's changes: to Confluence on the call threads, to the ledger on the runner thread.

`GroupWriter` takes a reading to its end; `GroupProgress` keeps how far each space of the group has come and what is not
in the ledger yet. Outcomes are written in batches, and a space ends in the transaction that writes its last outcome: so
after a crash nothing is counted twice, and at most a batch is asked for twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from addon.base import chunks, get_logger
from addon.confluence import SiteClient
from addon.engine.job import CancelRequested, Interrupted, Run, RunSpace
from addon.jobs import ledger
from addon.jobs.faults import SITE_FAULTS, STOPS, Reason, reason_of
from addon.jobs.ledger import LedgerEntry
from addon.jobs.statuses.ask.planning import COUNTED
from addon.jobs.statuses.ask.reading import Plan, Reading
from addon.jobs.statuses.stamp import Status
from addon.jobs.statuses.write.deciding import Decided, Known, decide
from addon.jobs.statuses.write.missing import LookedUp, emptied_spaces, look_up
from addon.jobs.statuses.write.stamping import Change, Outcome, Stamper

log = get_logger(__name__)

BATCH = 100
"""Outcomes that one transaction writes at most."""
BATCH_SECONDS = 2.0
"""How long an outcome waits for others, which is what a crash may cost in calls."""
REFUSED = Reason("the database refuses to keep its status; the add-on's log says more", transient=False)
UNCOUNTED = "uncounted"
"""Metric of a run under way: default status -> groups whose items the site did not count."""


@dataclass(frozen=True, slots=True)
class GroupWriter:
    """Takes the readings of one run to the ledger and to Confluence. Belongs to the runner thread.

    `key`: of the status property. `statuses`: those of the policies by slug, as stamps show them. `began`: when the
    execution began. `trusting`: see Stamper. `stamps`: False where statuses are kept in the ledger alone.
    """

    run: Run
    client: SiteClient
    key: str
    statuses: Mapping[str, Status]
    began: datetime
    trusting: bool
    stamps: bool

    def write(self, plan: Plan, reading: Reading) -> dict[str, str]:
        """Write what one group's reading changes, and end its spaces.

        Returns {space id: reason} of spaces that turn out to be gone: then nothing was written, and the others of the
        group are to be read again. Raises what ends the run early, after the outcomes that are known were recorded.
        """
        decided = self._decide(plan, reading)
        missing = self._look_up(decided.missing)
        unmatched = self._look_up(decided.unmatched)
        gone = [*missing.gone, *unmatched.gone]
        gone_spaces = emptied_spaces(self.run, self.client, gone) if gone else {}
        if gone_spaces:
            return gone_spaces
        # An item that refuses the stamp and matches nothing is like all items that never had one, also in another
        # space: it needs no entry.
        needless = [entry for entry in (*unmatched.here, *unmatched.moved) if entry.property_id is None and self.stamps]
        corrected = [*decided.corrected, *missing.moved, *(entry for entry in unmatched.moved if entry not in needless)]
        lost = [*gone, *(entry.content_id for entry in missing.here), *decided.forgotten]
        # In the order of the group's spaces, so that one space after the other is complete and ends.
        order = {space.id: position for position, space in enumerate(plan.spaces)}
        changes = [*decided.changes, *self._to_default(plan, unmatched.here)]
        changes.sort(key=lambda change: order[change.space_id])
        progress = GroupProgress(self.run, plan, reading, changes, stamps=self.stamps)
        progress.begin(corrected, [*lost, *(entry.content_id for entry in needless)], decided.unrecorded)
        self._stamp(progress, self._stamper(plan, reading), changes)
        return {}

    def _decide(self, plan: Plan, reading: Reading) -> Decided:
        now = self.run.clock.now()
        stamped = {content_id for contents in reading.stamped.values() for content_id in contents}
        with self.run.read() as session:
            known = Known(
                entries=ledger.load(session, {*reading.candidates, *stamped, *reading.unmatched}),
                began=self.began,
                trusting=self.trusting,
                searchable={slug: ledger.searchable(session, plan.space_ids, slug, now) for slug in reading.stamped},
                bare=ledger.bare(session, plan.space_ids, now) if self.stamps else (),
            )
        return decide(plan, reading, known, now)

    def _look_up(self, entries: Sequence[LedgerEntry]) -> LookedUp:
        return look_up(self.run, self.client, entries) if entries else LookedUp()

    def _to_default(self, plan: Plan, entries: Iterable[LedgerEntry]) -> list[Change]:
        """Return the changes of what matches no entry any more and has a stamp, or is on a site without stamps."""
        return [
            Change(entry.content_id, entry.kind, entry.space_id, plan.terms.default, entry)
            for entry in entries
            if entry.property_id is not None or not self.stamps
        ]

    def _stamper(self, plan: Plan, reading: Reading) -> Stamper:
        return Stamper(
            client=self.client,
            clock=self.run.clock,
            key=self.key,
            default=plan.terms.default,
            statuses=self.statuses,
            since=reading.started,
            trusting=self.trusting,
            stamps=self.stamps,
            began=self.began,
        )

    def _stamp(self, progress: GroupProgress, stamper: Stamper, changes: Sequence[Change]) -> None:
        """Fan the writes out. What ends the run early is raised by `map` once the calls under way are recorded."""

        def apply(change: Change) -> Outcome | Reason:
            try:
                return stamper.apply(change)
            except SITE_FAULTS as error:
                return reason_of(error)

        try:
            for change, outcome in self.run.map(apply, self._still_due(progress, changes, stamper.since)):
                progress.record(change, reason_of(outcome) if isinstance(outcome, Exception) else outcome)
                if progress.due:
                    progress.flush()
                self._outcome_recorded()
        except STOPS:
            self._flush_if_allowed(progress)
            raise
        if changes:
            progress.flush()

    def _still_due(self, progress: GroupProgress, changes: Sequence[Change], since: datetime) -> Iterator[Change]:
        """Yield the changes, but those of items that people had refreshed singly since the reading began."""
        for part in chunks(changes, BATCH):
            with self.run.read() as session:
                entries = ledger.load(session, [change.content_id for change in part])
            for change in part:
                entry = entries.get(change.content_id)
                if entry is not None and entry.single and entry.written_at > since:
                    progress.record(change, Outcome("kept", entry))
                else:
                    yield change

    def _outcome_recorded(self) -> None:
        try:
            self.run.safe_point()
        except CancelRequested:
            log.debug("cancel: no further item is begun, those under way are recorded", action="refresh_cancelled")

    def _flush_if_allowed(self, progress: GroupProgress) -> None:
        try:
            progress.flush()
        except Interrupted:
            log.info(
                "the lease is lost; the next owner finds out what was done",
                action="refresh_fenced",
                execution=self.run.execution_id,
            )


@dataclass(slots=True)
class SpaceProgress:
    """One space: how many items of all are still to be stamped, how many changed, which could not be stamped.

    `touched`: whether anything of that is not written yet.
    """

    space: RunSpace
    left: int = 0
    total: int = 0
    changed: int = 0
    touched: bool = False
    failures: list[Reason] = field(default_factory=list)

    def reason(self) -> Reason:
        """Return why the space failed, in one sentence."""
        transient = any(failure.transient for failure in self.failures)
        first = next(failure for failure in self.failures if failure.transient == transient)
        number = len(self.failures)
        items = "1 item" if number == 1 else f"{number} items"
        return Reason(f"{items} could not be stamped: {first.text}", transient)


class GroupProgress:
    """How far each space of one group has come, and what of it is not in the ledger yet."""

    def __init__(self, run: Run, plan: Plan, reading: Reading, changes: Iterable[Change], *, stamps: bool) -> None:
        """Parameters: `changes` are all that is to be stamped, `stamps` whether any are written."""
        self._run = run
        self._plan = plan
        self._reading = reading
        self._stamps = stamps
        self._open = {space.id: _resumed(space) for space in plan.spaces}
        self._entries: list[LedgerEntry] = []
        self._dropped: list[str] = []
        self._flushed_at = run.clock.monotonic()
        self._to_count = True
        for change in changes:
            self._open[change.space_id].left += 1
            self._open[change.space_id].total += 1

    def begin(self, entries: Sequence[LedgerEntry], dropped: Sequence[str], changed: Mapping[str, int]) -> None:
        """Write the group's count and the corrections that need no call, and end the spaces with nothing to stamp.

        Parameters: `entries` and `dropped` (content ids) are the corrections; `changed` says by space how many of them
        are changes that are not counted yet.
        """
        self._entries += entries
        self._dropped += dropped
        for space_id, number in changed.items():
            self._open[space_id].changed += number
        with self._run.write() as session:
            self._run.begin(session, self._plan.spaces)
        self.flush()

    def record(self, change: Change, outcome: Outcome | Reason) -> None:
        """Take note of what became of one item; in memory, until the next `flush`."""
        progress = self._open[change.space_id]
        progress.left -= 1
        progress.touched = True
        if isinstance(outcome, Reason):
            progress.failures.append(outcome)
            return
        if outcome.entry is not None:
            self._entries.append(outcome.entry)
        elif change.entry is not None:
            self._dropped.append(change.content_id)
        progress.changed += outcome.changed

    @property
    def due(self) -> bool:
        """Whether it is time to write the collected outcomes: at once when a space is complete."""
        waited = self._run.clock.monotonic() - self._flushed_at
        complete = any(progress.left == 0 for progress in self._open.values())
        return complete or len(self._entries) + len(self._dropped) >= BATCH or waited >= BATCH_SECONDS

    def flush(self) -> None:
        """Write the collected outcomes, end the spaces that are complete, and remember how far the others are.

        One transaction: a new owner of the run finds all of it or nothing. Raises Interrupted when the lease is lost.
        """
        with self._run.write() as session:
            self._write_ledger(session)
            self._count_group(session)
            self._end_spaces(session)
            for progress in self._open.values():
                if progress.touched:
                    changed = {"statusesChanged": progress.changed}
                    self._run.save(session, progress.space, {COUNTED: True, **changed}, changed)
                    self._run.progress(session, progress.space, progress.total - progress.left, progress.total)
                    progress.touched = False
        self._entries, self._dropped = [], []
        self._flushed_at = self._run.clock.monotonic()

    def _write_ledger(self, session: Session) -> None:
        refused: list[LedgerEntry] = []
        since = self._reading.started
        for entries in chunks(self._entries, BATCH):
            refused += ledger.save(session, self._run.tenant_id, entries, since=since)
        for entry in refused:
            self._entries.remove(entry)
            # What moved on to a space of another group is that group's to report.
            if entry.space_id in self._open:
                self._open[entry.space_id].failures.append(REFUSED)
        if self._dropped:
            ledger.drop(session, self._dropped, since=since)

    def _count_group(self, session: Session) -> None:
        """Add contentsChecked once. A later owner of the run knows from a space's checkpoint that it is counted."""
        if not self._to_count:
            return
        default, total = self._plan.terms.default, self._reading.total
        if total is None:
            self._run.add(session, {UNCOUNTED: {default: 1}})
        elif total:
            self._run.add(session, {"contentsChecked": total, "statusCounts": {default: total}})
        self._to_count = False
        for progress in self._open.values():
            progress.touched = progress.left > 0

    def _end_spaces(self, session: Session) -> None:
        finished = [progress for progress in self._open.values() if progress.left == 0]
        if not finished:
            return
        ids = [progress.space.id for progress in finished]
        counts = ledger.counts_by_space(session, ids)
        read_only = ledger.read_only_by_space(session, ids) if self._stamps else {}
        default = self._plan.terms.default
        others = 0
        for progress in finished:
            space = progress.space
            own = {slug: number for slug, number in counts.get(space.id, {}).items() if slug != default}
            others += sum(own.values())
            metrics = {
                "statusesChanged": progress.changed,
                "contentsReadOnly": read_only.get(space.id, 0),
                "statusCounts": own,
            }
            if progress.failures:
                reason = progress.reason()
                self._run.failed(session, space, reason.text, transient=reason.transient, metrics=metrics)
            else:
                self._run.done(session, space, metrics)
            del self._open[space.id]
        if others:
            # The group's total was added to the default's count: what has another status is taken off it again.
            self._run.add(session, {"statusCounts": {default: -others}})


def _resumed(space: RunSpace) -> SpaceProgress:
    return SpaceProgress(space, changed=int((space.checkpoint or {}).get("statusesChanged", 0)))
