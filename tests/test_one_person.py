"""What one person does to the administrators of their own site: nothing. Against the running server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from addon.confluence.quota.budgets import PERSON_PERCENT
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.site import small_site

EVE, SAM = "u-eve", "u-sam"
"""Administers nothing; administers the space DOCS."""
POINTS = 4_000
PEOPLES = POINTS // 10
JOB = {"job": "refresh-statuses", "scope": "site"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path, quota_points=POINTS) as made:
        yield made


def hammer(house: House, account: str, times: int) -> list[requests.Response]:
    """Ask for one space after the other, which Confluence has to be asked about each time."""
    return [house.api("GET", "/api/jobs", account=account, params={"spaceKey": f"X{n}"}) for n in range(times)]


def test_a_person_who_asks_without_end_keeps_no_administrator_from_looking_cancelling_and_holding(
    house: House,
) -> None:
    before = house.site.meter.points
    answers = hammer(house, EVE, 200)
    assert {answer.status_code for answer in answers} == {403, 503}
    assert "your own part" in answers[-1].json()["detail"]
    assert int(answers[-1].headers["Retry-After"]) > 60
    assert house.site.meter.points - before <= PEOPLES * PERSON_PERCENT // 100
    for number in range(4):
        house.site.add_user(f"u-{number}", f"Person {number}")
        hammer(house, f"u-{number}", 100)
    assert house.api("GET", "/api/jobs", account=SAM, params={"spaceKey": "DOCS"}).status_code == 503

    started = house.api("POST", "/api/executions", json=JOB)
    assert started.status_code == 201, started.text
    assert house.api("GET", "/api/jobs").status_code == 200
    assert house.api("POST", f"/api/executions/{started.json()['id']}/cancel").status_code == 202
    assert house.api("POST", "/api/hold", json={"on": True}).status_code == 200


def test_a_person_who_was_refused_is_not_asked_about_again_for_a_minute(house: House) -> None:
    asked: dict[str, Any] = {"account": EVE, "params": {"spaceKey": "DOCS"}}
    assert house.api("GET", "/api/jobs", **asked).status_code == 403
    points = house.site.meter.points
    for _again in range(150):
        assert house.api("GET", "/api/jobs", **asked).status_code == 403
    assert house.site.meter.points == points


@pytest.mark.parametrize("account", [SAM, "u-admin"])
def test_cancel_and_hold_need_no_points_within_a_quarter_of_an_hour(house: House, account: str) -> None:
    own: dict[str, Any] = {"account": account, "params": {"spaceKey": "DOCS"}}
    assert house.api("GET", "/api/jobs", **own).status_code == 200
    if account == "u-admin":
        assert house.api("GET", "/api/jobs").status_code == 200
    body = {"job": "refresh-statuses", "scope": "space", "spaceKey": "DOCS"}
    started = house.api("POST", "/api/executions", account=account, json=body)
    assert started.status_code == 201, started.text
    house.clock.advance(timedelta(minutes=10))
    house.site.meter.used = house.site.meter.quota  # Atlassian has closed the hour
    assert house.api("GET", "/api/jobs", account="u-new", params={"spaceKey": "ENG"}).status_code == 503
    assert house.api("POST", "/api/executions", account=account, json=body).status_code == 503
    cancelled = house.api("POST", f"/api/executions/{started.json()['id']}/cancel", **own)
    assert cancelled.status_code == 202, cancelled.text
    if account == "u-admin":
        assert house.api("POST", "/api/hold", json={"on": True}).status_code == 200
        assert house.api("POST", "/api/hold", json={"on": False}).status_code == 503


def test_spaces_that_do_not_exist_are_hidden_or_belong_to_others_are_refused_in_the_same_words(house: House) -> None:
    hidden, others, missing = "HID", "ENG", "NOT"
    house.site.add_space(hidden, "Hidden")
    house.site.grant_app(hidden)
    hammer(house, SAM, 1)
    said = {}
    for key in (hidden, others, missing):
        before = house.site.meter.calls
        answers = [
            house.api("GET", "/api/jobs", account=SAM, params={"spaceKey": key}),
            house.api("GET", "/api/executions", account=SAM, params={"spaceKey": key}),
            house.api("POST", "/api/executions", account=SAM, json={**JOB, "scope": "space", "spaceKey": key}),
        ]
        told = [(each.status_code, each.text.replace(key, "KEY"), headers(each)) for each in answers]
        said[key] = (told, house.site.meter.calls - before)
    assert {answer[0] for told, _ in said.values() for answer in told} == {403}
    assert said[hidden][0] == said[others][0] == said[missing][0]
    assert said[hidden][1] == said[missing][1]
    assert said[others][1] - said[missing][1] <= 1, "groups that administer it are the one thing asked about more"


def switch_on_rules(house: House) -> None:
    policies = house.api("GET", "/api/policies").json()
    for scheme in policies["notificationSchemes"]:
        for rule in scheme["rules"]:
            rule["enabled"] = True
    stored = house.api("PUT", "/api/policies", json=policies, headers={"If-Match": f'"{policies["version"]}"'})
    assert stored.status_code == 200, stored.text


def test_an_administrator_of_one_space_mails_people_about_it_once_a_day(house: House) -> None:
    switch_on_rules(house)
    house.run("refresh-statuses")
    body: dict[str, Any] = {"job": "send-notifications", "scope": "space", "spaceKey": "DOCS"}

    def start(account: str, **more: Any) -> requests.Response:
        answer = house.api("POST", "/api/executions", account=account, json=body | more)
        house.work()
        return answer

    assert start(SAM).status_code == 201
    inbox = house.site.inbox
    assert inbox is not None
    first = len(inbox.mails())
    assert first > 0
    for _again in range(5):
        refused = start(SAM)
        assert (refused.status_code, refused.json()["title"]) == (422, "People were notified within the last day")
        assert "again from" in refused.json()["detail"]
    assert start("u-admin").status_code == 422, "not by mistake either"
    assert start(SAM, again=True).status_code == 403
    assert house.api("GET", "/api/executions/current").json()["execution"] is None, "what was refused left no run"
    assert len(inbox.mails()) == first
    assert start("u-admin", again=True).status_code == 201
    assert len(inbox.mails()) == 2 * first
    house.clock.advance(timedelta(hours=25))
    assert start(SAM).status_code == 201


def test_after_a_run_over_all_spaces_only_what_it_mailed_about_is_held_back(house: House) -> None:
    switch_on_rules(house)
    house.run("refresh-statuses")
    house.run("send-notifications")
    parts = house.api("GET", f"/api/executions/{house.executions()[0]['id']}/spaces").json()["items"]
    matched = {part["spaceKey"]: part["metrics"]["contentsMatched"] for part in parts}
    assert 0 in matched.values()
    assert any(matched.values())
    for key, items in matched.items():
        body = {"job": "send-notifications", "scope": "space", "spaceKey": key}
        answer = house.api("POST", "/api/executions", json=body)
        assert answer.status_code == (422 if items else 201), (key, answer.text)
        house.work()


def test_only_notifications_are_sent_again(house: House) -> None:
    answer = house.api("POST", "/api/executions", json=JOB | {"again": True})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/again"]
    everywhere = {"job": "send-notifications", "scope": "site", "again": True}
    assert house.api("POST", "/api/executions", account=SAM, json=everywhere).status_code == 403
    assert house.api("POST", "/api/executions", json=everywhere).status_code == 201


def headers(answer: requests.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ("Date", "Content-Length")}
