"""How far has each space of a group come, and what has not been written down yet?

Belongs to the runner thread. Outcomes are collected and written to the ledger in batches; a space is ended in the same
transaction that writes its last outcome, so after a crash nothing is counted twice and little is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from addon.engine.job import Run, RunSpace
from addon.jobs import ledger
from addon.jobs.faults import Reason
from addon.jobs.ledger import LedgerEntry
from addon.jobs.statuses.ask.reading import Plan
from addon.jobs.statuses.write.stamping import Change, Outcome

BATCH = 100
BATCH_SECONDS = 2.0
UNRECORDED = Reason("the database refuses to keep its status; the add-on's log says more", transient=False)
UNCOUNTED = "uncounted"
"""Metric of a run in the making: default status -> groups whose contents the site did not count."""


@dataclass(slots=True)
class Progress:
    """One space: how many contents of all are still to be stamped, how many changed, which could not be stamped."""

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
        contents = "1 content" if number == 1 else f"{number} contents"
        return Reason(f"{contents} could not be stamped: {first.text}", transient)


class Board:
    """The spaces of one group on their way through the writes."""

    def __init__(
        self,
        run: Run,
        plan: Plan,
        total: int | None,
        changes: Iterable[Change],
        since: datetime,
        *,
        stamps: bool = True,
    ) -> None:
        """Parameters: `total` is the group's contentsChecked not counted yet, None where the site does not count;
        `since` is when the group began to be read, `stamps` whether any are written.
        """
        self._since_read = since
        self._stamps = stamps
        self._run = run
        self._plan = plan
        self._open = {space.id: _resumed(space) for space in plan.spaces}
        self._rows: list[LedgerEntry] = []
        self._dropped: list[str] = []
        self._since = run.clock.monotonic()
        self._total = total
        self._to_count = True
        for change in changes:
            self._open[change.space_id].left += 1
            self._open[change.space_id].total += 1

    def begin(self, rows: Sequence[LedgerEntry], dropped: Sequence[str], changed: Mapping[str, int]) -> None:
        """Write the group's count and the corrections that need no call, and end the spaces with nothing to stamp.

        Parameters: `changed` says by space how many of the corrections are changes that are not counted yet.
        """
        self._rows += rows
        self._dropped += dropped
        for space_id, number in changed.items():
            self._open[space_id].changed += number
        with self._run.write() as session:
            self._run.begin(session, self._plan.spaces)
        self.flush()

    def record(self, change: Change, outcome: Outcome | Reason) -> None:
        """Take note of what became of one content."""
        progress = self._open[change.space_id]
        progress.left -= 1
        progress.touched = True
        if isinstance(outcome, Reason):
            progress.failures.append(outcome)
            return
        if outcome.row is not None:
            self._rows.append(outcome.row)
        elif change.row is not None:
            self._dropped.append(change.content_id)
        progress.changed += outcome.changed

    @property
    def due(self) -> bool:
        """Return whether it is time to write the collected outcomes down: at once when a space is complete."""
        waited = self._run.clock.monotonic() - self._since
        complete = any(progress.left == 0 for progress in self._open.values())
        return complete or len(self._rows) + len(self._dropped) >= BATCH or waited >= BATCH_SECONDS

    def flush(self) -> None:
        """Write the collected outcomes, end the spaces that are complete, and remember how far the others are."""
        with self._run.write() as session:
            self._write_ledger(session)
            self._count_group(session)
            self._end_spaces(session)
            for progress in self._open.values():
                if progress.touched:
                    changed = {"statusesChanged": progress.changed}
                    self._run.save(session, progress.space, {"counted": True, **changed}, changed)
                    self._run.progress(session, progress.space, progress.total - progress.left, progress.total)
                    progress.touched = False
        self._rows, self._dropped = [], []
        self._since = self._run.clock.monotonic()

    def _write_ledger(self, session: Session) -> None:
        refused: list[LedgerEntry] = []
        for start in range(0, len(self._rows), BATCH):
            rows = self._rows[start : start + BATCH]
            refused += ledger.save(session, self._run.tenant_id, rows, since=self._since_read)
        for row in refused:
            self._rows.remove(row)
            # What moved on to a space of another group is that group's to say.
            if row.space_id in self._open:
                self._open[row.space_id].failures.append(UNRECORDED)
        if self._dropped:
            ledger.drop(session, self._dropped, since=self._since_read)

    def _count_group(self, session: Session) -> None:
        """Add contentsChecked once; who redoes a space of the group knows from its checkpoint that it is counted."""
        if not self._to_count:
            return
        default = self._plan.terms.default
        if self._total is None:
            self._run.add(session, {UNCOUNTED: {default: 1}})
        elif self._total:
            self._run.add(session, {"contentsChecked": self._total, "statusCounts": {default: self._total}})
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
        stamped = 0
        for progress in finished:
            space = progress.space
            own = {slug: number for slug, number in counts.get(space.id, {}).items() if slug != default}
            stamped += sum(own.values())
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
        if stamped:
            self._run.add(session, {"statusCounts": {default: -stamped}})


def counted(space: RunSpace) -> bool:
    """Return whether the space's contents are already in the run's contentsChecked."""
    return bool(space.checkpoint and space.checkpoint.get("counted"))


def _resumed(space: RunSpace) -> Progress:
    return Progress(space, changed=int((space.checkpoint or {}).get("statusesChanged", 0)))
