"""What became of the times at which a schedule was due and nothing could start: recorded, and there for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet

from addon.base import ScheduleSpec, SecretBox, TenantId
from addon.engine.models import IN_THE_WAY, WITHDRAWN
from addon.screens.api.slots import MOSTLY, REASONS
from tests.screens.conftest import EVE, SAM, House, add_tenant

WEEKLY = ScheduleSpec("send-notifications", "default/weekly", "Weekly digest", "0 */6 * * *", "UTC")
UNKNOWN = "Nothing was running and nothing was on hold at that time, as far as is recorded."
REFRESH = ScheduleSpec("refresh-statuses", "", "Refresh content statuses", "30 */6 * * *", "UTC")


def give(house: House, *specs: ScheduleSpec, tenant_id: TenantId | None = None) -> None:
    tenant_id = tenant_id or house.tenant_id
    with house.parts.db.write(tenant_id) as session:
        house.parts.engine.replace_schedules(session, tenant_id, specs)


@pytest.fixture
def away(house: House) -> House:
    """A house that nobody was in from Sunday, 22 November, noon, to Tuesday, 13:30: then everything due starts."""
    give(house, WEEKLY, REFRESH)
    house.clock.set(at("24T13:30"))
    while house.parts.engine.schedule_tick():
        house.parts.engine.run_due()
    return house


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}:00+00:00")


def run_of(house: House, job: str) -> dict[str, Any]:
    [row] = house.get("/executions", job=job).json["items"]
    execution: dict[str, Any] = house.get(f"/executions/{row['id']}").json
    return execution


def test_a_scheduled_run_says_what_it_was_started_for_and_what_it_covers_as_well(away: House) -> None:
    run = run_of(away, "send-notifications")
    slot = {"ruleId": "default/weekly", "name": "Weekly digest", "earlier": 0, "earlierSince": None}
    assert run["slots"] == {
        "items": [
            slot | {"scheduledFor": "2026-11-24T12:00:00Z", "outcome": "started"},
            slot | {"scheduledFor": "2026-11-24T06:00:00Z", "outcome": "coalesced"},
            slot | {"scheduledFor": "2026-11-24T00:00:00Z", "outcome": "coalesced"},
            slot | {"scheduledFor": "2026-11-23T18:00:00Z", "outcome": "coalesced"},
        ],
        "more": 0,
    }
    refresh = run_of(away, "refresh-statuses")
    assert [slot["scheduledFor"] for slot in refresh["slots"]["items"] if slot["outcome"] == "started"] == [
        "2026-11-24T12:30:00Z"
    ]
    assert {slot["ruleId"] for slot in refresh["slots"]["items"]} == {None}


def test_a_run_by_hand_has_no_slots_and_what_starts_in_time_is_not_missed(house: House) -> None:
    for started in (house.run(), house.run(scope="space", spaceKey="DOCS")):
        assert house.get(f"/executions/{started}").json["slots"] is None
    give(house, WEEKLY)
    house.clock.set(at("22T18:00"))
    assert house.parts.engine.schedule_tick() == 1
    assert [slot["outcome"] for slot in run_of(house, "send-notifications")["slots"]["items"]] == ["started"]
    assert house.get("/missed-slots").json["items"] == []


def test_who_sees_only_that_a_site_run_goes_on_is_not_told_its_slots(house: House) -> None:
    give(house, WEEKLY)
    house.clock.set(at("24T13:30"))
    assert house.parts.engine.schedule_tick() == 1
    run = house.get("/executions/current").json["execution"]["id"]
    assert len(house.get(f"/executions/{run}").json["slots"]["items"]) == 4
    seen = house.get(f"/executions/{run}", account=SAM, spaceKey="DOCS").json
    assert (seen["restricted"], seen["slots"]) == (True, None)


def test_missed_slots_are_listed_in_pages_with_what_became_of_them(away: House) -> None:
    answer = away.get("/missed-slots").json
    assert (answer["nextCursor"], answer["timeZone"]) == (None, "Europe/Berlin")
    found = [slot for slot in answer["items"] if slot["job"] == "send-notifications"]
    assert [(slot["scheduledFor"], slot["outcome"]) for slot in found] == [
        ("2026-11-24T06:00:00Z", "coalesced"),
        ("2026-11-24T00:00:00Z", "coalesced"),
        ("2026-11-23T18:00:00Z", "coalesced"),
        ("2026-11-23T12:00:00Z", "skippedLate"),
        ("2026-11-23T06:00:00Z", "skippedLate"),
        ("2026-11-23T00:00:00Z", "skippedLate"),
        ("2026-11-22T18:00:00Z", "skippedLate"),
    ]
    run = run_of(away, "send-notifications")
    assert found[0] == {
        "job": "send-notifications",
        "title": "Send notifications",
        "ruleId": "default/weekly",
        "name": "Weekly digest",
        "scheduledFor": "2026-11-24T06:00:00Z",
        "outcome": "coalesced",
        "reason": UNKNOWN,
        "blockedBy": None,
        "executionId": run["id"],
        "at": run["startedAt"],
        "earlier": 0,
        "earlierSince": None,
    }
    assert found[-1]["executionId"] is None
    assert found[-1]["reason"] == UNKNOWN
    times = [slot["scheduledFor"] for slot in answer["items"]]
    assert times == sorted(times, reverse=True)
    first = away.get("/missed-slots", limit=10).json
    second = away.get("/missed-slots", limit=10, cursor=first["nextCursor"]).json
    assert (len(first["items"]), second["nextCursor"]) == (10, None)
    assert first["items"] + second["items"] == answer["items"]
    refused = away.get("/missed-slots", cursor="bm9uc2Vuc2U")
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json["errors"]] == ["cursor"]


def test_a_slot_says_what_was_in_its_way_and_which_execution(house: House) -> None:
    give(house, WEEKLY)
    manual = house.start().json["id"]
    house.clock.set(at("22T18:30"))
    house.parts.engine.run_due()
    house.clock.set(at("23T00:00"))
    assert house.parts.engine.schedule_tick() == 1
    [slot] = house.get("/missed-slots").json["items"]
    assert (slot["outcome"], slot["blockedBy"]) == ("coalesced", manual)
    assert slot["reason"] == "Refresh content statuses was running at that time."


def test_of_very_many_missed_slots_the_earlier_ones_are_a_number_with_what_was_mostly_in_the_way(house: House) -> None:
    often = ScheduleSpec("send-notifications", "default/weekly", "Often", "*/5 * * * *", "UTC")
    give(house, often)
    with house.parts.db.write(house.tenant_id) as session:
        house.parts.engine.set_hold(session, house.tenant_id, on=True, reason="moving")
    house.clock.set(datetime.fromisoformat("2027-01-21T12:00:00+00:00"))
    with house.parts.db.write(house.tenant_id) as session:
        house.parts.engine.set_hold(session, house.tenant_id, on=False)
    assert house.parts.engine.schedule_tick() == 1
    items: list[Any] = []
    cursor = None
    while cursor or not items:
        page = house.get("/missed-slots", limit=100, **({"cursor": cursor} if cursor else {})).json
        items += page["items"]
        cursor = page["nextCursor"]
    assert len(items) == 999
    assert sum(1 + slot["earlier"] for slot in items) == 60 * 24 * 12 - 1
    last = items[-1]
    assert (last["outcome"], last["earlier"], last["earlierSince"]) == (
        "skippedLate",
        60 * 24 * 12 - 1000,
        "2026-11-22T12:05:00Z",
    )
    assert last["reason"] == "Mostly because all schedules were on hold."
    run = run_of(house, "send-notifications")
    assert (len(run["slots"]["items"]), run["slots"]["more"]) == (20, 269), "a day of them has joined it"


def test_the_record_of_a_rule_outlives_the_rule_and_says_what_happened(house: House) -> None:
    give(house, WEEKLY, REFRESH)
    house.clock.set(at("22T18:30"))
    give(house, REFRESH)
    [slot] = house.get("/missed-slots").json["items"]
    assert (slot["name"], slot["ruleId"], slot["outcome"]) == ("Weekly digest", "default/weekly", "withdrawn")
    assert slot["reason"] == "The rule was removed before it could start."
    assert (slot["executionId"], slot["blockedBy"], slot["at"]) == (None, None, "2026-11-22T18:30:00Z")
    assert {job["job"]: job["nextAt"] for job in house.get("/jobs").json["items"]}["send-notifications"] is None


def test_every_reason_of_the_record_has_words() -> None:
    assert set(REASONS) == set(MOSTLY) == {*IN_THE_WAY, *WITHDRAWN}


def test_missed_slots_are_for_confluence_administrators(away: House) -> None:
    for account in (SAM, EVE):
        refused = away.get("/missed-slots", account=account)
        assert refused.status_code == 403
        assert "Only Confluence administrators may do this" in refused.json["detail"]
    assert away.get("/missed-slots", account=SAM, spaceKey="DOCS").status_code == 422


def test_another_tenants_missed_slots_are_not_there(house: House) -> None:
    secrets = SecretBox([Fernet.generate_key().decode()])
    other = add_tenant(house.parts.db, house.clock, secrets, house.site.base_url, "other", "x")
    engine = house.parts.engine
    with house.parts.db.write(other) as session:
        engine.open_lane(session, other, first_run=False)
    give(house, WEEKLY, tenant_id=other)
    give(house)
    house.clock.set(at("24T13:30"))
    assert engine.schedule_tick() == 1
    assert house.get("/missed-slots").json["items"] == []
