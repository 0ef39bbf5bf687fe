"""What is forgotten, and when? Old executions with all that hangs on them, and leftovers; each tenant once a day.

Every tenant has an hour of the day, from its id: whichever process ticks then looks after it. Nobody leads and nothing
is remembered; two processes at one tenant skip the rows that the other has locked. Rows go in transactions of at most
500; what dies half way is taken up again the next day.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from addon.base import Clock, Database, TenantId
from addon.base.sweep import BATCH, delete_rows, sweep
from addon.confluence import forget_old_hours
from addon.connect import tenant_ids
from addon.engine import DATABASE_AWAY
from addon.engine.models import (
    AuditEvent,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    RetryDue,
    ScheduleFire,
    is_active,
)
from addon.engine.schedule.schedules import forget_removed
from addon.jobs import forget_batches, forget_matches
from addon.mail import forget_mails
from addon.policies.models import PolicyVersion

log = logging.getLogger(__name__)

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

Condition = sa.ColumnElement[bool]


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
            log.exception("the old rows of tenant %s could not be deleted", tenant_id)
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
        gone = self._executions() + self._lane_events() + self._details() + self._leftovers()
        gone += forget_mails(self.db, self.tenant_id, self.now - SHORT)
        gone += self._sweep(ScheduleFire, ScheduleFire.at < self.now - self.keep) + self._removed_schedules()
        gone += self._versions()
        if gone:
            log.info("tenant %s: %d old rows deleted", self.tenant_id, gone)
        return gone

    def _executions(self) -> int:
        """Delete the executions that ended too long ago, each after what hangs on it; a waiting retry keeps its own."""
        floor = self._newest(JobExecution.id)
        if floor is None:
            return 0
        waited_for = sa.exists().where(RetryDue.failed_execution_id == JobExecution.id)
        old = (
            sa.select(JobExecution.id)
            .where(JobExecution.tenant_id == self.tenant_id, JobExecution.ended_at < self.now - self.keep)
            .where(JobExecution.id < floor, ~waited_for)
            .order_by(JobExecution.ended_at)
            .limit(BATCH)
        )
        gone = 0
        while ids := self._read(old):
            for model in (ExecutionItem, ExecutionSpace, AuditEvent):
                gone += self._sweep(model, model.execution_id.in_(ids))
            gone += forget_matches(self.db, self.tenant_id, ids)
            gone += forget_batches(self.db, self.tenant_id, ids, open_too=True)
            deleted = delete_rows(self.db, self.tenant_id, JobExecution, [(each,) for each in ids])
            gone += deleted
            if deleted < len(ids):
                break
        return gone

    def _lane_events(self) -> int:
        of_lane = AuditEvent.execution_id.is_(None)
        floor = self._newest(AuditEvent.id, of_lane)
        if floor is None:
            return 0
        return self._sweep(AuditEvent, of_lane, AuditEvent.at < self.now - self.keep, AuditEvent.id < floor)

    def _removed_schedules(self) -> int:
        gone = 0
        while True:
            with self.db.write(self.tenant_id) as session:
                forgotten = forget_removed(session, self.tenant_id, BATCH)
            gone += forgotten
            if forgotten < BATCH:
                return gone

    def _versions(self) -> int:
        mine = PolicyVersion.tenant_id == self.tenant_id
        newest = sa.select(PolicyVersion.version).where(mine).order_by(PolicyVersion.version.desc())
        floor = sa.func.coalesce(newest.offset(VERSIONS - 1).limit(1).scalar_subquery(), 0)
        in_use = sa.exists().where(
            JobExecution.tenant_id == self.tenant_id, is_active(), JobExecution.policy_version == PolicyVersion.version
        )
        return self._sweep(PolicyVersion, PolicyVersion.version < floor, ~in_use)

    def _details(self) -> int:
        """Delete the spaces and items of uneventful runs."""
        ids = list(self._uneventful())
        of_these = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        return sum(
            self._sweep(model, model.execution_id.in_(some))
            for some in of_these
            for model in (ExecutionItem, ExecutionSpace)
        )

    def _uneventful(self) -> Iterator[str]:
        statement = (
            sa.select(JobExecution.id, JobExecution.status, JobExecution.metrics)
            .where(*self._ended(SHORT), JobExecution.status == "successful")
            .execution_options(yield_per=BATCH)
        )
        with self.db.read(self.tenant_id) as session:
            yield from [row.id for row in session.execute(statement) if uneventful(row.status, row.metrics)]

    def _leftovers(self) -> int:
        """Delete what runs of jobs left in their own tables."""
        ended = sa.select(JobExecution.id).where(*self._ended(timedelta(0)))
        long_ago = sa.select(JobExecution.id).where(*self._ended(SHORT))
        gone = forget_matches(self.db, self.tenant_id, ended)
        return gone + forget_batches(self.db, self.tenant_id, long_ago)

    def _ended(self, ago: timedelta) -> tuple[Condition, ...]:
        """Say of executions that they ended longer than `ago`, and not longer than a look back before that."""
        ended = JobExecution.ended_at
        return JobExecution.tenant_id == self.tenant_id, ended < self.now - ago, ended >= self.now - ago - LOOK_BACK

    def _newest(self, key: Any, *conditions: Condition) -> str | None:
        """Return the id of the oldest of the tenant's newest rows, None when there are no more than those."""
        scoped = key.class_.tenant_id == self.tenant_id
        found = self._read(sa.select(key).where(scoped, *conditions).order_by(key.desc()).offset(KEPT - 1).limit(1))
        return found[0] if found else None

    def _sweep(self, model: Any, *conditions: Condition) -> int:
        return sweep(self.db, self.tenant_id, model, *conditions)

    def _read(self, statement: sa.Select[Any]) -> list[str]:
        with self.db.read(self.tenant_id) as session:
            return list(session.scalars(statement))
