"""A CQL is judged while its author is still typing: by our own rules, then by Confluence, for one point."""

from __future__ import annotations

from typing import Any

import pytest

from tests.screens.conftest import EVE, SAM, House
from tests.support.answers import Answer


def check(house: House, cql: object, kind: str = "status", **more: Any) -> Answer:
    account = more.pop("account", "u-admin")
    return house.call("POST", "/cql-checks", account=account, json={"cql": cql, "kind": kind, **more})


def test_a_good_query_comes_back_as_it_will_be_stored(house: House) -> None:
    answer = check(house, "label = old or title ~ draft and type = page ORDER BY title")
    assert answer.status_code == 200, answer.json
    assert answer.json == {
        "cql": "(label = old or title ~ draft) and type = page",
        "notices": ["ORDER BY was removed: the order does not matter here."],
        "question": "(type in (page, blogpost)) and ((label = old or title ~ draft) and type = page)",
    }


def test_the_answer_has_the_question_that_counts_and_no_number(house: House) -> None:
    """The app counts pages that an administrator may not view; the browser asks as the person."""
    answer = check(house, "label = old").json
    assert answer["question"] == "(type in (page, blogpost)) and (label = old)"
    assert not [value for value in answer.values() if isinstance(value, int)]
    assert check(house, "label = old", count=True).status_code == 422


def test_a_check_costs_one_point_and_asks_for_no_results(house: House) -> None:
    assert house.get("/policies").status_code == 200, "the permission is known from here on"
    house.site.meter.reset()
    assert check(house, "type = page").status_code == 200
    assert house.site.meter.points == 1
    assert house.site.meter.calls == 1


def test_confluences_own_words_are_shown_at_the_field(house: House) -> None:
    answer = check(house, "noSuchField = 1")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/cql"
    assert "Confluence does not take this CQL: " in answer.json["errors"][0]["detail"]
    assert "noSuchField" in answer.json["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("cql", "kind", "reason"),
    [
        ("label = ", "status", "This is not CQL"),
        (r'title = "\ud800"', "status", "half of a character pair"),
        ("ORDER BY title", "rule", "no condition"),
        ("creator = currentUser()", "automation", "depends on who asks"),
        ('stewardStatus = "expired"', "status", "a status cannot depend on a status"),
        ("(" * 500, "rule", "This is not CQL"),
    ],
)
def test_what_our_own_rules_refuse_costs_nothing(house: House, cql: str, kind: str, reason: str) -> None:
    house.get("/policies")
    house.site.meter.reset()
    answer = check(house, cql, kind)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/cql")
    assert reason in answer.json["errors"][0]["detail"]
    assert house.site.meter.calls == 0


def test_rules_and_automations_may_look_at_statuses(house: House) -> None:
    assert check(house, 'stewardStatus = "expired"', "rule").status_code == 200
    assert check(house, 'stewardStatus = "expired"', "automation").status_code == 200


@pytest.mark.parametrize("cql", ["", "x" * 2001, "label = \x00", 7, None, ["label = a"]])
def test_what_cannot_be_a_query_is_refused_at_the_door(house: House, cql: object) -> None:
    answer = check(house, cql)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/cql")
    assert check(house, "label = a", "page").status_code == 422
    assert (
        house.call("POST", "/cql-checks", data=b"{" + b" " * 70_000, content_type="application/json").status_code == 413
    )


def test_a_query_too_long_for_one_request_is_the_authors_to_shorten(house: House) -> None:
    house.site.faults.add(path="/rest/api/search", status=414)
    answer = check(house, "label = a")
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/cql")


def test_a_site_that_cannot_answer_is_not_the_authors_mistake(house: House) -> None:
    house.site.faults.add(path="/rest/api/search", status=403)
    answer = check(house, "label = a")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("account", [SAM, EVE])
def test_only_confluence_administrators_may_ask(house: House, account: str) -> None:
    assert check(house, "label = a", account=account).status_code == 403
    assert house.get("/policies/factory", account=account).status_code == 403


def test_what_ships_can_be_read_and_put_back(house: House) -> None:
    factory = house.get("/policies/factory").json
    assert (factory["namespace"], factory["retiredStatuses"]) == ("steward", [])
    ids = [scheme["id"] for scheme in factory["policies"]["statusSchemes"]]
    assert ids == ["freshness", "last-update", "expiry-date"]
    current = house.get("/policies")
    assert current.json["statusSchemes"] == factory["policies"]["statusSchemes"]
    put = house.call("PUT", "/policies", json=factory["policies"], headers={"If-Match": current.headers["ETag"]})
    assert put.status_code == 200, put.json


def test_without_quota_left_the_author_is_told_when_to_try_again(house: House) -> None:
    assert house.get("/policies").status_code == 200
    house.site.meter.used = house.site.meter.quota
    answer = check(house, "label = a")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
