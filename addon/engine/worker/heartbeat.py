"""The heartbeat of a process, and the registry of the processes that beat.

One thread, one connection of its own, one statement for all executions that the process runs. Every ttl/4 it extends
their leases, stores their counters, and learns from the rows that come back which of them is cancelled; one whose row
does not come back is lost. A beat that fails leaves the leases as they are: it is tried again after ttl/16, and each
run trusts its lease no longer than the last good beat allows (docs/rules/executions.md 1.4).
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import get_logger, sleep
from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.errors import log_failure
from addon.engine.models import JobExecution, Worker, is_active
from addon.engine.worker.run import ActiveRun

log = get_logger(__name__)

SILENT_LEASES = 2
"""Leases for which a process may be silent before it counts as gone: until then it may be restarting."""
NO_WORKER = (
    "no worker: no process that runs jobs has sent a heartbeat for {seconds} seconds. "
    "Start `steward worker`, or serve with `steward serve --work`."
)


class Heartbeat:
    """The beats for the runs of this process, which register here from claim to end."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._runs: dict[str, ActiveRun] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: sa.Connection | None = None

    def start(self) -> bool:
        """Start the thread; return False when it runs already."""
        with self._lock:
            if self._thread is not None:
                return False
            self._stop.clear()
            self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)
            self._thread.start()
            return True

    def stop(self) -> None:
        """Stop the thread and wait for its end. Leases that are not given back run out from here on."""
        with self._lock:
            thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None:
            thread.join()
        self._disconnect(broken=False)

    def register(self, run: ActiveRun) -> None:
        """Beat for this run from now on."""
        with self._lock:
            self._runs[run.execution_id] = run

    def unregister(self, run: ActiveRun) -> None:
        """Beat for this run no more: its lease ends unless it was given back."""
        with self._lock:
            if self._runs.get(run.execution_id) is run:
                del self._runs[run.execution_id]

    def runs(self) -> list[ActiveRun]:
        """Return the runs of this process."""
        with self._lock:
            return list(self._runs.values())

    def run_of(self, execution_id: str) -> ActiveRun | None:
        """Return the run of one execution, or None when it is not in this process."""
        with self._lock:
            return self._runs.get(execution_id)

    def beat(self) -> None:
        """Extend all leases by one statement. A run whose row did not come back is lost; raises on a database error."""
        runs = self.runs()
        # Trust is counted from before the statement: how long the database took must not prolong it.
        began = self._context.clock.monotonic()
        alive = self._extend({run.execution_id: run for run in runs})
        for run in runs:
            status = alive.get((run.execution_id, run.lease.fence))
            if status is not None:
                run.extend_trust(began)
                if status == "cancelling":
                    run.cancelled.set()
            elif self.run_of(run.execution_id) is run:
                run.lose_lease()

    def check_waiting(self) -> None:
        """Ask whether the runs that wait are cancelled or lost, which another process may have caused.

        A run that works learns of a cancel with its next write; one that waits writes nothing, and would otherwise
        hear of it a beat later. Raises on a database error.
        """
        waiting = {run.execution_id: run for run in self.runs() if run.waiting}
        if not waiting:
            return
        row = JobExecution
        with self._context.db.read_all() as session:
            asked = sa.select(row.id, row.owner, row.fence, row.status).where(row.id.in_(waiting))
            found = {each.id: each for each in session.execute(asked)}
        for execution_id, run in waiting.items():
            each = found.get(execution_id)
            if each is None or (each.owner, each.fence) != (run.lease.owner, run.lease.fence):
                if self.run_of(execution_id) is run:
                    run.lose_lease()
            elif each.status == "cancelling":
                run.cancelled.set()

    def _extend(self, runs: dict[str, ActiveRun]) -> dict[tuple[str, int], str]:
        worker = Worker.__table__
        connection = self._connect()
        alive: dict[tuple[str, int], str] = {}
        with connection.begin():
            if runs:
                for found in connection.execute(self._statement(runs)):
                    alive[(found.id, found.fence)] = found.status
            beat = sa.update(Worker).where(worker.c.id == self._context.worker_id)
            connection.execute(beat.values(heartbeat_at=self._context.time.now()))
            failpoints.hit("heartbeat:before")
        failpoints.hit("heartbeat:after")
        return alive

    def _statement(self, runs: dict[str, ActiveRun]) -> Any:
        row = JobExecution.__table__.c
        counters = {key: run.counters() for key, run in runs.items()}
        values: dict[str, Any] = {
            name: sa.case(
                {key: counter[name] for key, counter in counters.items()},
                value=row.id,
                else_=row[name],
            )
            for name in ("points", "calls", "progress_at")
        }
        values["lease_until"] = self._context.time.after(self._context.settings.ttl)
        return (
            sa.update(JobExecution.__table__)  # type: ignore[arg-type]
            .where(
                row.owner == self._context.worker_id,
                is_active(),
                sa.or_(*(sa.and_(row.id == key, row.fence == run.lease.fence) for key, run in runs.items())),
            )
            .values(values)
            .returning(row.id, row.fence, row.status)
        )

    def _connect(self) -> sa.Connection:
        # Kept for life: a beat that queues for a connection behind busy threads could come too late for the leases.
        if self._connection is None or self._connection.closed:
            self._connection = self._context.db.engine.connect().execution_options(steward_write=True)
        return self._connection

    def _disconnect(self, *, broken: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if broken:
                connection.invalidate()
            connection.close()

    def _wait(self, seconds: float) -> bool:
        """Wait for the next beat, checking every second on the runs that wait; return whether the thread has to end."""
        checking = True

        def check() -> None:
            nonlocal checking
            if checking:
                try:
                    self.check_waiting()
                except Exception as error:  # noqa: BLE001  (logged; the next beat comes all the same)
                    checking = False
                    log_failure(
                        log, error, "could not check for cancels; the next beat does", action="cancel_check_failed"
                    )

        return sleep(self._context.clock, seconds, check, stop=self._stop)

    def _loop(self) -> None:
        pause = self._context.settings.beat
        while not self._wait(pause):
            pause = self._context.settings.beat
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001  (logged, and tried again)
                log_failure(
                    log,
                    error,
                    "a heartbeat failed; it is tried again until the trust in the leases runs out",
                    action="heartbeat_failed",
                )
                self._disconnect(broken=True)
                pause = self._context.settings.again


def workers(session: Session, now: datetime, lease_seconds: float) -> int:
    """Return how many processes run executions; one that only serves screens does not count.

    Parameters: `lease_seconds` is a lease's length. A process counts as gone after SILENT_LEASES of them.
    """
    near = timedelta(seconds=SILENT_LEASES * lease_seconds)
    beats = Worker.heartbeat_at.between(now - near, now + near)
    # A process of an older version does not say how many it runs.
    runs = sa.or_(Worker.runners.is_(None), Worker.runners > 0)
    return session.scalar(sa.select(sa.func.count()).select_from(Worker).where(beats, runs)) or 0


def no_worker(session: Session, now: datetime, lease_seconds: float) -> str | None:
    """Return, for operators, that no process runs executions and what to do, or None when one does.

    Parameters are as for `workers`. What is started meanwhile waits, and begins as soon as a worker is there.
    """
    if workers(session, now, lease_seconds):
        return None
    return NO_WORKER.format(seconds=round(SILENT_LEASES * lease_seconds))


def any_process(session: Session, now: datetime, lease_seconds: float) -> bool:
    """Return whether any process beats, those included that only serve screens. Parameters are as for `workers`."""
    last = session.scalar(sa.select(sa.func.max(Worker.heartbeat_at)))
    return last is not None and now - last <= timedelta(seconds=SILENT_LEASES * lease_seconds)
