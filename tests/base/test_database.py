"""A session bound to a tenant sees, changes and creates that tenant's rows only."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict

from addon.base import Database, TenantId
from addon.base.database import ForeignTenant
from addon.engine.models import Lane, Worker


@pytest.fixture
def two_lanes(database: Database, new_tenant: Callable[[], TenantId]) -> tuple[TenantId, TenantId]:
    ours, theirs = new_tenant(), new_tenant()
    with database.write_all() as session:
        session.add_all(Lane(tenant_id=tenant, open=True, first_run=False) for tenant in (ours, theirs))
    return ours, theirs


def test_a_tenants_session_never_sees_another_tenants_rows(
    database: Database, two_lanes: tuple[TenantId, TenantId]
) -> None:
    for tenant in two_lanes:
        with database.read(tenant) as session:
            assert [lane.tenant_id for lane in session.scalars(sa.select(Lane))] == [tenant]


def test_looking_up_another_tenants_row_by_its_key_finds_nothing(
    database: Database, two_lanes: tuple[TenantId, TenantId]
) -> None:
    ours, theirs = two_lanes
    with database.read(ours) as session:
        assert session.get(Lane, theirs) is None


def test_a_bulk_update_or_delete_touches_own_rows_only(
    database: Database, two_lanes: tuple[TenantId, TenantId]
) -> None:
    ours, theirs = two_lanes
    with database.write(ours) as session:
        session.execute(sa.update(Lane).values(open=False))
        session.execute(sa.delete(Lane))
    with database.read_all() as session:
        assert [(lane.tenant_id, lane.open) for lane in session.scalars(sa.select(Lane))] == [(theirs, True)]


def test_writing_another_tenants_row_is_refused(database: Database, two_lanes: tuple[TenantId, TenantId]) -> None:
    ours, theirs = two_lanes
    with pytest.raises(ForeignTenant), database.write(ours) as session:
        session.add(Lane(tenant_id=theirs, open=False, first_run=False))


def test_an_exception_rolls_the_whole_write_back(database: Database, two_lanes: tuple[TenantId, TenantId]) -> None:
    ours, _ = two_lanes

    def die_half_way() -> None:
        with database.write(ours) as session:
            session.execute(sa.update(Lane).values(open=False))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        die_half_way()
    with database.read(ours) as session:
        assert session.scalars(sa.select(Lane.open)).all() == [True]


def test_a_naive_time_is_refused_and_an_aware_one_comes_back_in_utc(database: Database) -> None:
    at = datetime.fromisoformat("2026-11-22T14:00:00+02:00")
    with database.write_all() as session:
        session.add(Worker(id="w", host="h", pid=1, version="1", started_at=at, heartbeat_at=at))
    with database.read_all() as session:
        found = session.scalars(sa.select(Worker.started_at)).one()
    assert (found, found.tzinfo) == (at, UTC)
    with pytest.raises(sa.exc.StatementError, match="naive"), database.write_all() as session:
        session.execute(sa.update(Worker).values(heartbeat_at=at.replace(tzinfo=None)))


def test_connections_to_postgresql_are_told_when_to_give_up() -> None:
    db = Database("postgresql+psycopg://u:p%40w@h:123/db?sslmode=require&connect_timeout=3&options=-c%20work_mem%3D8MB")
    given = conninfo_to_dict(db.conninfo())
    limits = "-c lock_timeout=10000ms -c statement_timeout=24000ms -c idle_in_transaction_session_timeout=30000ms"
    assert given["options"] == f"{limits} -c work_mem=8MB"
    assert (given["tcp_user_timeout"], given["keepalives_idle"], given["connect_timeout"]) == ("30000", "30", "3")
    assert (given["host"], given["password"], given["dbname"], given["sslmode"]) == ("h", "p@w", "db", "require")
