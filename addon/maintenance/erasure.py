"""The erasure of a site that uninstalled the add-on: after a grace period, table by table.

Within the grace period a new installation finds its configuration again. At its end the tenant row is first cut off
from the site in one statement (clientKey and addresses go), so that an installation at that very moment starts afresh
instead of meeting half of its data; then the rows go in batches, the tenant row last. An erasure that ends half way is
resumed by the next tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, get_logger
from addon.confluence import forget_quota
from addon.connect import cut_off_uninstalled, delete_tenant
from addon.engine import queries
from addon.migrations import every_table

log = get_logger(__name__)

BATCH = 1000
"""Rows deleted in one transaction."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases tenants that have been uninstalled for longer than `grace`."""

    db: Database
    clock: Clock
    grace: timedelta

    def tick(self) -> int:
        """Erase what is due; return how many tenants are gone. Safe in several processes at once."""
        return sum(self._erase(tenant_id) for tenant_id in self._due())

    def _due(self) -> list[TenantId]:
        with self.db.write_all() as session:
            now = self.clock.now()
            busy = set(queries.tenants_at_work(session))
            return cut_off_uninstalled(session, now - self.grace, busy=busy, now=now)

    def _erase(self, tenant_id: TenantId) -> bool:
        for table in tenant_tables():
            while self._batch(table, tenant_id) == BATCH:
                log.debug("rows erased", action="rows_erased", tenant=tenant_id, rows=BATCH, table=table.name)
        with self.db.write_all() as session:
            forget_quota(session, tenant_id)
            gone = delete_tenant(session, tenant_id)
        log.info("the data of a site was erased", action="tenant_erased", tenant=tenant_id)
        return gone

    def _batch(self, table: sa.Table, tenant_id: TenantId) -> int:
        key = list(table.primary_key.columns)
        some = sa.select(*key).where(table.c.tenant_id == tenant_id).limit(BATCH)
        chosen = key[0].in_(some) if len(key) == 1 else sa.tuple_(*key).in_(some)
        with self.db.write_all() as session:
            return _deleted(session, sa.delete(table).where(chosen))


def tenant_tables() -> list[sa.Table]:
    """Return every table whose rows belong to a tenant, those that refer to others first."""
    return [table for table in reversed(every_table()) if "tenant_id" in table.c]


def _deleted(session: Session, statement: sa.Delete) -> int:
    result = session.connection().execute(statement)
    return result.rowcount
