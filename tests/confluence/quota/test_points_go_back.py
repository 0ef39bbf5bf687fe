"""What `quota_hour` says after a run and after a screen's request: what the site has counted, and not a point more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from addon.app import create_app, parts_of, stop
from addon.base import Database, SystemClock
from addon.config import Settings
from addon.confluence.models import QuotaHour
from addon.confluence.quota.hour import hour_of
from addon.confluence.quota.reservations import BLOCK
from addon.engine import JobExecution
from addon.sandbox.faults import Fault
from addon.sandbox.server import SandboxServer
from tests.e2e.stack import stack_over
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.servers import running
from tests.support.site import small_site

REFRESH = "refresh-statuses"
SEARCH = r"/rest/api/(content/)?search"
CALL_THREADS = 8
MOST_A_CALL = 1_001
POOLS = ("pool", "pool/ui")


def reserved(db: Database, hour: datetime) -> int:
    """Return the points that jobs and people of all tenants hold reserved in an hour, and check the tenants' sums."""
    with db.read_all() as session:
        points = dict(
            session.execute(sa.select(QuotaHour.scope, QuotaHour.reserved).where(QuotaHour.hour == hour)).all()
        )
    pools = sum(points.get(pool, 0) for pool in POOLS)
    assert pools == sum(number for scope, number in points.items() if scope not in POOLS)
    return pools


@pytest.fixture
def house(clock: VirtualClock, tmp_path: Path) -> Iterator[House]:
    with house_over(small_site(clock), clock, tmp_path) as house:
        yield house


def books(house: House) -> tuple[int, int]:
    """Return what is reserved in this hour, and what the site has counted in it."""
    return reserved(house.parts.db, hour_of(house.clock.now())), house.site.meter.points


@contextmanager
def held_in_a_call(house: House) -> Iterator[str]:
    """Start a refresh and hold it where it searches; what it does after that has ended when this is left."""
    started = house.api("POST", "/api/executions", json={"job": REFRESH, "scope": "site"}).json()
    fault: Fault = house.site.faults.add("hang", path=SEARCH, seconds=60)
    working = threading.Thread(target=house.work)
    working.start()
    assert fault.reached.wait(30)
    try:
        yield str(started["id"])
    finally:
        house.site.faults.clear()
        working.join(30)


def test_after_a_run_and_the_requests_of_screens(house: House) -> None:
    assert house.run(REFRESH)["status"] == "successful"
    for path in ("/api/jobs", "/api/overview?keys=DOCS,ENG", "/api/first-run", "/api/quota"):
        assert house.api("GET", path).ok
    points, counted = books(house)
    assert points == counted > 0


def test_after_every_job(house: House) -> None:
    for job in (REFRESH, "send-notifications", "execute-automations"):
        assert house.run(job)["status"] == "successful", job
        points, counted = books(house)
        assert points == counted > 0


def test_after_a_pause(clock: VirtualClock, tmp_path: Path) -> None:
    site = small_site(clock)
    for number in range(400):
        site.add_page("DOCS", f"Old {number}", created_at=clock.now() - timedelta(days=900))
    with house_over(site, clock, tmp_path, quota_points=1_000) as house:
        assert house.run(REFRESH)["paused"] is not None
        points, counted = books(house)
        assert points == counted > 100


def test_after_a_cancel(house: House) -> None:
    with held_in_a_call(house) as execution:
        points, counted = books(house)
        assert points >= counted + BLOCK // 2, "a run at work has points in hand"
        assert house.api("POST", f"/api/executions/{execution}/cancel").status_code == 202
    assert house.api("GET", f"/api/executions/{execution}").json()["status"] == "cancelled"
    points, counted = books(house)
    assert points == counted > 0


def test_after_a_lost_lease(house: House) -> None:
    with held_in_a_call(house) as execution, house.parts.db.write_all() as session:
        lost = sa.update(JobExecution).where(JobExecution.id == execution)
        session.execute(lost.values(fence=JobExecution.fence + 1, owner=None, lease_until=None))
    house.tick()
    assert house.api("GET", f"/api/executions/{execution}").json()["status"] == "successful"
    points, counted = books(house)
    assert points == counted > 0


def test_a_persons_request_beside_a_run_leaves_the_runs_points_alone(house: House) -> None:
    with held_in_a_call(house) as execution:
        before, _ = books(house)
        house.clock.advance(120)
        assert house.api("GET", f"/api/executions/{execution}").ok
        after, _ = books(house)
        assert after >= before
    points, counted = books(house)
    assert points == counted


@pytest.mark.timeout(900)
@pytest.mark.parametrize("tenants", [4, pytest.param(50, marks=pytest.mark.long)])
def test_at_the_end_of_every_hour_of_a_day_of_idle_refreshes(tenants: int, clock: VirtualClock, tmp_path: Path) -> None:
    with ExitStack() as stack:
        sites = [small_site(clock) for _tenant in range(tenants)]
        servers = [stack.enter_context(SandboxServer(site)) for site in sites]
        app: Flask
        url = stack.enter_context(running(lambda *call: app(*call)))
        app = create_app(
            Settings(
                base_url=url,
                database_url=f"sqlite:///{tmp_path / 'steward.sqlite3'}",
                install_key_hosts=tuple(f"{server.url}/install-keys" for server in servers),
                allowed_hosts=("http://127.0.0.1:*",),
                first_run="start",
            ),
            clock=clock,
        )
        stack.callback(stop, app)
        for site in sites:
            site.host.install(f"{url}/atlassian-connect.json")
        parts = parts_of(app)
        hours: list[int] = []
        for _hour in range(25):
            hour, before = hour_of(clock.now()), sum(site.meter.points for site in sites)
            while hour_of(clock.now()) == hour:
                parts.engine.schedule_tick()
                parts.engine.run_due()
                clock.advance(timedelta(minutes=5))
            counted = sum(site.meter.points for site in sites) - before
            assert reserved(parts.db, hour) == counted
            hours.append(counted)
        with parts.db.read_all() as session:
            ended = session.scalars(sa.select(JobExecution.status).where(JobExecution.job_type == REFRESH)).all()
    assert set(ended) == {"successful"}
    assert 4 * tenants <= len(ended) <= 5 * tenants
    assert sum(hours) > 0


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_after_the_end_of_the_process(how: str, tmp_path: Path) -> None:
    """A process that stops in order gives its points back.

    One that is killed loses its block and what its calls cost at most, until the hour turns.
    """
    site = small_site(SystemClock())
    with stack_over(site, tmp_path) as stack:
        fault = site.faults.add("hang", path=SEARCH, seconds=60)
        started = stack.api("POST", "/api/executions", json={"job": REFRESH, "scope": "site"}).json()
        assert fault.reached.wait(30)
        if how == "killed":
            stack.kill()
        else:
            threading.Timer(1, site.faults.clear).start()
            stack.stop()
        site.faults.clear()
        db = Database(stack.settings["STEWARD_DATABASE_URL"])
        hours = _hours(db)
        lost = sum(reserved(db, hour) for hour in hours) - site.meter.points
        if how == "stopped":
            assert lost == 0
        assert 0 <= lost <= BLOCK + CALL_THREADS * MOST_A_CALL
        stack.start()
        assert stack.ended(started["id"])["status"] == "successful"
        stack.stop()
        assert sum(reserved(db, hour) for hour in _hours(db)) - site.meter.points == lost, "the rest is exact"
        db.dispose()


def _hours(db: Database) -> list[datetime]:
    with db.read_all() as session:
        return list(session.scalars(sa.select(QuotaHour.hour).distinct()))
