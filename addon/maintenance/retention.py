"""Retention: which old executions and leftovers are deleted, and when; each tenant once a day.

Every tenant has an hour of the day, from its id: any process that ticks then looks after it. There is no leader and no
record of it; two processes at one tenant skip the rows that the other has locked. Rows go in transactions of at most
500; what ends half way is found again the next day.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from addon.base import Clock, Database, TenantId, get_logger
from addon.confluence import forget_old_hours
from addon.connect import tenant_ids
from addon.engine import DATABASE_AWAY, queries
from addon.engine import retention as engine_rows
from addon.jobs import forget_batches, forget_matches
from addon.mail import forget_mails
from addon.policies import forget_versions

log = get_logger(__name__)

KEPT = 50
"""So many of a tenant's newest executions stay, however old they are; so many of its lane's events too."""
SHORT = timedelta(days=30)
"""Details of uneventful runs, submitted archive tasks and mails stay for so long."""
LOOK_BACK = timedelta(days=90)
"""A day's look goes so far behind what has become too old; what was missed for longer goes with its execution."""
VERSIONS = 200
"""So many of the newest policies stay; of the older ones those that something at work began with."""

UNEVENTFUL = frozenset(
    {"spacesProcessed", "spacesSkipped", "spacesTotal", "points", "calls"}
    | {"contentsChecked", "contentsMatched", "contentsPlanned", "contentsSkipped", "contentsReadOnly"}
)
"""Metrics that may be above zero in a run that changed nothing. Any other one, a new job's included, is an event."""


def uneventful(status: str, metrics: dict[str, Any] | None) -> bool:
    """Return whether a run succeeded and changed, sent and removed nothing."""
    counted = {name: value for name, value in (metrics or {}).items() if isinstance(value, int)}
    return status == "successful" and not any(value for name, value in counted.items() if name not in UNEVENTFUL)


def hour_of(tenant_id: TenantId) -> int:
    """Return the UTC hour at which a tenant is looked after."""
    return hashlib.sha256(tenant_id.encode()).digest()[0] % 24


@dataclass(frozen=True, slots=True)
class Retention:
    """Forgets what is older than `keep`, and details and leftovers sooner."""

    db: Database
    clock: Clock
    keep: timedelta

    def tick(self) -> int:
        """Look after the tenants whose hour it is; return how many rows went. Safe in several processes at once."""
        hour = self.clock.now().hour
        with self.db.read_all() as session:
            tenants = [each for each in tenant_ids(session) if hour_of(each) == hour]
        return forget_old_hours(self.db, self.clock.now()) + sum(self._try(tenant_id) for tenant_id in tenants)

    def _try(self, tenant_id: TenantId) -> int:
        try:
            return self.tenant(tenant_id)
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("old rows could not be deleted", action="retention_failed", tenant=tenant_id)
            return 0

    def tenant(self, tenant_id: TenantId) -> int:
        """Forget what one tenant keeps for too long; return how many rows went."""
        return _Tenant(self.db, tenant_id, self.clock.now(), self.keep).forget()


@dataclass(frozen=True, slots=True)
class _Tenant:
    """One tenant's rows at one moment."""

    db: Database
    tenant_id: TenantId
    now: datetime
    keep: timedelta

    def forget(self) -> int:
        too_old = self.now - self.keep
        gone = self._executions() + self._details() + self._leftovers() + self._versions()
        gone += engine_rows.forget_lane_events(self.db, self.tenant_id, too_old, KEPT)
        gone += engine_rows.forget_slots(self.db, self.tenant_id, too_old)
        gone += forget_mails(self.db, self.tenant_id, self.now - SHORT)
        if gone:
            log.info("old rows deleted", action="retention_done", tenant=self.tenant_id, rows=gone)
        return gone

    def _executions(self) -> int:
        """Delete the executions that ended too long ago, each after what hangs on it; a waiting retry keeps its own."""
        gone, complete = 0, True
        while complete and (ids := engine_rows.old_executions(self.db, self.tenant_id, self.now - self.keep, KEPT)):
            gone += forget_matches(self.db, self.tenant_id, ids)
            gone += forget_batches(self.db, self.tenant_id, ids, open_too=True)
            deleted, complete = engine_rows.forget_executions(self.db, self.tenant_id, ids)
            gone += deleted
        return gone

    def _versions(self) -> int:
        def in_use(version: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
            return queries.at_work(self.tenant_id, version)

        return forget_versions(self.db, self.tenant_id, keep=VERSIONS, in_use=in_use)

    def _details(self) -> int:
        """Delete the spaces and items of uneventful runs."""
        ended = engine_rows.successes(self.db, self.tenant_id, *self._span(SHORT))
        ids = [id for id, metrics in ended if uneventful("successful", metrics)]
        return engine_rows.forget_details(self.db, self.tenant_id, ids)

    def _leftovers(self) -> int:
        """Delete what runs of jobs left in their own tables."""
        ended = engine_rows.ended_between(self.tenant_id, *self._span(timedelta(0)))
        long_ago = engine_rows.ended_between(self.tenant_id, *self._span(SHORT))
        return forget_matches(self.db, self.tenant_id, ended) + forget_batches(self.db, self.tenant_id, long_ago)

    def _span(self, ago: timedelta) -> tuple[datetime, datetime]:
        """Return the look back that ends `ago` before now."""
        return self.now - ago - LOOK_BACK, self.now - ago
