"""Where no process runs jobs, the screens and the operator's checks say so instead of showing 0 % for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from addon.base import new_id
from addon.engine.models import JobSchedule, Worker
from tests.screens.conftest import SAM, House
from tests.support.answers import typed


def process(house: House, runners: int | None, *, silent: timedelta = timedelta(0)) -> None:
    """Add a process that last beat so long ago."""
    beat = house.clock.now() - silent
    with house.parts.db.write_all() as session:
        session.add(
            Worker(id=new_id(), host="h", pid=1, version="1", started_at=beat, heartbeat_at=beat, runners=runners)
        )


def notices(house: House, **query: str) -> list[str]:
    found: list[str] = house.get("/jobs", **query).json["notices"]
    return found


def ready(house: House) -> tuple[int, str, str]:
    answer = typed(house.app.test_client().get("/readyz"))
    return answer.status_code, answer.json["status"], answer.json["checks"]["worker"]


@pytest.fixture
def migrated(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose schema is taken for the current one: the tests' is made without migrations."""
    monkeypatch.setattr("addon.migrations.require_current", lambda db: None)
    return house


def test_a_process_that_only_serves_is_ready_and_says_that_there_is_no_worker(migrated: House) -> None:
    process(migrated, 0)
    migrated.start()
    assert notices(migrated) == [
        "No worker is running, so that no job runs: what is started waits, and begins as soon as there is one. "
        "The operator of Content Steward starts one with the command steward worker."
    ]
    assert notices(migrated, account=SAM, spaceKey="DOCS") == notices(migrated), "space administrators wait as well"
    status, word, check = ready(migrated)
    assert (status, word) == (200, "no worker")
    assert check.startswith("no worker: ")
    assert "steward worker" in check


@pytest.mark.parametrize("runners", [4, None], ids=["a worker", "a process of an older version"])
def test_with_a_worker_nothing_is_said(migrated: House, runners: int | None) -> None:
    process(migrated, 0)
    process(migrated, runners, silent=timedelta(seconds=100))
    assert notices(migrated) == []
    assert ready(migrated) == (200, "ready", "ok")


@pytest.mark.parametrize("silent", [timedelta(seconds=121), -timedelta(days=3653)], ids=["gone", "by a clock ahead"])
def test_a_worker_that_is_silent_for_two_leases_is_none(migrated: House, silent: timedelta) -> None:
    process(migrated, 0)
    process(migrated, 4, silent=silent)
    assert len(notices(migrated)) == 1
    assert ready(migrated)[1] == "no worker"


def test_the_one_process_of_sqlite_is_its_own_worker(migrated: House) -> None:
    process(migrated, migrated.parts.settings.runners)
    assert notices(migrated) == []


def test_a_schedule_that_has_stopped_is_named_on_the_sites_screen(house: House) -> None:
    process(house, 4)
    with house.parts.db.write(house.tenant_id) as session:
        first = sa.select(JobSchedule.id).where(JobSchedule.job_type == "refresh-statuses").scalar_subquery()
        broken = sa.update(JobSchedule).where(JobSchedule.id == first)
        session.execute(broken.values(time_zone="Atlantis/Main_Square", next_fire_at=house.clock.now()))
    house.parts.engine.schedule_tick()
    assert notices(house) == [
        "The schedule “Refresh content statuses” has stopped, because its times cannot be read "
        "(unknown time zone 'Atlantis/Main_Square'). Choose new ones in the policies."
    ]
    assert notices(house, account=SAM, spaceKey="DOCS") == []
    refresh = house.get("/jobs").json["items"][0]
    assert refresh["nextAt"] is None
