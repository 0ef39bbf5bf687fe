"""Whatever screens and ticks ask of a large history is answered from an index, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Caller, Database, Space, TenantId
from addon.engine import Engine, EngineSettings, JobExecution, queries
from addon.mail import Mailer
from addon.maintenance.retention import Retention
from addon.screens.access import Viewer
from addon.screens.api.executions.presenter import Presenter
from tests.support.clock import VirtualClock
from tests.support.crowd import JOBS, history, installations
from tests.support.fakejob import FakeJob

LARGE = ("job_execution", "execution_space", "execution_item", "audit_event", "schedule_fire")
TENANTS = 40
PAGE = 25


@contextmanager
def heard(db: Database) -> Iterator[dict[str, Any]]:
    """Collect the statements that are executed meanwhile, each with the parameters of its first time."""
    statements: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if re.match(r"\s*(SELECT|DELETE|UPDATE|WITH)\b", statement):
            statements.setdefault(statement, parameters[0] if isinstance(parameters, list) else parameters)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(db.engine, "before_cursor_execute", note)


def scanned(db: Database, statements: dict[str, Any]) -> list[str]:
    """Return the plans that read a large table from its beginning to its end."""
    explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
    whole = r"\bSCAN ({})\b" if db.is_sqlite else r"Seq Scan on ({})\b"
    found = []
    with db.engine.connect() as connection:
        for statement, parameters in statements.items():
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            plan = "\n".join(str(row[-1]) for row in rows)
            if re.search(whole.format("|".join(LARGE)), plan):
                found.append(f"{statement}\n{plan}")
    return found


def look(db: Database, engine: Engine, clock: VirtualClock, tenant_id: TenantId) -> None:
    """Ask what the Jobs screen, the audit log and an execution's own screen ask."""
    caller = Caller(tenant_id, "u-1")
    presenter = Presenter(engine, clock)
    mailer = Mailer(db, clock, None, "Content Steward <steward@example.com>")
    with db.read(tenant_id) as session:
        for viewer in (Viewer(caller, None), Viewer(caller, Space("1", "S1", "One", "global"))):
            queries.active(session, tenant_id)
            queries.lane(session, tenant_id)
            queries.next_fires(session, tenant_id)
            queries.pending_retries(session, tenant_id)
            engine.waiting(session, tenant_id)
            rows, cursor = queries.history(session, tenant_id, limit=PAGE)
            for row in rows:
                presenter.execution(session, row, viewer)
                presenter.detail(session, row, viewer)
            for filters in FILTERS:
                queries.history(session, tenant_id, limit=PAGE, **filters)
                queries.history(session, tenant_id, limit=PAGE, cursor=cursor, **filters)
        one = rows[0].id
        queries.find(session, tenant_id, one)
        queries.events(session, one)
        mailer.counts(session, one)
        queries.slots(session, one)
        _, cursor = queries.missed(session, tenant_id, limit=1)
        queries.missed(session, tenant_id, limit=1, cursor=cursor)
        for state in (None, "failed"):
            _, cursor = queries.spaces(session, one, limit=1, state=state)
            queries.spaces(session, one, limit=1, state=state, cursor=cursor)
        for outcome in (None, "failed"):
            queries.items(session, one, limit=1, outcome=outcome)


FILTERS: list[dict[str, Any]] = [
    {},
    {"job": JOBS[1]},
    {"status": "failed"},
    {"status": "cancelled"},
    {"scope": "space"},
    {"trigger": "scheduled"},
    {"space_key": "S1"},
    {"space_id": "1"},
    {"space_id": "none"},
    {"space_key": "S77"},
    {"space_key": "NONE"},
    {"space_key": "S1", "scope": "space"},
    {"space_key": "NONE", "scope": "space"},
    {"job": JOBS[0], "status": "failed", "scope": "site", "trigger": "retry"},
]


@pytest.fixture
def engine(db: Database, clock: VirtualClock) -> Engine:
    return Engine(db, clock, EngineSettings(runners=0), {job: FakeJob(job, job) for job in JOBS})


SIZES = pytest.mark.parametrize(
    # Four rows hang on each execution.
    "size",
    [12_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(3000)])],
)


@SIZES
def test_no_screen_and_no_tick_reads_a_large_table_as_a_whole(
    db: Database, clock: VirtualClock, engine: Engine, size: int
) -> None:
    tenants = installations(db, clock, TENANTS)
    history(db, clock, tenants, size)
    with heard(db) as screens:
        for tenant_id in (tenants[0], tenants[7]):
            look(db, engine, clock, tenant_id)
    assert len(screens) > 25
    assert scanned(db, screens) == []
    with heard(db) as ticks:
        assert engine.schedule_tick() == TENANTS
        look(db, engine, clock, tenants[0])
        engine.reaper_tick()
        assert engine.run_due() == TENANTS
    assert scanned(db, ticks) == []
    clock.advance(timedelta(days=2))
    with heard(db) as retention:
        assert Retention(db, clock, timedelta(days=400)).tenant(tenants[0]) > 0
    assert scanned(db, retention) == []
    with db.read_all() as session:
        assert session.scalars(sa.select(sa.func.count()).select_from(JobExecution)).one() < size + TENANTS
    with heard(db) as change, db.write(tenants[1]) as session:
        engine.replace_schedules(session, tenants[1], [])
    assert any("FROM audit_event" in statement for statement in change), "it is asked why slots were missed"
    assert scanned(db, change) == []


def test_missed_slots_are_found_without_reading_those_that_started(database: Database, new_tenant: Any) -> None:
    """SQLite has no figures to choose by: an index over all of a site's slots looks as good to it as the right one."""
    tenant_id = new_tenant()
    with heard(database) as statements, database.read(tenant_id) as session:
        queries.slots(session, "e")
        queries.missed(session, tenant_id)
    with database.engine.connect() as connection:
        plans = [
            " ".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in statements.items()
        ]
    of_one, all_missed = plans
    assert "ix_schedule_fire_execution (execution_id=? AND tenant_id=?)" in of_one
    assert "ix_schedule_fire_missed" in all_missed
    assert "TEMP B-TREE" not in all_missed


def test_the_check_itself_notices_a_scan(db: Database) -> None:
    with heard(db) as statements, db.read_all() as session:
        session.execute(sa.text("SELECT id FROM job_execution WHERE error = 'x'"))
    assert len(scanned(db, statements)) == 1
