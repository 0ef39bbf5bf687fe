"""Wakes between the processes on one PostgreSQL, carried by procrastinate. They are hints: our rows are the truth.

A wake is a job `engine.wake` in procrastinate's table, inserted on the session's own connection, so that it commits or
rolls back with what it announces. procrastinate's `lock`, retries and recovery are not used: a dead worker that had a
`lock` would keep the tenant blocked permanently, and what a dead process was doing is found by our leases.
Only its documented interface is used (docs/adr/0043-procrastinate-by-its-documented-interface.md).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from procrastinate import App, JobContext, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from addon.base import PATIENCE, Clock, Database, TenantId, get_logger

log = get_logger(__name__)

TASK = "engine.wake"
PRUNE_TASK = "engine.prune_wakes"
QUEUE = "steward"
_PENDING = "steward_wake_tenants"
_RESTART_SECONDS = 2.0
_CONNECT_SECONDS = 5.0
"""How long the worker's pool looks for a connection, with waits that double: then a new pool begins with short ones."""
_POLL_SECONDS = 5.0
_PRUNED = "*/10 * * * *"
_HEARTBEAT_SECONDS = 10.0
_STALLED_SECONDS = 120
"""A worker that has been silent for so long is taken for dead. Nothing depends on it but the wakes it had taken."""


class ProcrastinateDispatcher:
    """Wakes a worker process by a job in the same transaction."""

    def __init__(self) -> None:
        # Never opened: every statement goes over the connection of the session that wakes.
        self._app = App(connector=SyncPsycopgConnector())

    def wake(self, session: Session, tenant_id: TenantId) -> None:
        """Insert the wake as the last statement of the transaction; a rollback leaves nothing of it.

        Last, because two transactions that wake for one tenant block each other from that statement to the commit.
        """
        pending: dict[TenantId, None] | None = session.info.get(_PENDING)
        if pending is None:
            pending = session.info[_PENDING] = {}
            event.listen(session, "before_commit", self._defer)
            event.listen(session, "after_soft_rollback", _forget)
        pending[tenant_id] = None

    def _defer(self, session: Session) -> None:
        pending: dict[TenantId, None] = session.info[_PENDING]
        # Fires at the release of a savepoint too, which is not the end of the transaction.
        if not pending or session.in_nested_transaction():
            return
        session.flush()
        for tenant_id in sorted(pending):
            self._insert(session.connection(), tenant_id)
        pending.clear()

    def _insert(self, connection: sa.Connection, tenant_id: TenantId) -> None:
        """Insert one wake in a savepoint, so that a failure to insert it undoes nothing else."""
        savepoint = connection.begin_nested()
        job = self._app.configure_task(
            TASK, queue=QUEUE, queueing_lock=tenant_id, connection=connection.connection.dbapi_connection
        )
        try:
            job.defer()
        except AlreadyEnqueued:
            savepoint.rollback()
        except ConnectorException:
            savepoint.rollback()
            log.warning(
                "could not wake a worker; the next reaper tick does",
                action="wake_failed",
                tenant=tenant_id,
                exc_info=True,
            )
        else:
            savepoint.commit()


def _forget(session: Session, ended: SessionTransaction) -> None:
    # A wake too many after a savepoint's rollback finds nothing to claim; one too few would cost a tick.
    if not ended.nested:
        session.info[_PENDING].clear()


