"""Is this process still the owner of what it runs? One thread, one connection, one statement for all its executions."""

from __future__ import annotations

import logging
import threading
from typing import Any

import sqlalchemy as sa

from addon.base import sleep
from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.errors import log_failure
from addon.engine.models import JobExecution, Worker, is_active
from addon.engine.worker.run import ActiveRun

log = logging.getLogger(__name__)


class Heart:
    """Beats every ttl/4 for the registered runs: extends leases, flushes counters, learns of cancels and losses."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._runs: dict[str, ActiveRun] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: sa.Connection | None = None

    def start(self) -> bool:
        """Start the thread; False when it runs already."""
        with self._lock:
            if self._thread is not None:
                return False
            self._stop.clear()
            self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)
            self._thread.start()
            return True

    def stop(self) -> None:
        """Stop the thread and wait for it."""
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
        """Beat for it no more, so that its lease ends if nobody gave it back."""
        with self._lock:
            if self._runs.get(run.execution_id) is run:
                del self._runs[run.execution_id]

    def runs(self) -> list[ActiveRun]:
        """Return the runs of this process."""
        with self._lock:
            return list(self._runs.values())

    def run_of(self, execution_id: str) -> ActiveRun | None:
        """Return the run of one execution, if it is in this process."""
        with self._lock:
            return self._runs.get(execution_id)

    def beat(self) -> None:
        """Extend all leases by one statement. A run whose row did not answer is lost; raises on a database error."""
        runs = self.runs()
        began = self._context.clock.monotonic()
        alive = self._extend({run.execution_id: run for run in runs})
        for run in runs:
            status = alive.get((run.execution_id, run.lease.fence))
            if status is not None:
                run.trust(began)
                if status == "cancelling":
                    run.cancelled.set()
            elif self.run_of(run.execution_id) is run:
                run.lose()

    def listen(self) -> None:
        """Ask for the runs that wait whether they are cancelled or taken, which another process may have done."""
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
                    run.lose()
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
        if self._connection is None or self._connection.closed:
            self._connection = self._context.db.engine.connect().execution_options(steward_write=True)
        return self._connection

    def _disconnect(self, *, broken: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if broken:
                connection.invalidate()
            connection.close()

    def _rest(self, seconds: float) -> bool:
        """Wait for the next beat, listening for runs that wait; return whether the heart is to stop."""
        listening = True

        def listen() -> None:
            nonlocal listening
            if listening:
                try:
                    self.listen()
                except Exception as error:  # noqa: BLE001  (logged; the beat comes all the same)
                    listening = False
                    log_failure(log, error, "could not ask for cancels; the next beat does")

        return sleep(self._context.clock, seconds, listen, stop=self._stop)

    def _loop(self) -> None:
        pause = self._context.settings.beat
        while not self._rest(pause):
            pause = self._context.settings.beat
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001  (logged, and tried again)
                log_failure(log, error, "a heartbeat failed; it is tried again until the trust in the leases runs out")
                self._disconnect(broken=True)
                pause = self._context.settings.again
