"""How do processes on one PostgreSQL wake each other? By procrastinate, which carries hints; our rows are the truth.

A wake is a job `engine.wake` in procrastinate's table, inserted on the session's own connection, so it commits or rolls
back with what it announces. procrastinate's `lock`, retries, periodic tasks and recovery are not used: a dead worker
that held a `lock` would keep the tenant blocked for good, and what died is found by our leases.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.schema import SchemaManager
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from addon.base import Clock, Database, TenantId
from addon.base.patience import PATIENCE

log = logging.getLogger(__name__)

TASK = "engine.wake"
QUEUE = "steward"
_PENDING = "steward_wake_tenants"
_RESTART_SECONDS = 2.0
_POLL_SECONDS = 5.0
_WATCH_SECONDS = 1.0
_HEARTBEAT_SECONDS = 10.0
_DEAD_SECONDS = 120.0
_SIDE_TASKS = {"listener", "update_heartbeats"}
"""As procrastinate names them."""


class ProcrastinateDispatcher:
    """Wakes a worker process by a job in the same transaction."""

    def __init__(self) -> None:
        # Never opened: every statement goes over the connection of the session that wakes.
        self._app = App(connector=SyncPsycopgConnector())

    def wake(self, session: Session, tenant_id: TenantId) -> None:
        """Insert the wake as the last thing of the transaction; nothing is left of it after a rollback.

        Last, because two transactions that wake for one tenant wait for each other from there to the commit.
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
        """Insert one wake in a savepoint: that one waits already, or cannot be written, must not undo the rest."""
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
            log.warning("could not wake a worker; the next reaper tick does", exc_info=True)
        else:
            savepoint.commit()


def _forget(session: Session, ended: SessionTransaction) -> None:
    # A wake too many after a savepoint's rollback finds nothing to claim; one too few would cost a tick.
    if not ended.nested:
        session.info[_PENDING].clear()


class WakeWorker:
    """A procrastinate worker in a thread of its own; each wake runs `work` once in a thread of its pool."""

    def __init__(self, db: Database, clock: Clock, work: Callable[[], bool], concurrency: int) -> None:
        """`work` claims and drives one execution; `concurrency` is how many at once."""
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
        # A procrastinate worker ends when a side task of it fails (a lost connection): then it is started anew.
        while not self._stopping.is_set():
            try:
                asyncio.run(self._listen())
            except Exception:
                log.exception("the worker lost its queue; it listens again")
            self._clock.wait(self._stopping, _RESTART_SECONDS)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="runner")
        loop.set_default_executor(pool)
        stop = asyncio.Event()
        connector = PsycopgConnector(
            conninfo=self._conninfo, min_size=1, max_size=4, timeout=30.0, reconnect_timeout=30.0
        )
        app = App(connector=connector)
        app.task(name=TASK, queue=QUEUE)(self._woken)
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
                    stalled_worker_timeout=_DEAD_SECONDS,
                    delete_jobs="always",
                    install_signal_handlers=False,
                )
            )
            told = asyncio.create_task(stop.wait())
            deaf = asyncio.create_task(self._until_deaf(connector))
            try:
                await asyncio.wait({worker, told, deaf}, return_when=asyncio.FIRST_COMPLETED)
                if deaf.done():
                    log.warning("the worker hears no wakes any more (%s); it listens again", deaf.result())
            finally:
                with self._guard:
                    self._stop = None
                for task in (told, deaf, worker):
                    task.cancel()
                # What waits for a silent database is left to the end of the loop, which cancels it once more.
                patience = None if stop.is_set() else self._patience
                ended, _ = await asyncio.wait({told, deaf, worker}, timeout=patience)
                await asyncio.gather(*ended, return_exceptions=True)

    async def _until_deaf(self, connector: PsycopgConnector) -> str:
        """Return the reason as soon as wakes do not arrive any more.

        procrastinate goes on without its listener or its heartbeat when one of them fails: they have to be watched.
        """
        complete, rounds = False, 0
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            rounds += 1
            dead = _SIDE_TASKS - {task.get_name() for task in asyncio.all_tasks()}
            if dead and (complete or rounds * _WATCH_SECONDS > 2 * self._patience):
                return f"no {', '.join(sorted(dead))}"
            complete = complete or not dead
            if rounds * _WATCH_SECONDS % _POLL_SECONDS == 0:
                try:
                    async with asyncio.timeout(self._patience):
                        await connector.execute_query_one_async("SELECT 1 AS one")
                except (TimeoutError, ConnectorException) as error:
                    return f"no answer: {error!r}"

    def _woken(self) -> None:
        if not self._stopping.is_set():
            self._work()


def apply_schema(connection: sa.Connection) -> None:
    """Bring procrastinate's tables to the installed version's. Works in the caller's transaction; idempotent."""
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
    # procrastinate itself does not note what was applied.
    raw.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{wanted}'")


def missing(connection: sa.Connection) -> str | None:
    """Return what is missing before workers can be woken, or None."""
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
    """Read "3.10.0" and "03.04.00_01_pre_….sql" alike."""
    first, second, third = (int(part) for part in (text.split("_")[0].removesuffix(".sql") + ".0.0").split(".")[:3])
    return first, second, third


def prune(db: Database) -> int:
    """Delete the wakes that dead workers had taken and never put away; return how many.

    They are hints that were followed: what the dead had claimed comes back by its lease.
    """
    with db.engine.begin() as connection:
        connection.execute(
            sa.text("DELETE FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => :dead)"),
            {"dead": _DEAD_SECONDS},
        )
        return connection.execute(
            sa.text(
                "DELETE FROM procrastinate_jobs WHERE task_name = :task AND status <> 'todo' AND worker_id IS NULL"
            ),
            {"task": TASK},
        ).rowcount
