"""Deletion of many old rows of a tenant in short transactions, safe with several processes at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from addon.base.database import Database
from addon.base.ids import TenantId

BATCH = 500
"""Rows deleted in one transaction."""


def sweep(db: Database, tenant_id: TenantId, model: Any, *conditions: sa.ColumnElement[bool]) -> int:
    """Delete the tenant's rows of `model` that meet the conditions, batch by batch; return how many went.

    Rows that another process has locked are left to it. What dies half way is found again by the next sweep.
    """
    keys = sa.inspect(model).primary_key
    statement = sa.select(*keys).where(model.tenant_id == tenant_id, *conditions).limit(BATCH)
    gone = 0
    while True:
        # Found in a read transaction: on SQLite a write transaction keeps every other writer out, and most sweeps find
        # nothing.
        with db.read(tenant_id) as session:
            found = [tuple(row) for row in session.execute(statement)]
        deleted = delete_rows(db, tenant_id, model, found)
        gone += deleted
        # Fewer than were found: another process is at it.
        if len(found) < BATCH or deleted < len(found):
            return gone


def delete_rows(db: Database, tenant_id: TenantId, model: Any, found: Sequence[tuple[Any, ...]]) -> int:
    """Delete rows by primary key, but those that another process has locked; return how many went."""
    if not found:
        return 0
    keys = sa.inspect(model).primary_key

    def among(rows: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
        # SQLite finds rows by a pair of keys only from beginning to end; by the first key it uses the index.
        first = keys[0].in_({row[0] for row in rows})
        return sa.and_(first, sa.tuple_(*keys).in_(rows)) if len(keys) > 1 else first

    with db.write(tenant_id) as session:
        free = sa.select(*keys).where(among(found)).order_by(*keys).with_for_update(skip_locked=True, of=model)
        rows = [tuple(row) for row in session.execute(free)]
        if rows:
            session.execute(sa.delete(model).where(among(rows)).execution_options(synchronize_session=False))
    return len(rows)
