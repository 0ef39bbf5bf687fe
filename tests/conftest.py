"""Fixtures shared by all tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_socket import socket_allow_hosts

from addon.base import Database, TenantId, metadata, new_id
from addon.connect.models import Tenant
from tests.support.clock import VirtualClock
from tests.support.postgres import postgres_database, postgres_server  # noqa: F401  (fixtures)

SLOW = {
    "benchmarks": "every case of the cost table, 10 s",
    "e2e": "a browser, or real processes that are started and killed",
    "soak": "processes that race, die and lose their database",
    "test_server": "senders and readers that are cut after their time, 7 s",
    "test_cron_count": "counts slots around every change of the clocks in 17 zones, 13 s",
    "test_database_faults": "connections that are cut and locked, PostgreSQL only, 16 s",
    "test_demo": "`steward demo` from start to end, 14 s",
    "test_exits": "260 ways out of a run, each ended by hand, 17 s",
    "test_failpoints": "a death at each of the engine's 124 commits, 30 s",
    "test_fuzz": "generated requests to every route, 25 s",
    "test_hostile_editors": "whatever an editor may write beside a page of others, 20 s",
    "test_hostile_neighbours": "attackers beside a victim on one running server, 19 s",
    "test_indexed": "the plans of every query over 12,000 executions, 9 s",
    "test_inner_loop": "collects all tests to see which are fast, 5 s",
    "test_kill": "a worker process is killed and the next takes over, 7 s",
    "test_many_tenants": "a tick over hundreds of tenants, 8 s",
    "test_model": "long random histories of the engine, 16 s",
    "test_model_finds_bugs": "the model against seven engines with a bug, 5 s",
    "test_one_person": "one person who asks without end, in real time, 34 s",
    "test_plain_model": "a random site refreshed and compared with the plain rule, 6 s",
    "test_points_go_back": "an hour's quota over a day of refreshes, and processes that end, 22 s",
    "test_polling_costs": "screens left open for an hour, 19 s",
    "test_quota_run": "runs that pause at their share of the hour, 4 s",
    "test_fairness": "tenants that compete for the hour, 7 s",
    "test_remote_faults": "every fault of a site, in real time, against each job, 34 s",
    "test_sigkill": "a mail sender killed in the middle, 3 s",
    "test_sqlite_faults": "locked files and full disks, in real time, 10 s",
}
"""What `make check` leaves to `make test`: folders and files of tests, with the reason and the seconds on one core.

Everything on PostgreSQL is left to it too: `make check` is for the inner loop and starts no server.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `SLOW` names and what needs a PostgreSQL server."""
    for item in items:
        named = SLOW.keys() & {*item.path.parent.parts, item.path.stem}
        if named or _on_postgresql(item):
            item.add_marker(pytest.mark.slow(SLOW[named.pop()] if named else "on PostgreSQL"))


def _on_postgresql(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return not {"postgres_server", "postgres_database"}.isdisjoint(fixtures) or not {
        "postgresql",
        "procrastinate",
    }.isdisjoint(str(value) for value in parameters.values())


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    """No test opens a connection to anything but this machine."""
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture
def clock() -> VirtualClock:
    """A clock at 2026-11-22 12:00 UTC that only the test turns."""
    return VirtualClock()


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The database's name; tests.support.postgres.BOTH asks for the other one too."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def database(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database with the schema of the models."""
    import addon.migrations.tables  # noqa: F401  (registers every table)

    if backend == "postgresql":
        yield request.getfixturevalue("postgres_database")
        return
    db = Database(f"sqlite:///{tmp_path / 'steward.sqlite3'}")
    metadata.create_all(db.engine)
    yield db
    db.dispose()


@pytest.fixture
def new_tenant(database: Database, clock: VirtualClock) -> Callable[..., TenantId]:
    """A function that stores an installed tenant (no lane, no policies) and returns its id."""
    numbers = itertools.count(1)

    def make(base_url: str = "https://one.atlassian.net/wiki") -> TenantId:
        tenant_id = TenantId(new_id())
        with database.write_all() as session:
            session.add(
                Tenant(
                    id=tenant_id,
                    client_key=f"client-{next(numbers)}-{tenant_id}",
                    base_url=base_url,
                    state="installed",
                    secret=b"sealed",
                    installed_at=clock.now(),
                    updated_at=clock.now(),
                )
            )
        return tenant_id

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Database:
    """An empty database, first SQLite, then PostgreSQL."""
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres_database")
    return found


@pytest.fixture
def tenant_in(clock: VirtualClock) -> Callable[..., TenantId]:
    """A function that stores a tenant, installed unless said otherwise, and returns its id."""

    def make(
        db: Database, *, uninstalled: bool = False, client_key: str | None = None, secret: bytes = b"s"
    ) -> TenantId:
        tenant_id = TenantId(new_id())
        with db.write_all() as session:
            session.add(
                Tenant(
                    id=tenant_id,
                    client_key=client_key or f"client-{tenant_id}",
                    base_url="https://one.atlassian.net/wiki",
                    state="uninstalled" if uninstalled else "installed",
                    enabled=not uninstalled,
                    secret=None if uninstalled else secret,
                    installed_at=clock.now(),
                    uninstalled_at=clock.now() if uninstalled else None,
                    updated_at=clock.now(),
                )
            )
        return tenant_id

    return make
