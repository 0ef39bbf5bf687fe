"""What waits behind the execution that runs or is paused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from addon.base import ScheduleSpec
from addon.engine import StartRequest
from addon.engine.job import Pause, Run, RunSpace
from tests.screens.conftest import SAM, House
from tests.support.fakejob import Trouble


@pytest.fixture(autouse=True)
def _schedules(house: House) -> None:
    """Notifications every hour from 13:00, automations at 13:30; the refresh never."""
    specs = [
        ScheduleSpec("send-notifications", "a/weekly", "Weekly", "0 * * * *", "UTC"),
        ScheduleSpec("execute-automations", "a/old", "Old", "30 13 * * *", "UTC"),
    ]
    with house.parts.db.write(house.tenant_id) as session:
        house.parts.engine.replace_schedules(session, house.tenant_id, specs)


def waiting(house: House, **query: Any) -> list[tuple[str, str]]:
    return [(each["job"], each["due"]) for each in house.get("/jobs", **query).json["waiting"]]


def test_due_slots_are_named_while_one_runs_the_oldest_first(house: House) -> None:
    house.start()
    assert waiting(house) == []
    house.clock.set(datetime.fromisoformat("2026-11-22T14:10:00+00:00"))
    assert waiting(house) == [
        ("send-notifications", "2026-11-22T13:00:00Z"),
        ("execute-automations", "2026-11-22T13:30:00Z"),
    ]
    assert [each["title"] for each in house.get("/jobs").json["waiting"]] == [
        "Send notifications",
        "Execute automations",
    ]
    assert waiting(house, account=SAM, spaceKey="DOCS") == waiting(house)


def test_what_is_named_first_is_what_starts_first(house: House) -> None:
    house.start()
    house.clock.advance(timedelta(hours=2))
    named = [job for job, _ in waiting(house)]
    started = []
    house.parts.engine.run_due()
    while house.parts.engine.schedule_tick():
        started.append(house.get("/executions/current").json["execution"]["job"])
        house.parts.engine.run_due()
    assert started == named
    assert waiting(house) == []


def test_a_paused_run_says_until_when_and_why_and_what_waits_behind_it(house: House) -> None:
    until = house.clock.now() + timedelta(hours=2)

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Pause(until, "The hour's quota is used up.")

    house.jobs["refresh-statuses"].call = call
    house.run()
    house.clock.advance(timedelta(minutes=65))
    answer = house.get("/jobs").json
    assert answer["current"]["status"] == "running"
    assert answer["current"]["paused"] == {"until": "2026-11-22T14:00:00Z", "reason": "The hour's quota is used up."}
    assert answer["current"]["mayCancel"] is True
    assert [each["job"] for each in answer["waiting"]] == ["send-notifications"]


def test_a_retry_comes_before_the_slots_that_have_to_wait_for_it(house: House) -> None:
    job = house.jobs["refresh-statuses"]
    job.call = lambda run, space: (_ for _ in ()).throw(Trouble("503", transient=True))
    engine = house.parts.engine
    with house.parts.db.write(house.tenant_id) as session:
        engine.start(
            session, StartRequest(tenant_id=house.tenant_id, job_type=job.type, scope="site", trigger="scheduled")
        )
    engine.run_due()
    house.start("execute-automations")
    assert waiting(house) == [], "nothing is due yet"
    house.clock.advance(timedelta(minutes=6))
    [only] = house.get("/jobs").json["waiting"]
    assert (only["job"], only["retry"]["attempt"], only["retry"]["attempts"]) == ("refresh-statuses", 2, 4)
    house.clock.advance(timedelta(hours=1))
    assert [job for job, _ in waiting(house)] == ["refresh-statuses", "send-notifications"]
    assert [job for job, _ in waiting(house, account=SAM, spaceKey="DOCS")] == ["send-notifications"]


def test_nothing_is_promised_while_all_schedules_are_held(house: House) -> None:
    house.start()
    house.clock.advance(timedelta(hours=2))
    assert waiting(house)
    with house.parts.db.write(house.tenant_id) as session:
        house.parts.engine.set_hold(session, house.tenant_id, on=True)
    assert waiting(house) == []


def test_a_run_that_stands_still_says_since_when(house: House) -> None:
    seen: list[Any] = []

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if not seen:
            house.clock.advance(timedelta(minutes=11))
            seen.append(house.get("/executions/current").json["execution"])
        return {}

    house.jobs["refresh-statuses"].call = call
    house.run()
    assert seen[0]["stalledSince"] == "2026-11-22T12:00:00Z"
    assert seen[0]["progress"]["secondsLeft"] is None
