"""The outcomes of one space's items, and the limits on how many items a run may act on.

Belongs to the runner thread. Items, metrics, the closing of the batch and the ledger are written in one transaction, so
that a new owner resumes exactly where this one stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import chunks, write_piecemeal
from addon.engine import queries
from addon.engine.job import Item, Run, RunSpace
from addon.jobs import ledger
from addon.jobs.faults import Reason
from addon.jobs.models import ArchiveTask

CHUNK = 500
UNREADABLE = "the reason could not be kept; the add-on's log says more"
_METRIC = {"done:archive": "contentsArchived", "done:delete": "contentsDeleted"}


@dataclass(slots=True)
class Limits:
    """How many items each automation, and the whole execution, have acted on.

    `execution_cap`: items one execution may act on. `acted`: items by automation id, whatever came of them.
    """

    execution_cap: int
    acted: Counter[str] = field(default_factory=Counter)

    @classmethod
    def resumed(cls, run: Run, execution_cap: int) -> Limits:
        """Return the limits as the spaces' checkpoints left them."""
        acted: Counter[str] = Counter()
        for space in spaces_of(run).values():
            acted.update((space.checkpoint or {}).get("acted", {}))
        return cls(execution_cap, acted)

    def left(self, automation_id: str, cap: int) -> int:
        """Return how many more items the automation may act on now; `cap`: items it may act on in one execution."""
        return max(0, min(cap - self.acted[automation_id], self.execution_cap - self.acted.total()))


class Recorder:
    """One space's outcomes: the item log, the metrics and the checkpoint, kept in step."""

    def __init__(self, run: Run, space: RunSpace, limits: Limits, waiting: int | None = None) -> None:
        """Resume from the space's checkpoint. `waiting`: how many items are still to come, where that is known."""
        checkpoint = space.checkpoint or {}
        self._run = run
        self.space = space
        self._limits = limits
        self._metrics: Counter[str] = Counter(checkpoint.get("metrics", {}))
        self._acted: Counter[str] = Counter(checkpoint.get("acted", {}))
        self._transient = bool(checkpoint.get("transient", False))
        self._failure: str | None = checkpoint.get("failure")
        self._total = None if waiting is None else self._metrics["contentsMatched"] + waiting

    def item(
        self, content_id: str, action: str, outcome: str, reason: str | None = None, title: str | None = None
    ) -> Item:
        """Return an item of this space."""
        return Item(self.space, content_id, action, outcome, reason, title)

    def failed(self, content_id: str, action: str, reason: Reason) -> Item:
        """Return the log item of an item that could not be acted on, and remember it as the space's failure."""
        self._failure = self._failure or reason.text
        self._transient = self._transient or reason.transient
        return self.item(content_id, action, "failed", reason.text)

    def write(self, items: Sequence[Item], *, automation_id: str | None = None, batch_id: str | None = None) -> None:
        """Record outcomes; `automation_id` when they count against its cap, `batch_id` to close it as well."""
        if not items and batch_id is None:
            return
        # One transaction: with the outcomes in one and the closing in another, a death between the two would let a new
        # owner record them a second time, and count them twice against the caps.
        with self._run.write() as session:
            self._tally(items, automation_id)
            for some in chunks(items, CHUNK):
                self._log(session, some)
            self._run.save(session, self.space, self._checkpoint(), self.metrics())
            if self._total is not None:
                self._run.progress(session, self.space, self._metrics["contentsMatched"], self._total)
            ledger.drop(session, [item.content_id for item in items if item.outcome == "done"])
            if batch_id is not None:
                self._close(session, batch_id)

    def _log(self, session: Session, items: Sequence[Item]) -> None:
        """Append items to the log; what the database does not take of one is left out, its outcome never is."""

        def append(some: Sequence[Item]) -> None:
            self._run.items(session, some)

        refused = write_piecemeal(session, items, append)
        append([replace(item, title=None, reason=UNREADABLE if item.reason else None) for item in refused])

    def end(self, session: Session) -> None:
        """End the space: done, or failed when an item could not be acted on."""
        number = self._metrics["contentsFailed"]
        if not number:
            self._run.done(session, self.space, self.metrics())
            return
        items = "1 item" if number == 1 else f"{number} items"
        reason = f"{items} could not be archived or deleted: {self._failure}"
        self._run.failed(session, self.space, reason, transient=self._transient, metrics=self.metrics())

    def metrics(self) -> dict[str, int]:
        """Return the space's own metrics so far."""
        return {name: number for name, number in sorted(self._metrics.items()) if number}

    def _tally(self, items: Sequence[Item], automation_id: str | None) -> None:
        for item in items:
            self._metrics["contentsMatched"] += 1
            if item.outcome == "done":
                self._metrics[_METRIC[f"done:{item.action}"]] += 1
            elif item.outcome == "planned":
                self._metrics["contentsPlanned"] += 1
            elif item.outcome == "skipped":
                self._metrics["contentsSkipped"] += 1
            elif item.outcome == "failed":
                self._metrics["contentsFailed"] += 1
        if automation_id is not None:
            number = sum(item.outcome in ("done", "planned", "failed") for item in items)
            self._acted[automation_id] += number
            self._limits.acted[automation_id] += number

    def _checkpoint(self) -> dict[str, Any]:
        return {
            "metrics": dict(self._metrics),
            "acted": dict(self._acted),
            "transient": self._transient,
            "failure": self._failure,
        }

    def _close(self, session: Session, batch_id: str) -> None:
        ended = sa.update(ArchiveTask).where(ArchiveTask.id == batch_id).values(ended_at=self._run.clock.now())
        session.execute(ended)


def items_logged(run: Run, space_id: str) -> set[str]:
    """Return the content ids of a space whose outcome this execution has recorded already."""
    with run.read() as session:
        return queries.recorded_contents(session, run.execution_id, space_id)


def spaces_of(run: Run) -> dict[str, RunSpace]:
    """Return all spaces of the execution as they are stored now, by id."""
    with run.read() as session:
        return queries.run_spaces(session, run.execution_id)
