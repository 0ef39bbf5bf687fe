"""A new installation: nothing happens before an administrator has seen what would, and agreed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from addon.engine import Lane
from tests.screens.conftest import ADMIN, House


@pytest.fixture
def new_house(house: House) -> House:
    with house.parts.db.write(house.tenant_id) as session:
        lane = session.get(Lane, house.tenant_id)
        assert lane is not None
        lane.first_run = True
    return house


def test_nothing_starts_before_the_first_run_is_confirmed(new_house: House) -> None:
    jobs = new_house.get("/jobs").json
    assert jobs["firstRun"] is True
    assert not any(job["startable"] for job in jobs["items"])
    answer = new_house.start()
    assert answer.status_code == 422
    assert "first run" in answer.json["detail"]
    assert new_house.call("POST", "/hold", json={"on": False}).status_code == 422
    new_house.clock.advance(timedelta(days=1))
    assert new_house.parts.engine.schedule_tick() == 0


def test_the_panel_says_what_would_happen(new_house: House) -> None:
    panel = new_house.get("/first-run").json
    assert panel["pending"] is True
    assert {space["key"] for space in panel["spaces"]} == {"DOCS", "ENG", "HR"}
    assert (panel["spacesIncluded"], panel["spacesExcluded"]) == (3, 0)
    counts = {each["status"]: each["contents"] for each in panel["counts"]}
    assert list(counts) == ["up-to-date", "not-updated", "expired"]
    assert sum(counts.values()) == panel["contents"]
    assert counts["expired"] >= 2
    assert panel["estimatedPoints"] > 0
    assert panel["estimatedMinutes"] >= 1
    assert panel["mail"] is None
    assert panel["archive"] is None


def test_confirmed_for_all_spaces_the_first_refresh_starts_at_once(new_house: House) -> None:
    answer = new_house.call("POST", "/first-run", json={"spaces": "all"})
    assert answer.status_code == 200, answer.json
    started = answer.json["execution"]
    assert (started["job"], started["scope"], started["startedBy"]) == ("refresh-statuses", "site", ADMIN)
    jobs = new_house.get("/jobs").json
    assert jobs["firstRun"] is False
    assert jobs["current"]["id"] == started["id"]
    new_house.parts.engine.run_due()
    assert new_house.get(f"/executions/{started['id']}").json["status"] == "successful"
    assert new_house.get("/policies").json["includedSpaces"] == []
    again = new_house.call("POST", "/first-run", json={"spaces": "all"})
    assert again.status_code == 409


def test_a_refresh_that_cannot_start_is_told_and_the_first_run_is_confirmed_all_the_same(new_house: House) -> None:
    new_house.jobs["refresh-statuses"].refusal = "The site is being moved."
    answer = new_house.call("POST", "/first-run", json={"spaces": "all"})
    assert answer.status_code == 200, answer.json
    assert (answer.json["execution"], answer.json["notStarted"]) == (None, "The site is being moved.")
    assert new_house.get("/jobs").json["firstRun"] is False


def test_confirmed_for_some_spaces_they_alone_are_included_and_nothing_is_excluded(new_house: House) -> None:
    before = new_house.get("/policies").json["excludedSpaces"]
    answer = new_house.call("POST", "/first-run", json={"spaces": ["DOCS"]})
    assert answer.status_code == 200, answer.json
    policies = new_house.get("/policies").json
    assert (policies["includedSpaces"], policies["excludedSpaces"]) == ([{"key": "DOCS"}], before)
    new_house.parts.engine.run_due()
    refused = new_house.start(scope="space", spaceKey="ENG")
    assert refused.status_code == 422
    assert refused.json["title"] == "This space is not included"
    assert refused.json["detail"].startswith("The space ENG is not included")
    assert new_house.start(scope="space", spaceKey="DOCS").status_code == 201


def test_nothing_mails_or_acts_after_the_first_run_until_it_is_switched_on(new_house: House) -> None:
    new_house.call("POST", "/first-run", json={"spaces": "all"})
    policies = new_house.get("/policies").json
    rules = [rule for scheme in policies["notificationSchemes"] for rule in scheme["rules"]]
    automations = [each for scheme in policies["automationSchemes"] for each in scheme["automations"]]
    assert rules
    assert automations
    assert not any(each["enabled"] for each in (*rules, *automations))


def test_shipped_times_are_the_sites_own_from_the_first_run_on_and_changed_ones_stay(new_house: House) -> None:
    before = new_house.get("/policies")
    document = before.json
    document["automationSchemes"][0]["automations"][0]["schedule"] = {"cron": "5 5 * * 1", "timeZone": "Asia/Tokyo"}
    put = new_house.call("PUT", "/policies", json=document, headers={"If-Match": before.headers["ETag"]})
    assert put.status_code == 200, put.json
    new_house.site.time_zone = ZoneInfo("America/New_York")
    assert new_house.call("POST", "/first-run", json={"spaces": "all"}).status_code == 200
    policies = new_house.get("/policies").json
    rule, automation = (
        policies["notificationSchemes"][0]["rules"][0],
        policies["automationSchemes"][0]["automations"][0],
    )
    assert rule["schedule"] == {"cron": "0 8 * * 1", "timeZone": "America/New_York"}
    assert automation["schedule"] == {"cron": "5 5 * * 1", "timeZone": "Asia/Tokyo"}
    assert policies["schedules"]["refreshStatuses"]["timeZone"] == "America/New_York"


def test_a_site_whose_zone_is_not_known_keeps_the_shipped_one(new_house: House) -> None:
    new_house.site.faults.add(path="systemInfo", status=403)
    assert new_house.call("POST", "/first-run", json={"spaces": "all"}).status_code == 200
    rule = new_house.get("/policies").json["notificationSchemes"][0]["rules"][0]
    assert rule["schedule"]["timeZone"] == "Europe/Berlin"


def test_a_choice_that_cannot_be_meant_is_refused(new_house: House) -> None:
    bodies: list[Any] = [{"spaces": []}, {"spaces": "some"}, {"spaces": ["NOPE"]}, {}, {"spaces": [1]}]
    for body in bodies:
        assert new_house.call("POST", "/first-run", json=body).status_code == 422, body
    assert new_house.get("/jobs").json["firstRun"] is True


def test_counts_that_confluence_cannot_give_are_left_open(new_house: House) -> None:
    new_house.site.faults.add(path="/rest/api/search", status=403)
    panel = new_house.get("/first-run").json
    assert panel["contents"] is None
    assert {each["contents"] for each in panel["counts"]} == {None}


def test_what_is_switched_on_before_the_first_run_is_counted(new_house: House) -> None:
    shown = new_house.get("/first-run").json
    assert (shown["rulesOn"], shown["automationsOn"]) == (0, 0)
    before = new_house.get("/policies")
    document = before.json
    document["automationSchemes"][0]["automations"][0]["enabled"] = True
    put = new_house.call("PUT", "/policies", json=document, headers={"If-Match": before.headers["ETag"]})
    assert put.status_code == 200, put.json
    shown = new_house.get("/first-run").json
    assert (shown["rulesOn"], shown["automationsOn"]) == (0, 1)


@pytest.mark.parametrize(
    ("spaces", "errors"),
    [
        (["<x>"], [("/spaces/0", "must be a space key")]),
        ("x", [("/spaces", "must be 'all', or must be a list")]),
    ],
)
def test_a_choice_that_cannot_be_read_is_named_at_its_field(
    new_house: House, spaces: object, errors: list[tuple[str, str]]
) -> None:
    answer = new_house.call("POST", "/first-run", json={"spaces": spaces})
    assert answer.status_code == 422
    assert [(each["pointer"], each["detail"]) for each in answer.json["errors"]] == errors


def test_a_second_confirmation_is_answered_with_what_can_be_done(house: House) -> None:
    answer = house.call("POST", "/first-run", json={"spaces": "all"})
    assert answer.status_code == 409
    assert answer.json["detail"] != answer.json["title"]
    assert "Change the included spaces in the policies." in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=+5", "must be a number in plain digits"),
        ("limit=" + "9" * 20, "is too large"),
        ("limit=" + "9" * 40, "is too large"),
        ("limit=0", "must be at least 1"),
        ("limit=101", "must be at most 100"),
        ("spaceKey=<x>", "must be a space key"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named_in_plain_words(house: House, query: str, detail: str) -> None:
    answer = house.get(f"/executions?{query}")
    assert answer.status_code == 422
    assert [each["detail"] for each in answer.json["errors"]] == [detail]