class WakeWorker:
    """A procrastinate worker in a thread of its own, with its own event loop.

    Each wake calls `work` once, in a thread of the worker's pool. procrastinate ends its worker when a side task of it
    fails, such as the listener that has lost its connection; it is then started again after some seconds.
    """

    def __init__(self, db: Database, clock: Clock, work: Callable[[], bool], concurrency: int) -> None:
        """`work` claims and drives one execution, of which `concurrency` may run at once. Its result is ignored."""
        self._conninfo = db.conninfo()
        self._patience = db.patience or PATIENCE
        self._clock = clock
        self._work = work
        self._concurrency = concurrency
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wakes", daemon=True)
        self._stop: Callable[[], object] | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start listening for wakes."""
        self._thread.start()

    def stop(self, wait_seconds: float) -> bool:
        """Take no more wakes; return whether the thread ended in time. Stop the engine first: it ends the runs."""
        self._stopping.set()
        with self._guard:
            if self._stop is not None:
                self._stop()
        self._thread.join(wait_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._listen())
            except Exception:
                log.exception("the worker has lost its queue; it listens again", action="queue_lost")
            self._clock.wait(self._stopping, _RESTART_SECONDS)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="runner")
        loop.set_default_executor(pool)
        stop = asyncio.Event()
        connector = PsycopgConnector(
            conninfo=self._conninfo,
            min_size=1,
            max_size=4,
            timeout=_CONNECT_SECONDS,
            reconnect_timeout=_CONNECT_SECONDS,
        )
        app = App(connector=connector)
        app.task(name=TASK, queue=QUEUE)(self._woken)
        prune = app.task(name=PRUNE_TASK, queue=QUEUE, queueing_lock=PRUNE_TASK, pass_context=True)(_prune)
        # Also because procrastinate 3.10 watches its listener and its heartbeat only where something is periodic: the
        # watch ends with the first side task that ends, and without periodic tasks the deferrer does so at once.
        app.periodic(cron=_PRUNED)(prune)
        async with app.open_async():
            with self._guard:
                self._stop = lambda: loop.call_soon_threadsafe(stop.set)
                if self._stopping.is_set():
                    stop.set()
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self._concurrency,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    update_heartbeat_interval=_HEARTBEAT_SECONDS,
                    stalled_worker_timeout=_STALLED_SECONDS,
                    delete_jobs="always",
                    install_signal_handlers=False,
                )
            )
            stopping = asyncio.create_task(stop.wait())
            silent = asyncio.create_task(self._until_silent(app))
            tasks = {worker, stopping, silent}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if silent.done():
                    log.warning(
                        "the database gives the worker no answer; it listens again",
                        action="queue_silent",
                        error=silent.result(),
                    )
            finally:
                with self._guard:
                    self._stop = None
                for task in tasks:
                    task.cancel()
                # What waits for a silent database is left to the end of the loop, which cancels it once more.
                patience = None if stop.is_set() else self._patience
                ended, _ = await asyncio.wait(tasks, timeout=patience)
                await asyncio.gather(*ended, return_exceptions=True)

    async def _until_silent(self, app: App) -> str:
        """Return the reason as soon as the database does not answer.

        procrastinate notices a connection that breaks. One on which nothing arrives any more, it waits for.
        """
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                async with asyncio.timeout(self._patience):
                    await app.job_manager.check_connection_async()
            except (TimeoutError, ConnectorException) as error:
                return repr(error)

    def _woken(self) -> None:
        if not self._stopping.is_set():
            self._work()


async def _prune(context: JobContext, timestamp: int) -> None:
    await finish_stalled(context.app.job_manager)


async def finish_stalled(jobs: JobManager) -> int:
    """Delete the wakes that dead workers had taken and never finished; return how many.

    They are hints that were followed: what the dead had claimed comes back by its lease. The rows of dead workers
    themselves are deleted by procrastinate, whenever a worker starts.
    """
    stalled = await jobs.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=_STALLED_SECONDS)
    finished = 0
    for job in stalled:
        # Refused when the worker was only slow and has finished it meanwhile.
        with suppress(ConnectorException):
            await jobs.finish_job(job, status=Status.FAILED, delete_job=True)
            finished += 1
    return finished


def apply_schema(connection: sa.Connection) -> None:
    """Bring procrastinate's tables to those of the installed version, in the caller's transaction. Idempotent.

    A new database gets the whole schema, an older one each script of a later version in the order of their names, as
    procrastinate prescribes. It leaves to its users to note what was applied: here the comment of a table says that.
    """
    found, wanted = _applied(connection), _wanted()
    if found == wanted:
        return
    raw: Any = connection.connection.dbapi_connection
    if found is None:
        raw.execute(SchemaManager.get_schema())
    else:
        for script in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
            if _version(script.name) > _version(found):
                raw.execute(script.read_bytes())
    raw.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{wanted}'")


def missing(connection: sa.Connection) -> str | None:
    """Return, for operators, what is missing before workers can be woken, or None when nothing is."""
    found = _applied(connection)
    if found is None or _version(found) < _version(_wanted()):
        return f"procrastinate's tables are at version {found or 'none'}, this one is {_wanted()}."
    return None


def _applied(connection: sa.Connection) -> str | None:
    statement = "SELECT coalesce(obj_description(to_regclass('procrastinate_jobs')), '0') WHERE to_regclass("
    found: str | None = connection.scalar(sa.text(f"{statement}'procrastinate_jobs') IS NOT NULL"))
    return found


def _wanted() -> str:
    return version("procrastinate")


def _version(text: str) -> tuple[int, int, int]:
    """Return the version in "3.10.0" or in the name of a script, "03.04.00_01_pre_….sql"."""
    first, second, third = (int(part) for part in (text.split("_")[0].removesuffix(".sql") + ".0.0").split(".")[:3])
    return first, second, third
