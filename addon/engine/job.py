"""The protocol between jobs and the engine: what a job implements, and what it is given while it runs.

The engine knows nothing of Confluence or HTTP. A job knows nothing of leases: it asks `run` before each call and at
each outcome, and writes through `run.write()` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from addon.base import Clock, TenantId

A = TypeVar("A")
B = TypeVar("B")

Metrics = Mapping[str, Any]
"""Integers by camelCase name, or one level of such a mapping (statusCounts)."""

MISSING = "no longer visible or deleted"
ARCHIVED = "archived meanwhile"
UNSEEN = frozenset({MISSING, ARCHIVED})
"""Reasons for skipping a space that was to be worked on: a run with one of them covers less than it was meant to."""


class Interrupted(Exception):
    """Stop at this check point: lease lost, run paused or process shutting down. Jobs let it pass."""


class CancelRequested(Exception):
    """Stop at this safe point: a person cancelled. Jobs let it pass."""


class Pause(Exception):
    """Resume later, for `reason`: the quota is used up. Spaces in work become pending again, and no thread waits."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.until = until
        self.reason = reason


class Abandon(Exception):
    """The tenant is gone: the run ends cancelled and is not retried."""


class Fatal(Exception):
    """Nothing more can be done in this run: every open space fails with this reason, then finalizing."""

    def __init__(self, reason: str, *, transient: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient


class JobRefused(Exception):
    """The job cannot start at all, such as notifications without a mail transport. `reason` says what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RunSpace:
    """One space of the run. `weight` is its share of the progress (its number of items where known, else 1).

    `checkpoint` is what the job last saved for it, `state` pending|running|done|failed|skipped|cancelled. A job may
    list a space with state "skipped" and a `reason`: it is reported and never worked on.
    """

    id: str
    key: str
    name: str
    type: str = "global"
    weight: int = 1
    state: str = "pending"
    checkpoint: Mapping[str, Any] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """What was done to one page or post. `outcome`: done|skipped|failed|planned (dry run); `title` only if removed."""

    space: RunSpace
    content_id: str
    action: str
    outcome: str
    reason: str | None = None
    title: str | None = None


class Run(Protocol):
    """One execution in the hands of its runner. All methods belong to the runner thread unless marked."""

    tenant_id: TenantId
    execution_id: str
    job_type: str
    scope: str
    space_id: str | None
    space_key: str | None
    trigger: str
    attempt: int
    dry_run: bool
    policy_version: int
    generation: int
    params: Mapping[str, Any]
    clock: Clock

    def check(self) -> None:
        """Check point (any thread): before every call. Raises Interrupted."""
        ...

    def safe_point(self) -> None:
        """Safe point: where an item's outcome is recorded. Raises CancelRequested or Interrupted; marks progress."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait (any thread), for the site or for somebody else's work on it.

        Raises Interrupted or CancelRequested within a second of what asks for it.
        """
        ...

    def call_seconds(self, *, write: bool) -> float:
        """Check point (any thread) that also says how many seconds a call may take in total.

        min(ttl/2, trust left); a write starts only with at least ttl/6 of trust left. Raises Interrupted.
        """
        ...

    def used(self, *, points: int, calls: int) -> None:
        """Count what a call cost (any thread); flushed with the heartbeat and each write."""
        ...

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Exception]]:
        """Run `work` over `items` on the execution's call threads; yield (item, result or exception) as they finish.

        Interrupted, CancelRequested, Pause, Abandon and Fatal end the iteration: no further item is started, those in
        work come to their end and are yielded, then the exception is raised here. A cancel ends it between two items
        in the same way. Other exceptions are yielded, so that one item or space never stops the others.
        """
        ...

    def read(self) -> AbstractContextManager[Session]:
        """Open a read session of this tenant."""
        ...

    def write(self) -> AbstractContextManager[Session]:
        """Open a fenced write transaction of this tenant: it commits only while this run still has its lease.

        Raises Interrupted when the fence is lost. Keep it short, never hold it across a call.
        """
        ...

    def begin(self, session: Session, spaces: Sequence[RunSpace]) -> None:
        """Mark spaces as running."""
        ...

    def save(
        self, session: Session, space: RunSpace, checkpoint: Mapping[str, Any], metrics: Metrics | None = None
    ) -> None:
        """Remember how far a space has come; `metrics` so far are what a cancelled space is shown with."""
        ...

    def progress(self, session: Session, space: RunSpace, done: int, total: int) -> None:
        """Report that `done` of the `total` items of a space in work are through, for percentage and remaining time."""
        ...

    def done(self, session: Session, space: RunSpace, metrics: Metrics) -> None:
        """End a space successfully with its own metrics."""
        ...

    def failed(
        self, session: Session, space: RunSpace, reason: str, *, transient: bool, metrics: Metrics | None = None
    ) -> None:
        """End a space as failed. `transient`: 429, 5xx, timeout, network; only such spaces are retried."""
        ...

    def skipped(self, session: Session, space: RunSpace, reason: str) -> None:
        """End a space as skipped: excluded meanwhile, gone, or not visible any more."""
        ...

    def add(self, session: Session, metrics: Metrics) -> None:
        """Add to the execution's own metrics (those of no single space), in the same transaction as what they count."""
        ...

    def items(self, session: Session, items: Sequence[Item]) -> None:
        """Append to the item log."""
        ...


class Job(Protocol):
    """One type of background work."""

    type: str
    title: str

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        """Raise JobRefused if the job cannot run for this tenant now. Called before a start, without HTTP."""
        ...

    def list_spaces(self, run: Run) -> Sequence[RunSpace]:
        """Return the spaces of the run (site scope), or the one of a space-scope run. Called once; then it is fixed."""
        ...

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Bring every given space to done, failed or skipped. Called again with what is left after a takeover.

        May raise Interrupted, CancelRequested, Pause, Abandon, Fatal. A space left open on return is failed.
        """
        ...

    def finalize(self, run: Run) -> Metrics:
        """Do what belongs to the whole run; a takeover repeats it, so safe to repeat. Returns metrics to merge."""
        ...

    def settle(self, run: Run) -> None:
        """Before the run ends cancelled or failed early: wait for or read back what was submitted (archive tasks)."""
        ...

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Turn the summed metrics into the final ones (pure): fill in zeros, the default status by subtraction."""
        ...
