"""Many installations at once: what a tick costs for each of them, and that none keeps the others waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Database, TenantId
from addon.engine import Engine, EngineSettings, JobExecution, JobRefused
from addon.engine.schedule import scheduler
from tests.benchmarks.ticks import counted
from tests.engine.conftest import BOTH
from tests.support.clock import VirtualClock
from tests.support.crowd import JOBS, installations
from tests.support.fakejob import FakeJob


class Refusing(FakeJob):
    """Refuses the tenants in `without`, and looks at the clock while it does."""

    def __init__(self, type: str, clock: VirtualClock) -> None:
        super().__init__(type, type)
        self.without: set[TenantId] = set()
        self.clock = clock

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        if tenant_id in self.without:
            self.clock.advance(0.2)
            raise JobRefused("No mail transport is configured.")


@pytest.fixture
def jobs(clock: VirtualClock) -> dict[str, Refusing]:
    return {job: Refusing(job, clock) for job in JOBS}


@pytest.fixture
def engine(database: Database, clock: VirtualClock, jobs: dict[str, Any]) -> Iterator[Engine]:
    engine = Engine(database, clock, EngineSettings(runners=0), jobs)
    yield engine
    engine.shutdown()


def running(database: Database) -> set[str]:
    with database.read_all() as session:
        return set(session.scalars(sa.select(JobExecution.tenant_id)))


@BOTH
def test_one_tick_starts_all_that_is_due_at_a_cost_that_grows_with_their_number_only(
    database: Database, clock: VirtualClock, engine: Engine
) -> None:
    costs = []
    for number in (10, 40, 250):
        installations(database, clock, number)
        with counted(database) as seen:
            assert engine.schedule_tick() == number
        with counted(database) as idle:
            assert engine.schedule_tick() == 0
        costs.append((seen.statements - idle.statements) / number)
        assert idle.statements <= 2, "tenants whose lane is taken cost nothing"
    assert len(set(costs)) == 1
    assert costs[0] <= 9


@BOTH
def test_slots_that_have_to_stay_pending_keep_no_other_tenant_waiting(
    database: Database, clock: VirtualClock, engine: Engine, jobs: dict[str, Refusing]
) -> None:
    stuck, free = set(installations(database, clock, 60)), set()
    for job in jobs.values():
        job.without = stuck
    with database.write_all() as session:
        session.execute(sa.text("UPDATE job_schedule SET next_fire_at = :at"), {"at": "2026-11-22 11:00:00+00:00"})
    free = set(installations(database, clock, 30))
    rounds = 0
    while running(database) < free:
        engine.schedule_tick()
        rounds += 1
        assert rounds <= 60 * 3 * 0.2 / scheduler.ROUND_SECONDS + 2
    assert rounds > 1, "a tick ends after a while, so that the process can stop"
    assert running(database) == free
    for job in jobs.values():
        job.without = set()
    while running(database) != free | stuck:
        assert engine.schedule_tick() > 0
