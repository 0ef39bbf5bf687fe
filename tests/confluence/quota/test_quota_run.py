"""A real run with a quota that is too small for it: it pauses, resumes, and people keep working."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import TenantId
from addon.confluence import QuotaExhausted
from addon.confluence.quota.hour import spread
from addon.connect.models import Tenant
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over

PAGES = 420
OLD = timedelta(days=900)


@pytest.fixture
def house(clock: VirtualClock, tmp_path: Path) -> Iterator[House]:
    """Two spaces of old pages: a first refresh writes to all of them. The add-on has 1,000 points an hour."""
    site = Site(clock)
    for key in ("DOCS", "ENG"):
        site.add_space(key, key.title(), homepage=False)
    for number in range(PAGES):
        site.add_page(("DOCS", "ENG")[number % 2], f"Page {number}", created_at=clock.now() - OLD)
    with house_over(site, clock, tmp_path, quota_points=1_000) as house:
        yield house


def tenant_of(house: House) -> TenantId:
    with house.parts.db.read_all() as session:
        return session.scalars(sa.select(Tenant.id)).one()


def execution(house: House, execution_id: str) -> dict[str, Any]:
    found: dict[str, Any] = house.api("GET", f"/api/executions/{execution_id}").json()
    return found


def stamps_written(house: House) -> Counter[str]:
    return Counter(
        each.target.partition("?")[0]
        for each in house.site.meter.log
        if each.method in ("POST", "PUT") and "/properties" in each.target
    )


def test_a_run_pauses_at_its_share_goes_on_after_the_hour_and_writes_nothing_twice(house: House) -> None:
    run = house.run("refresh-statuses")
    paused = run["paused"]
    assert run["status"] == "running"
    turn = house.clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert datetime.fromisoformat(paused["until"]) == turn + timedelta(seconds=spread(tenant_of(house)))
    assert "share of this hour's API points" in paused["reason"]
    written = sum(stamps_written(house).values())
    assert 100 < written < PAGES

    # While jobs have nothing left, people read, and the run waits for its time.
    house.tick()
    assert execution(house, run["id"])["paused"] == paused
    used = house.api("GET", "/api/quota").json()
    assert used["jobs"]["limit"] - used["jobs"]["used"] < 150
    assert used["people"]["used"] < used["people"]["limit"]
    assert sum(stamps_written(house).values()) == written

    house.clock.set(datetime.fromisoformat(paused["until"]) + timedelta(seconds=1))
    house.tick()
    run = execution(house, run["id"])
    assert (run["status"], run["metrics"]["statusesChanged"]) == ("successful", PAGES)
    assert set(stamps_written(house).values()) == {1}
    assert len(stamps_written(house)) == PAGES


def test_the_points_of_all_hours_together_are_what_the_site_counted(house: House) -> None:
    started = house.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
    counted = calls = 0
    for _hour in range(4):
        # Only the run's own calls lie between these two looks at the meter: no one else is asking.
        before = (house.site.meter.points, house.site.meter.calls)
        house.work()
        counted += house.site.meter.points - before[0]
        calls += house.site.meter.calls - before[1]
        run = execution(house, started["id"])
        if run["paused"] is None:
            break
        house.clock.set(datetime.fromisoformat(run["paused"]["until"]) + timedelta(seconds=1))
        house.parts.engine.reaper_tick()
    assert run["status"] == "successful"
    assert (run["metrics"]["points"], run["metrics"]["calls"]) == (counted, calls)
    assert counted > 900


def test_when_even_peoples_share_is_empty_a_start_answers_when_to_come_back(house: House) -> None:
    tenant, quota = tenant_of(house), house.parts.confluence.quota
    house.clock.advance(timedelta(minutes=5))
    spent = 0
    with suppress(QuotaExhausted), quota.drawing(tenant, "interactive"):
        while spent < 200:
            quota.reserve(tenant, "interactive", 1).charge(1)
            spent += 1
    assert spent < 100
    house.clock.advance(120)
    answer = house.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    left = timedelta(hours=1) - timedelta(minutes=house.clock.now().minute, seconds=house.clock.now().second)
    assert abs(int(answer.headers["Retry-After"]) - left.total_seconds()) <= 2
    house.clock.advance(timedelta(hours=1))
    assert house.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).status_code == 201
