"""Hosts whose clocks differ take nothing from each other: on PostgreSQL leases and slots go by the database's clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from addon.base import Database, ScheduleSpec, SystemClock, TenantId
from addon.engine import Engine, EngineSettings, JobExecution, StartRequest
from addon.engine.context import LeaseTime
from addon.engine.errors import Fenced
from addon.engine.lease.lease import claim, fenced
from addon.engine.state.transitions import Lease
from tests.support.clock import VirtualClock
from tests.support.fakejob import FakeJob

TTL = 60.0
MINUTES = timedelta(minutes=5)
POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
SKEWED = pytest.mark.parametrize("off", [MINUTES, -MINUTES], ids=["five minutes ahead", "five minutes behind"])


class OffClock(SystemClock):
    """The clock of a host that is wrong by so much."""

    def __init__(self, off: timedelta) -> None:
        self._off = off

    def now(self) -> datetime:
        return super().now() + self._off


class Hosts:
    """Engines on hosts with clocks of their own over one database."""

    def __init__(self, db: Database, tenant: TenantId) -> None:
        self.db, self.tenant = db, tenant
        with db.write(tenant) as session:
            self.engine().open_lane(session, tenant, first_run=False)

    def engine(self, off: timedelta = timedelta()) -> Engine:
        job = FakeJob()
        return Engine(self.db, OffClock(off), EngineSettings(ttl=TTL, runners=0), {job.type: job})

    def claimed(self, engine: Engine) -> Lease:
        with self.db.write(self.tenant) as session:
            engine.start(session, StartRequest(tenant_id=self.tenant, job_type=FakeJob.type, scope="site"))
        claimed = claim(engine._context)
        assert claimed is not None
        return claimed.lease

    def row(self, lease: Lease) -> JobExecution:
        with self.db.read_all() as session:
            return session.get_one(JobExecution, lease.execution_id)

    def seconds_left(self, lease: Lease) -> float:
        """Return how long the lease lasts by the database's clock."""
        with self.db.read_all() as session:
            row = session.execute(sa.select(JobExecution.lease_until, sa.func.now().label("now"))).one()
        return float((row.lease_until - row.now).total_seconds())


@pytest.fixture
def hosts(database: Database, new_tenant: Callable[..., TenantId]) -> Hosts:
    return Hosts(database, new_tenant())


@POSTGRESQL
@SKEWED
def test_a_host_whose_clock_is_off_takes_no_live_lease(hosts: Hosts, off: timedelta) -> None:
    lease = hosts.claimed(hosts.engine())
    other = hosts.engine(off)
    assert other.reaper_tick() == 0
    assert claim(other._context) is None
    assert hosts.row(lease).owner == lease.owner


@POSTGRESQL
@SKEWED
def test_a_lease_of_such_a_host_lasts_as_long_as_any(hosts: Hosts, off: timedelta) -> None:
    """Ahead, it would keep its tenant waiting for minutes when it dies; behind, it would lose what it has just got."""
    engine = hosts.engine(off)
    lease = hosts.claimed(engine)
    assert TTL - 20 < hosts.seconds_left(lease) <= TTL
    assert hosts.engine().reaper_tick() == 0
    engine._heartbeat.beat()
    assert TTL - 20 < hosts.seconds_left(lease) <= TTL
    engine._heartbeat.stop()


@POSTGRESQL
@SKEWED
def test_what_such_a_host_writes_after_its_lease_is_refused(hosts: Hosts, off: timedelta) -> None:
    lease = hosts.claimed(hosts.engine(off))
    with hosts.db.write_all() as session:
        over = sa.func.now() - sa.literal(timedelta(seconds=1), sa.Interval())
        session.execute(sa.update(JobExecution).values(lease_until=over))
    assert hosts.engine().reaper_tick() == 1
    with hosts.db.write(hosts.tenant) as session, pytest.raises(Fenced):
        fenced(session, lease)


@POSTGRESQL
@SKEWED
def test_such_a_host_finds_a_dead_owner_at_the_same_moment_as_the_others(hosts: Hosts, off: timedelta) -> None:
    hosts.claimed(hosts.engine())
    with hosts.db.write_all() as session:
        over = sa.func.now() - sa.literal(timedelta(seconds=1), sa.Interval())
        session.execute(sa.update(JobExecution).values(lease_until=over))
    assert hosts.engine(off).reaper_tick() == 1


@POSTGRESQL
@SKEWED
def test_such_a_host_starts_slots_when_they_are_due_and_not_by_its_own_clock(hosts: Hosts, off: timedelta) -> None:
    engine = hosts.engine(off)
    due = SystemClock().now() + off / 2
    with hosts.db.write(hosts.tenant) as session:
        spec = ScheduleSpec(FakeJob.type, "", "Refresh", f"{due.minute} {due.hour} * * *", "UTC")
        engine.replace_schedules(session, hosts.tenant, [spec])
        session.execute(sa.text("UPDATE job_schedule SET next_fire_at = :due"), {"due": due.replace(second=0)})
    assert engine.schedule_tick() == (1 if off < timedelta() else 0)


def test_one_process_and_tests_go_by_their_own_clock(database: Database) -> None:
    assert not LeaseTime(database, SystemClock()).of_database
    assert not LeaseTime(database, VirtualClock()).of_database


@POSTGRESQL
def test_a_host_whose_clock_is_years_ahead_takes_no_live_run_for_stuck(hosts: Hosts) -> None:
    lease = hosts.claimed(hosts.engine())
    assert hosts.engine(timedelta(days=3650)).reaper_tick() == 0
    assert hosts.row(lease).owner == lease.owner
