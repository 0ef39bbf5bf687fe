"""Spaces that are made after an administrator has chosen some: listed as new, and taken in by one click."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.engine.job import Run, RunSpace
from tests.screens.conftest import EVE, SAM, House
from tests.support.fakejob import Trouble


def choose(house: House, *keys: str, **fields: Any) -> None:
    before = house.get("/policies")
    document = before.json | {"includedSpaces": [{"key": key} for key in keys]} | fields
    put = house.call("PUT", "/policies", json=document, headers={"If-Match": before.headers["ETag"]})
    assert put.status_code == 200, put.json


@pytest.fixture
def chosen(house: House) -> House:
    """A site on which DOCS alone was chosen, and a space made an hour later."""
    choose(house, "DOCS")
    house.clock.advance(timedelta(hours=1))
    house.site.add_space("LATER", "Made later")
    return house


def test_without_a_choice_nothing_is_left_out(house: House) -> None:
    assert house.get("/not-included").json == {"total": 0, "new": 0, "items": []}


def test_what_was_made_later_is_listed_as_new_before_what_was_left_out(chosen: House) -> None:
    found = chosen.get("/not-included").json
    assert (found["total"], found["new"]) == (3, 1)
    assert (found["items"][0]["key"], found["items"][0]["new"]) == ("LATER", True)
    assert {each["key"] for each in found["items"] if not each["new"]} == {"ENG", "HR"}


def test_excluded_spaces_are_not_offered(chosen: House) -> None:
    chosen.site.add_space("~new", "Somebody's", type="personal")
    assert "~new" not in {each["key"] for each in chosen.get("/not-included").json["items"]}


def test_one_click_takes_a_space_in_and_the_others_stay_as_new_as_they_were(chosen: House) -> None:
    chosen.clock.advance(timedelta(hours=1))
    chosen.site.add_space("LATEST", "Made last")
    answer = chosen.call("POST", "/included-spaces", json={"keys": ["LATER"]})
    assert answer.status_code == 200, answer.json
    policies = chosen.get("/policies").json
    assert policies["includedSpaces"] == [{"key": "DOCS"}, {"key": "LATER"}]
    assert policies["version"] == answer.json["policyVersion"]
    chosen.clock.advance(timedelta(minutes=16))
    found = chosen.get("/not-included").json
    assert [each["key"] for each in found["items"] if each["new"]] == ["LATEST"]
    assert chosen.start(scope="space", spaceKey="LATER").status_code == 201


def test_taking_in_twice_changes_nothing(chosen: House) -> None:
    first = chosen.call("POST", "/included-spaces", json={"keys": ["LATER", "LATER"]}).json
    assert chosen.call("POST", "/included-spaces", json={"keys": ["LATER"]}).json == first


def test_what_cannot_be_taken_in_is_named(chosen: House) -> None:
    chosen.site.add_space("~new", "Somebody's", type="personal")
    answer = chosen.call("POST", "/included-spaces", json={"keys": ["LATER", "~new", "NOPE"]})
    assert answer.status_code == 422
    errors = {each["pointer"]: each["detail"] for each in answer.json["errors"]}
    assert errors["/keys/1"] == "The space ~new is excluded by rule: personal spaces."
    assert errors["/keys/2"].startswith("The space NOPE is archived, does not exist")
    assert chosen.get("/policies").json["includedSpaces"] == [{"key": "DOCS"}]
    bodies: list[Any] = [{}, {"keys": []}, {"keys": "all"}, {"keys": [1]}, {"keys": ["A"] * 101}]
    for body in bodies:
        assert chosen.call("POST", "/included-spaces", json=body).status_code == 422, body


def test_it_is_for_confluence_administrators(chosen: House) -> None:
    for account in (SAM, EVE):
        assert chosen.get("/not-included", account=account).status_code == 403
        assert chosen.call("POST", "/included-spaces", json={"keys": ["LATER"]}, account=account).status_code == 403


def test_a_space_that_is_not_included_says_so_on_its_own_screen(chosen: House) -> None:
    jobs = chosen.get("/jobs", spaceKey="LATER").json
    assert jobs["space"]["excluded"] == "not included: only the spaces chosen in the policies take part"
    assert jobs["space"]["included"] is False
    assert not any(job["startable"] for job in jobs["items"])
    row = chosen.get("/overview", keys="LATER").json["items"][0]
    assert row["note"] == "not included: only the spaces chosen in the policies take part"


def test_a_retry_in_a_space_that_was_taken_out_meanwhile_is_refused(chosen: House) -> None:
    def fails(run: Run, space: RunSpace) -> dict[str, int]:
        raise Trouble("503", transient=True)

    chosen.jobs["refresh-statuses"].call = fails
    failed = chosen.run(scope="space", spaceKey="DOCS")
    choose(chosen, "ENG")
    answer = chosen.call("POST", f"/executions/{failed}/retry?spaceKey=DOCS")
    assert answer.status_code == 422
    assert "not included" in answer.json["detail"]


def test_choosing_again_after_all_were_in_makes_only_later_spaces_new(chosen: House) -> None:
    choose(chosen)
    chosen.clock.advance(timedelta(hours=1))
    choose(chosen, "DOCS")
    chosen.clock.advance(timedelta(minutes=16))
    assert chosen.get("/not-included").json["new"] == 0
