"""The database: one engine, two kinds of transactions (read and write), and sessions that see one tenant only.

SQLite (one process by contract) and PostgreSQL behave alike through it: a write unit takes its lock at BEGIN on
SQLite, so that a read followed by a write inside it never meets "database is locked" half way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import event, orm

from addon.base.ids import TenantId
from addon.base.patience import PATIENCE, connects_patiently, postgresql_arguments

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A point in time: aware on the Python side, UTC in storage. Naive values are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Turn an aware value into UTC. Raises ValueError on a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime refused: all times carry their zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the value in UTC; SQLite stores it without the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(orm.DeclarativeBase):
    """All tables share one MetaData; foreign keys across packages are by table name only."""

    metadata = metadata
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        dict[str, Any]: sa.JSON(),
        list[str]: sa.JSON(),
        TenantId: sa.String(36),
    }


class TenantScoped:
    """Mixin for the rows of one tenant. Sessions bound to a tenant see, change and create no others."""

    tenant_id: orm.Mapped[TenantId] = orm.mapped_column(sa.String(36), sa.ForeignKey("tenant.id"))


class ForeignTenant(Exception):
    """A session bound to one tenant was asked to write another tenant's row. A bug, never an input error."""


class Database:
    """Sessions over one database URL (`sqlite:///file` or `postgresql+psycopg://…`)."""

    def __init__(self, url: str, *, pool_size: int = 20, patience: float | None = PATIENCE) -> None:
        """Connect lazily. `pool_size` counts connections; keep it at or above runner threads + 4 + web threads.

        `patience` is how many seconds a statement waits for PostgreSQL's answer before the connection is taken for
        dead; SQLite waits half of it for a lock. None: as long as it takes (migrations).
        """
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.patience = patience
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 10, "hide_parameters": True}
        if self.is_sqlite:
            busy = (patience or PATIENCE) / 2
            options["connect_args"] = {"timeout": busy, "check_same_thread": False, "isolation_level": None}
        else:
            options["pool_pre_ping"] = True
            options["connect_args"] = postgresql_arguments(self.url, patience)
        self.engine = sa.create_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _sqlite_pragmas)
            event.listen(self.engine, "begin", _sqlite_begin)
        elif patience is not None:
            event.listen(self.engine, "do_connect", connects_patiently(patience))
        self._readers = orm.sessionmaker(self.engine, expire_on_commit=False)
        self._writers = orm.sessionmaker(self.engine.execution_options(steward_write=True), expire_on_commit=False)

    @contextmanager
    def read(self, tenant_id: TenantId) -> Iterator[orm.Session]:
        """Open a read transaction that sees the rows of `tenant_id` only. It never commits."""
        with self._readers(info={"tenant_id": tenant_id}) as session:
            yield session

    @contextmanager
    def write(self, tenant_id: TenantId) -> Iterator[orm.Session]:
        """Open a write transaction bound to `tenant_id`; commits at the end, rolls back on any exception."""
        with self._writers(info={"tenant_id": tenant_id}) as session, session.begin():
            yield session

    @contextmanager
    def read_all(self) -> Iterator[orm.Session]:
        """Open a read transaction over all tenants, for ticks and operators."""
        with self._readers() as session:
            yield session

    @contextmanager
    def write_all(self) -> Iterator[orm.Session]:
        """Open a write transaction over all tenants, for ticks and the lifecycle."""
        with self._writers() as session, session.begin():
            yield session

    def conninfo(self) -> str:
        """Return a libpq connection string with the same limits as our own connections (PostgreSQL only)."""
        from psycopg.conninfo import make_conninfo

        url = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return make_conninfo(url, **postgresql_arguments(self.url, self.patience))

    def dispose(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def insert(session: orm.Session, table: type[Base]) -> Any:
    """Return the dialect's INSERT for `table`, which knows ON CONFLICT on both databases."""
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("steward_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@event.listens_for(orm.Session, "do_orm_execute")
def _see_own_tenant_only(state: orm.ORMExecuteState) -> None:
    tenant_id = state.session.info.get("tenant_id")
    if tenant_id is None or not (state.is_select or state.is_update or state.is_delete):
        return
    state.statement = state.statement.options(
        orm.with_loader_criteria(TenantScoped, lambda cls: cls.tenant_id == tenant_id, include_aliases=True)
    )


@event.listens_for(orm.Session, "before_flush")
def _write_own_tenant_only(session: orm.Session, _context: Any, _instances: Any) -> None:
    tenant_id = session.info.get("tenant_id")
    if tenant_id is None:
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, TenantScoped) and row.tenant_id != tenant_id:
            raise ForeignTenant(f"{type(row).__name__} of another tenant")
