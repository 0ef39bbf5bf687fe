"""The run: what a job holds while it works on one execution. Check points, counters, calls, fenced writes.

Everything that a job does to its execution goes through here, so that no write escapes the fence and no wait escapes a
stop. What any thread may call is marked; the rest belongs to the runner thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, sleep
from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.errors import Fenced
from addon.engine.job import CancelRequested, Interrupted, Item, Metrics, RunSpace
from addon.engine.lease.lease import fenced
from addon.engine.models import ExecutionSpace, JobExecution
from addon.engine.state.finish import add_metrics
from addon.engine.state.transitions import Lease
from addon.engine.worker.call_threads import CallThreads
from addon.engine.worker.progress import LONGEST_ESTIMATE, Estimate, Tally
from addon.engine.worker.spaces import append_items, end_space

A = TypeVar("A")
B = TypeVar("B")

_TX = "steward_run_transaction"


@dataclass(slots=True)
class _Transaction:
    """What one fenced write has gathered for the execution's row, written as one UPDATE at its end."""

    row: JobExecution
    extra: dict[str, Any] = field(default_factory=dict)
    items: int = 0
    moved: bool = False
    finished: int = 0
    tally: Tally = field(default_factory=Tally)


class ActiveRun:
    """One execution in the hands of its runner; implements addon.engine.job.Run."""

    def __init__(self, context: EngineContext, lease: Lease, row: JobExecution, trusted_from: float) -> None:
        """`row` is the execution as claimed; `trusted_from` the monotonic time before the claim was asked for."""
        self.lease = lease
        self.tenant_id = row.tenant_id
        self.execution_id = row.id
        self.job_type = row.job_type
        self.scope = row.scope
        self.space_id = row.space_id
        self.space_key = row.space_key
        self.trigger = row.trigger
        self.attempt = row.attempt
        self.dry_run = row.dry_run
        self.policy_version = row.policy_version
        self.generation = row.generation
        self.params: Mapping[str, Any] = row.params
        self.clock: Clock = context.clock
        self.stop = threading.Event()
        self.lost = threading.Event()
        self.cancelled = threading.Event()
        self._context = context
        self._settings = context.settings
        self._counting = threading.Lock()
        self._points, self._calls = row.points, row.calls
        self._waiting = 0
        self._progress = context.clock.monotonic()
        self._percent = row.percent
        self._tally = Tally()
        self._estimate = Estimate(context.clock.monotonic(), min(10.0, self._settings.reaper))
        self._stoppable = row.status == "running"
        self._suspended = False
        self.calls = CallThreads(self._settings.call_threads, f"call-{row.id[-6:]}", self.check, self._cancel_counts)
        self.extend_trust(trusted_from)

    # For the heartbeat and the runner

    def extend_trust(self, since: float) -> None:
        """Trust the lease for a ttl less the margin, from the monotonic time a good beat began."""
        self._trusted_until = since + self._settings.ttl - self._settings.margin

    def lose_lease(self) -> None:
        """Stop every thread: the lease is not ours any more."""
        self.lost.set()
        self.stop.set()

    def counters(self) -> dict[str, Any]:
        """Return the counters as columns of the execution's row (any thread).

        Progress is kept as an age by the monotonic clock and written by the clock of leases, so that neither a wrong
        clock of this host nor one that is set makes a run look stuck, or busy for years.
        """
        with self._counting:
            at = self._context.time.after(self._progress - self.clock.monotonic())
            return {"points": self._points, "calls": self._calls, "progress_at": at}

    def ignore_cancel(self) -> None:
        """Let no cancel stop the run from here on: what it submitted is read back, or its result compiled."""
        self._stoppable = False

    def suspend_calls(self) -> None:
        """Stop the call threads at their next check point, while the run is being put aside."""
        self._suspended = True

    def resume_calls(self) -> None:
        """Let calls be made again: the run was not put aside after all."""
        self._suspended = False

    @property
    def waiting(self) -> bool:
        """Whether a thread of the run waits: only the heartbeat can then let it know of a cancel or a loss."""
        return self._waiting > 0

    def tally(self, spaces: Iterable[RunSpace]) -> None:
        """Start counting from the spaces as they are."""
        self._tally = Tally.of(spaces)

    # What a job may ask

    def check(self) -> None:
        """Check point (any thread). Raises Interrupted."""
        if self.stop.is_set() or self._suspended:
            raise Interrupted("stopped")
        if self._trust_left() <= 0:
            raise Interrupted("the lease could not be kept")

    def safe_point(self) -> None:
        """Safe point. Raises CancelRequested or Interrupted; marks progress."""
        with self._counting:
            self._progress = self.clock.monotonic()
        if self._cancel_counts():
            raise CancelRequested
        self.check()

    def wait(self, seconds: float) -> None:
        """Wait (any thread). Raises Interrupted or CancelRequested within a second."""

        def ask() -> None:
            if self._cancel_counts():
                raise CancelRequested
            self.check()

        with self._counting:
            self._waiting += 1
        try:
            sleep(self.clock, seconds, ask)
        finally:
            with self._counting:
                self._waiting -= 1

    def call_seconds(self, *, write: bool) -> float:
        """Return how many seconds the next call may take in total. Raises Interrupted."""
        self.check()
        left = self._trust_left()
        if write and left < self._settings.write_trust:
            raise Interrupted("too little of the lease is left for a call that changes something")
        return min(self._settings.call_limit, left)

    def used(self, *, points: int, calls: int) -> None:
        """Count what a call cost (any thread)."""
        with self._counting:
            self._points += points
            self._calls += calls

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Exception]]:
        """Run `work` over `items` on the call threads; see addon.engine.job.Run."""
        return self.calls.map(work, items)

    def read(self) -> AbstractContextManager[Session]:
        """Open a read session of this tenant."""
        return self._context.db.read(self.tenant_id)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a fenced write transaction of this tenant. Raises Interrupted when the lease is gone."""
        if self.lost.is_set():
            raise Fenced("the lease is gone")
        tally, percent = self._tally, self._percent
        try:
            with self._context.db.write(self.tenant_id) as session:
                row = fenced(session, self.lease)
                if row.status == "cancelling":
                    self.cancelled.set()
                gathered = _Transaction(row, tally=tally)
                session.info[_TX] = gathered
                yield session
                self._flush(session, gathered)
                failpoints.boundary(session, "outcomes")
        except Fenced:
            self.lose_lease()
            raise
        except BaseException:
            self._tally, self._percent = tally, percent
            raise

    # What a job records, inside write()

    def begin(self, session: Session, spaces: Sequence[RunSpace]) -> None:
        """Mark spaces as running."""
        gathered = self._transaction(session)
        session.execute(
            sa.update(ExecutionSpace)
            .where(
                ExecutionSpace.execution_id == gathered.row.id,
                ExecutionSpace.space_id.in_([space.id for space in spaces]),
                ExecutionSpace.state == "pending",
            )
            .values(state="running", started_at=sa.func.coalesce(ExecutionSpace.started_at, self._now()))
            .execution_options(synchronize_session=False)
        )

    def save(
        self, session: Session, space: RunSpace, checkpoint: Mapping[str, Any], metrics: Metrics | None = None
    ) -> None:
        """Remember how far a space has come."""
        self._transaction(session)
        values: dict[str, Any] = {"checkpoint": dict(checkpoint)}
        if metrics is not None:
            values["metrics"] = dict(metrics)
        session.execute(
            sa.update(ExecutionSpace)
            .where(ExecutionSpace.execution_id == self.execution_id, ExecutionSpace.space_id == space.id)
            .values(values)
            .execution_options(synchronize_session=False)
        )

    def progress(self, session: Session, space: RunSpace, done: int, total: int) -> None:
        """Say how far a space in work has come."""
        gathered = self._transaction(session)
        gathered.tally = gathered.tally.inside(space.id, max(1, space.weight) * min(1.0, done / max(1, total)))
        gathered.moved = True

    def done(self, session: Session, space: RunSpace, metrics: Metrics) -> None:
        """End a space successfully with its own metrics."""
        self._end(session, space, "done", metrics=metrics)

    def failed(
        self, session: Session, space: RunSpace, reason: str, *, transient: bool, metrics: Metrics | None = None
    ) -> None:
        """End a space as failed."""
        self._end(session, space, "failed", reason=reason, transient=transient, metrics=metrics)

    def skipped(self, session: Session, space: RunSpace, reason: str) -> None:
        """End a space as skipped."""
        self._end(session, space, "skipped", reason=reason)

    def add(self, session: Session, metrics: Metrics) -> None:
        """Add to the execution's own metrics."""
        gathered = self._transaction(session)
        gathered.extra = add_metrics(gathered.extra, metrics)

    def items(self, session: Session, items: Sequence[Item]) -> None:
        """Append to the item log."""
        gathered = self._transaction(session)
        with self._counting:
            self._progress = self.clock.monotonic()
        first = gathered.row.item_seq + gathered.items + 1
        if items:
            append_items(session, self.tenant_id, self.execution_id, first, items, self._now())
            gathered.items += len(items)

    def _end(self, session: Session, space: RunSpace, state: str, **what: Any) -> None:
        gathered = self._transaction(session)
        weight = end_space(session, self.execution_id, space.id, state, at=self._now(), **what)
        if weight is None:
            return
        gathered.finished += 1
        gathered.moved = True
        gathered.tally = gathered.tally.plus(space.id, state, weight)

    def _flush(self, session: Session, gathered: _Transaction) -> None:
        """Write counters, progress, metrics and item numbers to the row this transaction has locked."""
        values = self.counters()
        if gathered.extra:
            values["extra_metrics"] = add_metrics(gathered.row.extra_metrics, gathered.extra)
        if gathered.items:
            values["item_seq"] = gathered.row.item_seq + gathered.items
        if gathered.moved:
            values |= self._come_to(gathered.tally)
        if gathered.finished:
            values |= {
                "lease_losses": 0,
                "spaces_done": gathered.tally.done,
                "spaces_failed": gathered.tally.failed,
            }
        session.execute(
            sa.update(JobExecution)
            .where(JobExecution.id == self.execution_id, JobExecution.fence == self.lease.fence)
            .values(values)
            .execution_options(synchronize_session=False)
        )

    def _come_to(self, tally: Tally) -> dict[str, Any]:
        """Take the tally for the run's own; return percentage and expected end as columns of the execution's row."""
        now = self.clock.monotonic()
        self._estimate.advance(now, tally.weight_gone_by - self._tally.weight_gone_by)
        self._percent = max(self._percent, tally.percent)
        self._tally = tally
        left = self._estimate.seconds_left(now, tally)
        end = None if left is None else self._now() + timedelta(seconds=min(left, LONGEST_ESTIMATE))
        return {"percent": self._percent, "expected_end_at": end}

    def _transaction(self, session: Session) -> _Transaction:
        gathered = session.info.get(_TX)
        if not isinstance(gathered, _Transaction) or gathered.row.id != self.execution_id:
            raise RuntimeError("outcomes are recorded in a session of run.write()")
        return gathered

    def _cancel_counts(self) -> bool:
        return self._stoppable and self.cancelled.is_set()

    def _trust_left(self) -> float:
        return self._trusted_until - self.clock.monotonic()

    def _now(self) -> datetime:
        return self.clock.now()
