"""A run without an engine: the Run protocol over a real database, for tests of what jobs do.

`trace` keeps what happened to spaces. `stop_at` makes the n-th check point raise Interrupted (a lost lease), `cancel`
asks for a cancel; both as addon.engine.job.Run promises it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, new_id, sleep
from addon.engine.job import Abandon, CancelRequested, Fatal, Interrupted, Item, Job, Metrics, Pause, RunSpace
from addon.engine.models import ExecutionItem, ExecutionSpace, JobExecution
from addon.engine.state.finish import add_metrics

A = TypeVar("A")
B = TypeVar("B")


class FakeRun:
    """Implements addon.engine.job.Run on one thread."""

    def __init__(
        self,
        db: Database,
        tenant_id: TenantId,
        clock: Clock,
        *,
        job_type: str = "refresh-statuses",
        scope: str = "site",
        space_id: str | None = None,
        space_key: str | None = None,
        trigger: str = "manual",
        params: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        policy_version: int = 0,
    ) -> None:
        self.db = db
        self.tenant_id = tenant_id
        self.execution_id = new_id()
        self.job_type = job_type
        self.scope = scope
        self.space_id = space_id
        self.space_key = space_key
        self.trigger = trigger
        self.attempt = 1
        self.dry_run = dry_run
        self.policy_version = policy_version
        self.generation = 1
        self.params: Mapping[str, Any] = params or {}
        self.clock = clock
        self.points = 0
        self.calls = 0
        self.checks = 0
        self.stop_at: int | None = None
        self.lost = False
        self.cancelled = threading.Event()
        self.on_safe_point: Callable[[int], None] = lambda count: None
        self.safe_points = 0
        self.extra: dict[str, Any] = {}
        self.logged: list[Item] = []
        self.trace: list[tuple[str, str, str | None]] = []
        self.progressed: list[tuple[str, int, int]] = []
        with db.write_all() as session:
            session.execute(
                sa.update(JobExecution)
                .where(JobExecution.tenant_id == tenant_id, JobExecution.ended_at.is_(None))
                .values(status="successful", ended_at=clock.now())
            )
            session.add(
                JobExecution(
                    id=self.execution_id,
                    tenant_id=tenant_id,
                    job_type=job_type,
                    scope=scope,
                    trigger=trigger,
                    params=dict(self.params),
                    policy_version=policy_version,
                    dry_run=dry_run,
                    status="running",
                    started_at=clock.now(),
                )
            )

    # driving it

    def go(self, job: Job) -> dict[str, Any]:
        """List, work and finalize as the engine would; return the final metrics."""
        self.fix(job.list_spaces(self))
        job.work(self, self.left())
        return self.end(job)

    def fix(self, spaces: Sequence[RunSpace]) -> None:
        """Store the space list."""
        with self.db.write(self.tenant_id) as session:
            session.execute(sa.update(JobExecution).where(JobExecution.id == self.execution_id).values(listed=True))
            for position, space in enumerate(spaces):
                session.add(
                    ExecutionSpace(
                        tenant_id=self.tenant_id,
                        execution_id=self.execution_id,
                        space_id=space.id,
                        space_key=space.key,
                        name=space.name,
                        type=space.type,
                        position=position,
                        weight=space.weight,
                        state=space.state,
                        reason=space.reason,
                    )
                )

    def left(self) -> list[RunSpace]:
        """Return the spaces still to be done, as a new owner would get them."""
        return [space for space in self.spaces().values() if space.state in ("pending", "running")]

    def end(self, job: Job) -> dict[str, Any]:
        """Finalize and return the final metrics."""
        totals = add_metrics(self.extra, {})
        with self.db.read(self.tenant_id) as session:
            for metrics in session.scalars(self._mine(ExecutionSpace.metrics)):
                totals = add_metrics(totals, metrics)
        return job.compile(add_metrics(totals, job.finalize(self)))

    def spaces(self) -> dict[str, RunSpace]:
        """Return all spaces of the run by key."""
        with self.db.read(self.tenant_id) as session:
            rows = session.scalars(
                sa.select(ExecutionSpace)
                .where(ExecutionSpace.execution_id == self.execution_id)
                .order_by(ExecutionSpace.position)
            )
            return {
                row.space_key: RunSpace(
                    row.space_id,
                    row.space_key,
                    row.name,
                    row.type,
                    row.weight,
                    row.state,
                    row.checkpoint,
                    row.reason,
                )
                for row in rows
            }

    def states(self) -> dict[str, str]:
        """Return {space key: state}."""
        return {key: space.state for key, space in self.spaces().items()}

    def metrics_of(self, key: str) -> dict[str, Any]:
        """Return one space's own metrics."""
        with self.db.read(self.tenant_id) as session:
            return dict(
                session.scalars(self._mine(ExecutionSpace.metrics).where(ExecutionSpace.space_key == key)).one()
            )

    # addon.engine.job.Run

    def check(self) -> None:
        self.checks += 1
        if self.lost or (self.stop_at is not None and self.checks >= self.stop_at):
            raise Interrupted("the test took the lease")

    def safe_point(self) -> None:
        self.safe_points += 1
        self.on_safe_point(self.safe_points)
        if self.cancelled.is_set():
            raise CancelRequested

    def wait(self, seconds: float) -> None:
        def ask() -> None:
            if self.cancelled.is_set():
                raise CancelRequested
            self.check()

        sleep(self.clock, seconds, ask)

    def call_seconds(self, *, write: bool) -> float:
        self.check()
        return 30.0

    def used(self, *, points: int, calls: int) -> None:
        self.points += points
        self.calls += calls

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Exception]]:
        for item in items:
            if self.cancelled.is_set():
                raise CancelRequested
            self.check()
            result: B | Exception
            try:
                result = work(item)
            except (Interrupted, CancelRequested, Pause, Abandon, Fatal):
                raise
            except Exception as error:  # noqa: BLE001
                result = error
            yield item, result

    def read(self) -> Any:
        return self.db.read(self.tenant_id)

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self.lost:
            raise Interrupted("the test took the lease")
        before, extra = list(self.logged), dict(self.extra)
        try:
            with self.db.write(self.tenant_id) as session:
                yield session
        except BaseException:
            self.logged, self.extra = before, extra
            raise

    def begin(self, session: Session, spaces: Sequence[RunSpace]) -> None:
        for space in spaces:
            self._update(session, space, state="running")

    def save(
        self, session: Session, space: RunSpace, checkpoint: Mapping[str, Any], metrics: Metrics | None = None
    ) -> None:
        more = {} if metrics is None else {"metrics": dict(metrics)}
        self._update(session, space, checkpoint=dict(checkpoint), **more)

    def progress(self, session: Session, space: RunSpace, done: int, total: int) -> None:
        self.progressed.append((space.key, done, total))

    def done(self, session: Session, space: RunSpace, metrics: Metrics) -> None:
        self.trace.append(("done", space.key, None))
        self._update(session, space, state="done", metrics=dict(metrics))

    def failed(
        self, session: Session, space: RunSpace, reason: str, *, transient: bool, metrics: Metrics | None = None
    ) -> None:
        self.trace.append(("failed", space.key, reason))
        self._update(session, space, state="failed", reason=reason, transient=transient, metrics=dict(metrics or {}))

    def skipped(self, session: Session, space: RunSpace, reason: str) -> None:
        self.trace.append(("skipped", space.key, reason))
        self._update(session, space, state="skipped", reason=reason)

    def add(self, session: Session, metrics: Metrics) -> None:
        self.extra = add_metrics(self.extra, metrics)

    def items(self, session: Session, items: Sequence[Item]) -> None:
        rows = [
            {
                "tenant_id": self.tenant_id,
                "execution_id": self.execution_id,
                "seq": seq,
                "space_id": item.space.id,
                "space_key": item.space.key,
                "content_id": item.content_id,
                "title": item.title,
                "action": item.action,
                "outcome": item.outcome,
                "reason": item.reason,
                "at": self.clock.now(),
            }
            for seq, item in enumerate(items, len(self.logged) + 1)
        ]
        if rows:
            session.execute(sa.insert(ExecutionItem), rows)
        self.logged = [*self.logged, *items]

    def _update(self, session: Session, space: RunSpace, **values: Any) -> None:
        session.execute(
            sa.update(ExecutionSpace)
            .where(
                ExecutionSpace.execution_id == self.execution_id,
                ExecutionSpace.space_id == space.id,
                ExecutionSpace.state.in_(("pending", "running")),
            )
            .values(**values)
        )

    def _mine(self, column: Any) -> Any:
        return sa.select(column).where(ExecutionSpace.execution_id == self.execution_id)
