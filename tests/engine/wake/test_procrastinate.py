"""Wakes travel with the transaction that they announce, and a dead worker leaves nothing that could block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from procrastinate import App, PsycopgConnector

from addon.base import Database, SystemClock, TenantId
from addon.engine.wake.procrastinate import (
    TASK,
    ProcrastinateDispatcher,
    WakeWorker,
    apply_schema,
    finish_stalled,
    missing,
)
from addon.migrations import schema
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture
def queue(database: Database) -> Iterator[Database]:
    with database.engine.begin() as connection:
        apply_schema(connection)
        connection.execute(sa.text("DELETE FROM procrastinate_jobs"))
    yield database
    with database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM procrastinate_jobs"))


def wakes(db: Database) -> list[tuple[str, str, str | None]]:
    with db.engine.connect() as connection:
        found = connection.execute(
            sa.text("SELECT queueing_lock, status::text, lock FROM procrastinate_jobs ORDER BY id")
        )
        return [tuple(row) for row in found]


async def pruned(db: Database) -> int:
    async with App(connector=PsycopgConnector(conninfo=db.conninfo())).open_async() as app:
        return await finish_stalled(app.job_manager)


def test_a_wake_commits_or_rolls_back_with_what_it_announces(
    queue: Database, new_tenant: Callable[[], TenantId]
) -> None:
    dispatcher, tenant = ProcrastinateDispatcher(), new_tenant()

    def die() -> None:
        with queue.write(tenant) as session:
            dispatcher.wake(session, tenant)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die()
    assert wakes(queue) == []
    with queue.write(tenant) as session:
        dispatcher.wake(session, tenant)
    assert wakes(queue) == [(tenant, "todo", None)]


def test_a_wake_in_a_savepoint_that_is_undone_waits_for_the_transactions_end(
    queue: Database, new_tenant: Callable[[], TenantId]
) -> None:
    dispatcher, tenant = ProcrastinateDispatcher(), new_tenant()
    with queue.write(tenant) as session:
        with session.begin_nested():
            dispatcher.wake(session, tenant)
        assert session.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs")) == 0
        with session.begin_nested() as undone:
            session.execute(sa.text("SELECT 1"))
            undone.rollback()
    assert wakes(queue) == [(tenant, "todo", None)]


def test_a_tenant_that_is_woken_already_is_not_woken_twice_and_nothing_else_is_undone(
    queue: Database, new_tenant: Callable[[], TenantId]
) -> None:
    dispatcher, tenant, other = ProcrastinateDispatcher(), new_tenant(), new_tenant()
    for _ in range(2):
        with queue.write_all() as session:
            session.execute(sa.text("UPDATE tenant SET base_url = base_url || 'x' WHERE id = :id"), {"id": tenant})
            dispatcher.wake(session, tenant)
    with queue.write_all() as session:
        dispatcher.wake(session, other)
        dispatcher.wake(session, tenant)
    assert sorted(wakes(queue)) == sorted([(tenant, "todo", None), (other, "todo", None)])
    with queue.read_all() as session:
        url = session.scalar(sa.text("SELECT base_url FROM tenant WHERE id = :id"), {"id": tenant})
    assert url is not None
    assert url.endswith("xx")


def test_a_queue_that_is_broken_costs_a_tick_and_never_the_work(
    queue: Database, new_tenant: Callable[[], TenantId], caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher, tenant = ProcrastinateDispatcher(), new_tenant()
    with queue.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE procrastinate_jobs RENAME TO elsewhere"))
    try:
        with queue.write(tenant) as session:
            session.execute(sa.text("UPDATE tenant SET base_url = 'kept' WHERE id = :id"), {"id": tenant})
            dispatcher.wake(session, tenant)
    finally:
        with queue.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO procrastinate_jobs"))
    with queue.read_all() as session:
        assert session.scalar(sa.text("SELECT base_url FROM tenant")) == "kept"
    assert "the next reaper tick does" in caplog.text


def test_a_wake_makes_a_worker_work_once_and_leaves_nothing(
    queue: Database, new_tenant: Callable[[], TenantId]
) -> None:
    dispatcher, tenant, woken = ProcrastinateDispatcher(), new_tenant(), threading.Semaphore(0)

    def work() -> bool:
        woken.release()
        return True

    worker = WakeWorker(queue, SystemClock(), work, 2)
    worker.start()
    try:
        for _ in range(2):
            with queue.write(tenant) as session:
                dispatcher.wake(session, tenant)
            assert woken.acquire(timeout=60)
            eventually(lambda: wakes(queue) == [])
    finally:
        assert worker.stop(60)


def test_a_worker_whose_connections_were_cut_listens_again(
    queue: Database, new_tenant: Callable[[], TenantId], caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher, tenant, woken = ProcrastinateDispatcher(), new_tenant(), threading.Event()

    def work() -> bool:
        woken.set()
        return True

    def listening() -> list[int]:
        with queue.engine.connect() as connection:
            found = connection.execute(
                sa.text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
            )
            return [row.pid for row in found]

    worker = WakeWorker(queue, SystemClock(), work, 1)
    worker.start()
    try:
        before = eventually(listening)
        with queue.engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": before[0]})
        eventually(lambda: set(listening()) - set(before))
        with queue.write(tenant) as session:
            dispatcher.wake(session, tenant)
        assert woken.wait(60)
    finally:
        assert worker.stop(60)


def test_what_a_dead_worker_had_taken_is_pruned(queue: Database, new_tenant: Callable[[], TenantId]) -> None:
    dead, alive, waiting = new_tenant(), new_tenant(), new_tenant()
    with queue.engine.begin() as connection:
        for tenant, age in ((dead, "1 hour"), (alive, "1 second")):
            connection.execute(
                sa.text(
                    "WITH w AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                    " VALUES (now() - CAST(:age AS interval)) RETURNING id)"
                    " INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status, worker_id)"
                    " SELECT 'steward', :task, :tenant, 'doing', id FROM w"
                ),
                {"age": age, "task": TASK, "tenant": tenant},
            )
    with queue.write(waiting) as session:
        ProcrastinateDispatcher().wake(session, waiting)
    # A thread of its own: a browser that another test opened in this process leaves a loop running in the main one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, pruned(queue)).result() == 1
    assert sorted(wakes(queue)) == sorted([(alive, "doing", None), (waiting, "todo", None)])


def test_migrating_makes_the_queues_tables_once_and_says_when_they_are_missing(
    postgres_server: PostgresServer, backend: str
) -> None:
    postgres_server.execute("CREATE DATABASE with_queue")
    db = Database(postgres_server.url("with_queue"))
    with db.engine.connect() as connection:
        assert missing(connection) is not None
    errors: list[BaseException] = []

    def migrate() -> None:
        try:
            schema.upgrade(db)
        except BaseException as error:  # noqa: BLE001  (handed to the test)
            errors.append(error)

    both = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert errors == []
    schema.require_current(db)
    assert schema.differences(db) == []
    with db.engine.begin() as connection:
        connection.execute(sa.text("COMMENT ON TABLE procrastinate_jobs IS '3.9.9'"))
    with pytest.raises(schema.SchemaOutdated, match=r"procrastinate's tables are at version 3.9.9"):
        schema.require_current(db)
    schema.upgrade(db)
    schema.require_current(db)
    db.dispose()
