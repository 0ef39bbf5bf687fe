"""A new installation: nothing happens before an administrator has seen what would, and agreed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from addon.engine import Lane
from tests.screens.conftest import House


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


def test_confirmed_for_all_spaces_everything_is_included(new_house: House) -> None:
    assert new_house.call("POST", "/first-run", json={"spaces": "all"}).status_code == 200
    assert new_house.get("/jobs").json["firstRun"] is False
    assert new_house.start().status_code == 201
    again = new_house.call("POST", "/first-run", json={"spaces": "all"})
    assert again.status_code == 409


def test_confirmed_for_some_spaces_the_others_become_excluded(new_house: House) -> None:
    answer = new_house.call("POST", "/first-run", json={"spaces": ["DOCS"]})
    assert answer.status_code == 200, answer.json
    excluded = new_house.get("/policies").json["excludedSpaces"]
    assert {"key": "ENG"} in excluded
    assert {"key": "HR"} in excluded
    assert {"key": "DOCS"} not in excluded
    assert new_house.start(scope="space", spaceKey="ENG").status_code == 422
    assert new_house.start(scope="space", spaceKey="DOCS").status_code == 201


def test_a_choice_that_cannot_be_meant_is_refused(new_house: House) -> None:
    for body in ({"spaces": []}, {"spaces": "some"}, {"spaces": ["NOPE"]}, {}, {"spaces": [1]}):
        assert new_house.call("POST", "/first-run", json=body).status_code == 422, body
    assert new_house.get("/jobs").json["firstRun"] is True


def test_counts_that_confluence_cannot_give_are_left_open(new_house: House) -> None:
    new_house.site.faults.add(path="/rest/api/search", status=403)
    panel = new_house.get("/first-run").json
    assert panel["contents"] is None
    assert {each["contents"] for each in panel["counts"]} == {None}
