"""One content refreshed alone, next to the runs over everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.confluence import SiteClient
from addon.confluence.cql import Clause
from addon.jobs.statuses.single.evaluation import undecided
from addon.sandbox.records import Content
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.site import small_site


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path_factory.mktemp("single")) as made:
        yield made


def content(house: House, title: str) -> Content:
    return next(each for each in house.site.contents() if each.title == title)


def stamp(house: House, title: str) -> tuple[str, int]:
    found = content(house, title).properties["steward-status"]
    return found.value["id"], found.version


def still_valid(house: House, title: str) -> None:
    answer = house.api("PUT", f"/api/content/{content(house, title).id}/review", json={"stillValid": True})
    assert answer.status_code == 200, answer.text


def test_a_run_that_the_index_misleads_leaves_what_was_just_confirmed(house: House) -> None:
    house.run("refresh-statuses")
    assert stamp(house, "Guide") == ("expired", 1)
    house.site.index_lag = 3600
    still_valid(house, "Guide")
    assert stamp(house, "Guide") == ("up-to-date", 2)
    ended = house.run("refresh-statuses")
    assert (ended["status"], ended["metrics"]["statusesChanged"]) == ("successful", 0)
    assert stamp(house, "Guide") == ("up-to-date", 2)
    house.site.index_lag = 0
    house.clock.advance(3600)
    assert house.run("refresh-statuses")["metrics"]["statusesChanged"] == 0
    assert stamp(house, "Guide") == ("up-to-date", 2)


def test_a_run_never_overwrites_what_was_confirmed_after_it_began_to_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run finds the page not updated for a year; its editor confirms it before the run's stamp arrives."""
    page = house.site.add_page("ENG", "Plan", created_at=house.clock.now().replace(year=2023))
    house.api("POST", f"/api/content/{page.id}/refresh")
    assert stamp(house, "Plan") == ("expired", 1)
    house.site.set_property(page.id, "steward-review", {"reviewedOn": "2025-06-01"})
    house.clock.advance(1000)
    update, confirmed = SiteClient.update_property, list[bool]()

    def editor_first(self: SiteClient, kind: Any, content_id: str, prop: Any, value: Any) -> Any:
        if content_id == page.id and prop.key == "steward-status" and not confirmed:
            confirmed.append(True)
            house.clock.advance(1)
            still_valid(house, "Plan")
        return update(self, kind, content_id, prop, value)

    monkeypatch.setattr(SiteClient, "update_property", editor_first)
    ended = house.run("refresh-statuses")
    assert ended["status"] == "successful"
    assert confirmed
    assert stamp(house, "Plan") == ("up-to-date", 2)
    seen = house.api("GET", f"/api/content/{page.id}/status").json()
    assert seen["status"]["id"] == "up-to-date"


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_a_negation_holds_for_what_lacks_the_field_on_every_site(tmp_path: Path, negation: Any) -> None:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path) as house:
        house.site.negation = negation
        loaded = house.api("GET", "/api/policies")
        changed = loaded.json()
        scheme = next(each for each in changed["statusSchemes"] if each["default"])
        scheme["entries"][0] |= {"cql": 'stewardExpirationDate != "2020-01-01" and not (label = draft)'}
        assert house.api("PUT", "/api/policies", json=changed, headers={"If-Match": loaded.headers["ETag"]}).ok
        for title, expected in (("Runbook", "expired"), ("Fresh page", "up-to-date")):
            house.api("POST", f"/api/content/{content(house, title).id}/refresh")
            assert status(house, content(house, title).id) == expected


def status(house: House, page_id: str) -> str:
    answer = house.api("GET", f"/api/content/{page_id}/status").json()
    return str(answer["status"]["id"])


@pytest.mark.parametrize("case", ["without stamps", "read-only for the app", "never stamped"])
def test_what_was_just_confirmed_stays_although_search_has_not_heard_of_it(tmp_path: Path, case: str) -> None:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path) as house:
        if case == "without stamps":
            loaded = house.api("GET", "/api/policies")
            changed = loaded.json() | {"statusStamps": False}
            headers = {"If-Match": loaded.headers["ETag"]}
            assert house.api("PUT", "/api/policies", json=changed, headers=headers).status_code == 200
        page = content(house, "Runbook")
        if case == "read-only for the app":
            house.site.restrict(page.id, users=["u-admin"], operation="update")
        if case != "never stamped":
            house.run("refresh-statuses")
            assert status(house, page.id) == "not-updated"
        house.clock.advance(3600)
        house.site.index_lag = 600
        if case == "read-only for the app":
            house.site.set_property(page.id, "steward-review", {"reviewedOn": clock.now().date().isoformat()})
            house.api("POST", f"/api/content/{page.id}/refresh")
        else:
            still_valid(house, "Runbook")
        assert status(house, page.id) == "up-to-date"
        house.clock.advance(300)
        assert house.run("refresh-statuses")["status"] == "successful"
        assert status(house, page.id) == "up-to-date"
        house.clock.advance(1000)
        house.run("refresh-statuses")
        assert status(house, page.id) == "up-to-date"
        house.site.set_property(page.id, "steward-review", {"reviewedOn": "2020-01-01"})
        house.clock.advance(1000)
        house.run("refresh-statuses")
        assert status(house, page.id) == "not-updated"


@pytest.mark.parametrize(
    ("cql", "left"),
    [
        ("known <= now() OR title ~ old", True),
        ("unknown <= now() OR title ~ old", "title ~ old"),
        ("unknown <= now() AND title ~ old", False),
        ("title ~ old AND NOT (unknown > now())", "title ~ old"),
        ("NOT (known > now())", False),
        ("label = a OR label = b", "label = a or label = b"),
        ("(label = a OR known > now()) AND type = page", "type = page"),
    ],
)
def test_what_is_known_falls_out_of_a_query(cql: str, left: str | bool) -> None:
    def judge(clause: Clause) -> bool | None:
        return {"known": True, "unknown": False}.get(clause.field)

    assert undecided(cql, judge) == left
