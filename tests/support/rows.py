"""One row of every table of a tenant, made from the schema, so that a new table cannot be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from addon.base import Database, TenantId, UtcDateTime, metadata, new_id
from addon.maintenance.erasure import tenant_tables

CHECKED: dict[str, Any] = {
    "job_execution.status": "failed",
    "job_execution.scope": "site",
    "job_execution.trigger": "manual",
    "schedule_fire.outcome": "started",
    "schedule_fire.earlier": 0,
    "execution_space.state": "done",
    "content_stamp.kind": "page",
    "site_trait.negation": "unknown",
    "site_hint.kind": "page",
    "outbox.state": "sent",
}
"""Columns that take certain words only."""


def one_of_each(db: Database, tenant_id: TenantId, now: datetime, **given: Any) -> None:
    """Insert a row into every tenant table; `given` sets columns by `table__column` (also nullable ones)."""
    ids: dict[str, Any] = {}
    with db.write_all() as session:
        for table in [table for table in metadata.sorted_tables if table in tenant_tables()]:
            row: dict[str, Any] = {}
            for column in table.columns:
                name = f"{table.name}.{column.name}"
                if f"{table.name}__{column.name}" in given:
                    row[column.name] = given[f"{table.name}__{column.name}"]
                elif column.name == "tenant_id":
                    row["tenant_id"] = tenant_id
                elif column.foreign_keys and table.name not in name.partition(".")[2]:
                    [key] = column.foreign_keys
                    row[column.name] = ids.get(key.column.table.name)
                elif name == "job_execution.ended_at" or (not column.nullable and name not in CHECKED):
                    row[column.name] = _value(column, now)
                elif name in CHECKED:
                    row[column.name] = CHECKED[name]
            session.connection().execute(sa.insert(table).values(**row))
            ids[table.name] = row.get("id")


def count(db: Database, table: sa.Table, tenant_id: TenantId) -> int:
    """How many rows of `table` belong to a tenant."""
    with db.read_all() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.tenant_id == tenant_id)) or 0


def _value(column: sa.Column[Any], now: datetime) -> Any:
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return now
    if isinstance(kind, sa.JSON):
        return {}
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer):
        return 1
    if isinstance(kind, sa.LargeBinary):
        return b"bytes"
    return new_id()[-(getattr(kind, "length", None) or 36) :]
