"""A database of either kind, and tenants in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from addon.base import Database, TenantId, new_id
from addon.connect.models import Tenant
from tests.support.clock import VirtualClock


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Database:
    """An empty database, first SQLite, then PostgreSQL."""
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres_database")
    return found


@pytest.fixture
def tenant_in(clock: VirtualClock) -> Callable[..., TenantId]:
    """A function that stores a tenant, installed unless told otherwise, and returns its id."""

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
