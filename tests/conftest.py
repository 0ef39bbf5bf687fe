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
