"""Thousands of installations and millions of executions at once, written in bulk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, new_id
from addon.connect.models import Tenant
from addon.engine.models import AuditEvent, ExecutionItem, ExecutionSpace, JobExecution, JobSchedule, Lane, ScheduleFire

JOBS = ("refresh-statuses", "send-notifications", "execute-automations")
CHUNK = 10_000
COPIED = 2_000


def installations(db: Database, clock: Clock, number: int) -> list[TenantId]:
    """Store installed sites with open lanes and three schedules each, all of them due since a few minutes."""
    now = clock.now()
    tenants = [TenantId(new_id()) for _ in range(number)]
    with db.write_all() as session:
        _insert(
            session,
            Tenant,
            (
                {
                    "id": each, "client_key": f"client-{each}", "base_url": "https://one.atlassian.net/wiki",
                    "state": "installed", "enabled": True, "needs_reinstall": False, "secret": b"s",
                    "secret_version": 1, "generation": 1, "lifecycle_iat": 0, "installed_at": now, "updated_at": now,
                }
                for each in tenants
            ),
        )  # fmt: skip
        lane = {"open": True, "first_run": False, "hold": False}
        _insert(session, Lane, ({"tenant_id": each, **lane} for each in tenants))
        _insert(
            session,
            JobSchedule,
            (
                {
                    "id": new_id(), "tenant_id": each, "job_type": job, "rule_id": "", "name": job,
                    "cron": "0 */6 * * *", "time_zone": "Europe/Berlin", "enabled": True, "version": 1,
                    "next_fire_at": now - timedelta(minutes=place + 1), "max_lateness_s": 86400,
                }
                for each in tenants
                for place, job in enumerate(JOBS)
            ),
        )  # fmt: skip
    return tenants


def history(db: Database, clock: Clock, tenants: list[TenantId], number: int) -> None:
    """Store `number` ended executions over 400 days, each with two spaces, an item and an audit event.

    Every seventh has failed, every tenth is the retry of an older one, every ninth is over the
    one space S1. A third belongs to slots, every 31st of them missed.
    """
    now, step = clock.now(), timedelta(days=400) / number
    with db.write_all() as session:
        schedules = {row.tenant_id: row.id for row in session.scalars(sa.select(JobSchedule))}
        for begin in range(0, number, CHUNK):
            numbers = range(begin, min(begin + CHUNK, number))
            whose = {each: tenants[each % len(tenants)] for each in numbers}
            at = {each: now - (number - each) * step for each in numbers}
            _insert(session, JobExecution, (_execution(each, whose[each], at[each]) for each in numbers))
            _insert(session, ExecutionSpace, (_space(each, whose[each], s) for each in numbers for s in (1, 2)))
            _insert(session, ExecutionItem, (_item(each, whose[each], at[each]) for each in numbers))
            _insert(session, AuditEvent, (_event(each, whose[each], at[each]) for each in numbers))
            slots = (_slot(each, whose[each], at[each], schedules[whose[each]]) for each in numbers if each % 3 == 0)
            _insert(session, ScheduleFire, slots)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def execution_id(number: int) -> str:
    """Return the id of one of the executions of `history`."""
    return f"01900000-0000-7000-8000-{number:012x}"


def _execution(number: int, tenant_id: TenantId, at: datetime) -> dict[str, Any]:
    failed, alone = number % 7 == 0, number % 9 == 0
    return {
        "id": execution_id(number), "tenant_id": tenant_id, "job_type": JOBS[number % 3],
        "scope": "space" if alone else "site", "space_id": "1" if alone else None, "space_key": "S1" if alone else None,
        "trigger": "retry" if number % 10 == 9 else "manual", "started_by": "u-1", "params": {}, "policy_version": 1,
        "generation": 1, "dry_run": False, "status": "failed" if failed else "successful", "started_at": at,
        "ended_at": at, "fence": 1, "losses": 0, "listed": True, "spaces_total": 2, "spaces_done": 2,
        "spaces_failed": int(failed), "percent": 100, "points": 1, "calls": 1, "extra_metrics": {},
        "metrics": {"spacesTotal": 2}, "error_transient": False, "attempt": 1, "seq": 2, "item_seq": 1,
        "retry_of": execution_id(number - 40) if number % 10 == 9 and number > 40 else None,
    }  # fmt: skip


def _space(number: int, tenant_id: TenantId, space: int) -> dict[str, Any]:
    key = f"S{space if space == 1 else 2 + number % 200}"
    return {
        "execution_id": execution_id(number), "tenant_id": tenant_id, "space_id": key[1:], "space_key": key,
        "name": "Space", "type": "global", "position": space, "weight": 1, "losses": 0, "suspect": False, "metrics": {},
        "state": "failed" if number % 7 == 0 and space == 1 else "done", "transient": False,
    }  # fmt: skip


def _item(number: int, tenant_id: TenantId, at: datetime) -> dict[str, Any]:
    return {
        "execution_id": execution_id(number), "tenant_id": tenant_id, "seq": 1, "space_id": "1", "space_key": "S1",
        "content_id": "9", "action": "archive", "outcome": "done", "at": at,
    }  # fmt: skip


def _event(number: int, tenant_id: TenantId, at: datetime) -> dict[str, Any]:
    return {
        "id": f"01900000-0000-7000-8001-{number:012x}", "tenant_id": tenant_id, "seq": 1, "at": at,
        "execution_id": execution_id(number), "actor_type": "user", "tag": "job:execution:started", "detail": {},
    }  # fmt: skip


def _slot(number: int, tenant_id: TenantId, at: datetime, schedule_id: str) -> dict[str, Any]:
    missed = number % 31 == 30
    return {
        "schedule_id": schedule_id, "tenant_id": tenant_id, "scheduled_for": at, "at": at,
        "outcome": "skipped_late" if missed else "started", "execution_id": None if missed else execution_id(number),
        "reason": "busy" if missed else None, "blocked_by": execution_id(number - 1) if missed else None,
    }  # fmt: skip


def _insert(session: Session, model: Any, rows: Iterable[dict[str, Any]]) -> None:
    if session.get_bind().dialect.name == "postgresql":
        _copy(session, model.__table__, iter(rows))
    else:
        session.execute(sa.insert(model.__table__), list(rows))


def _copy(session: Session, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
    """COPY takes a tenth of the time that INSERT needs for millions of rows."""
    while chunk := list(islice(rows, COPIED)):
        columns = list(chunk[0])
        names = ", ".join(f'"{name}"' for name in columns)
        raw: Any = session.connection().connection.dbapi_connection
        with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in chunk:
                copy.write_row([_plain(row[name]) for name in columns])


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value
