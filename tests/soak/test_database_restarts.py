"""PostgreSQL dies and comes back while workers run: they recover automatically, nothing is lost, nothing done twice."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa

from addon.base import Database, ScheduleSpec, SystemClock, TenantId
from addon.engine import TERMINAL, Engine, EngineSettings, ExecutionSpace, JobExecution
from addon.engine.errors import DATABASE_AWAY
from addon.engine.lease.lease import OUTAGES_AT_ONCE
from addon.engine.models import JobSchedule, Worker
from addon.engine.wake.procrastinate import ProcrastinateDispatcher, apply_schema
from tests.soak.conftest import TENANTS, Arena
from tests.soak.test_soak import draining, slowness, tell
from tests.support.postgres import PostgresServer, own_server
from tests.support.servers import eventually

CLOCK = SystemClock()
SHORT_LEASE, LEASE = 1.5, 5.0
"""The first one ends again and again while the database is away; the other one where no stall may cost a space."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that this test may stop without hurting others; what it has committed stays committed."""
    with own_server(durable=True) as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    db = Database(server.url(server.create()))
    with db.engine.begin() as connection:
        apply_schema(connection)
    yield db
    db.dispose()


@pytest.fixture
def arena(
    request: pytest.FixtureRequest,
    database: Database,
    new_tenant: Callable[..., TenantId],
    crew: subprocess.Popen[str],
) -> Iterator[Arena]:
    made = Arena(database, [new_tenant() for _ in range(TENANTS)], request.param, crew)
    # As people start them: each start wakes a worker in its own transaction.
    jobs = {made.job.type: made.job}
    made.engine = Engine(database, CLOCK, EngineSettings(ttl=made.ttl, runners=0), jobs, ProcrastinateDispatcher())
    yield made
    made.close()


def start_what_can(arena: Arena) -> int:
    """Start an execution of each site whose lane is free, as people do; return how many the database answered."""
    started = 0
    for tenant in arena.tenants:
        with suppress(*DATABASE_AWAY):
            started += arena.start(tenant) is not None
    return started


def doubles(arena: Arena) -> int:
    active = arena.active()
    return len(active) - len(set(active))


def beating(arena: Arena, workers: int) -> bool:
    with arena.db.read_all() as session:
        rows = session.scalars(sa.select(Worker.heartbeat_at)).all()
    return sum((CLOCK.now() - beat).total_seconds() < arena.ttl for beat in rows) == workers


def listening(arena: Arena) -> int:
    with arena.db.read_all() as session:
        found = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'")
        return int(session.scalar(found) or 0)


def make_due(arena: Arena, tenant: TenantId) -> None:
    """Give a site a schedule whose slot is due now."""
    with arena.db.write(tenant) as session:
        spec = ScheduleSpec(arena.job.type, "", "Yearly", "0 0 1 1 *", "UTC")
        arena.engine.replace_schedules(session, tenant, [spec])
        session.execute(sa.update(JobSchedule).values(next_fire_at=CLOCK.now()))


def reasons(arena: Arena) -> dict[str | None, int]:
    """Return why spaces failed, and how many for each reason."""
    with arena.db.read_all() as session:
        found = session.scalars(sa.select(ExecutionSpace.reason).where(ExecutionSpace.state == "failed"))
        return dict(Counter(found))


def scheduled(arena: Arena) -> str | None:
    with arena.db.read_all() as session:
        return session.scalar(sa.select(JobExecution.status).where(JobExecution.trigger == "scheduled"))


@pytest.mark.parametrize(
    ("arena", "stops"), [(LEASE, 2), pytest.param(SHORT_LEASE, 20, marks=pytest.mark.long)], indirect=["arena"]
)
@pytest.mark.timeout(300)
def test_workers_outlive_a_database_that_is_stopped_again_and_again(
    arena: Arena, server: PostgresServer, stops: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, waiting = random.Random(stops), threading.Event()
    workers = [arena.send("listen", 0.03) for _ in range(3)]
    eventually(lambda: beating(arena, len(workers)))
    twice = 0
    for _ in range(stops):
        busy_until = CLOCK.monotonic() + chance.uniform(1.0, 2.5)
        while CLOCK.monotonic() < busy_until:
            start_what_can(arena)
            twice += doubles(arena)
            waiting.wait(0.05)
        server.stop("immediate")
        waiting.wait(chance.uniform(0, 2))
        server.start()
    drained, stalled = draining(arena)
    statuses = arena.statuses()
    eventually(lambda: beating(arena, len(workers)))
    # procrastinate reconnects at growing intervals; until then ticks find the work.
    eventually(lambda: listening(arena) >= len(workers), seconds=90)
    make_due(arena, arena.tenants[0])
    eventually(lambda: scheduled(arena) in TERMINAL)
    effects = arena.check_effects()
    figures = {
        "stops": stops,
        "lease": arena.ttl,
        "drained": round(drained, 2),
        "double active": twice,
        "effects": effects,
        "workers alive": len(arena.alive()),
        **statuses,
        "reasons": reasons(arena),
    }
    tell(capsys, "PostgreSQL stopped and started, 3 workers", figures)
    assert twice == 0
    assert arena.alive() == workers
    assert set(statuses) == {"successful"}
    waited = 10 * arena.ttl if stops > OUTAGES_AT_ONCE else 0
    assert drained <= (2 * arena.ttl + 2) * slowness() + stalled + waited
