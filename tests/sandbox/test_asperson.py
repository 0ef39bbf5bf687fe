"""What the site answers to a person through the bridge: never what that person may not see, whatever the app sees."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from addon.sandbox.site import ADMIN, Site
from addon.sandbox.ui.asperson import ask
from tests.support.clock import VirtualClock
from tests.support.site import ADDON_KEY, small_site

SAM, EVE = "u-sam", "u-eve"


@pytest.fixture
def site(clock: VirtualClock) -> Site:
    return small_site(clock)


def answer(site: Site, account: str, path: str, **query: Any) -> tuple[int, Any]:
    said = ask(site, site.addons[ADDON_KEY], account, f"{path}?{urlencode(query)}")
    return said["status"], json.loads(said["body"])


def count(site: Site, account: str, cql: str) -> int:
    status, body = answer(site, account, "/rest/api/search", cql=cql, limit=0)
    assert (status, body["results"]) == (200, [])
    return int(body["totalSize"])


def test_a_restricted_page_and_those_below_it_are_counted_for_those_only_who_may_see_them(site: Site) -> None:
    guide = next(each for each in site.contents("DOCS") if each.title == "Guide")
    before = count(site, SAM, 'space = "DOCS"')
    site.restrict(guide.id, users=[EVE], groups=[])
    assert count(site, EVE, 'space = "DOCS"') == before
    assert count(site, SAM, 'space = "DOCS"') == before - 2


def test_a_space_nobody_let_the_person_into_is_neither_listed_nor_searched(site: Site) -> None:
    secret = site.space("HR")
    for row in site.access.rows(secret.id):
        site.access.revoke(secret.id, row.principal_id)
    _, listed = answer(site, ADMIN, "/api/v2/spaces", limit=100, sort="name")
    assert [space["key"] for space in listed["results"]] == ["DOCS", "ENG"]
    assert count(site, ADMIN, 'space = "HR"') == 0


def test_what_the_app_may_not_see_a_person_may(site: Site) -> None:
    site.access.set_app(site.space("HR").id, [])
    assert count(site, SAM, 'space = "HR"') == 1


def test_spaces_come_page_by_page(site: Site) -> None:
    _, first = answer(site, SAM, "/api/v2/spaces", limit=2, status="current")
    path, _, query = first["_links"]["next"].removeprefix("/wiki").partition("?")
    said = ask(site, site.addons[ADDON_KEY], SAM, f"{path}?{query}")
    rest = json.loads(said["body"])
    assert len(first["results"]) + len(rest["results"]) == 3
    assert "next" not in rest["_links"]


def test_what_pages_do_not_ask_in_a_persons_name_is_not_there(site: Site) -> None:
    assert answer(site, SAM, "/rest/api/user/memberof")[0] == 404
    assert answer(site, SAM, "/rest/api/search", cql="not (type = page)")[0] == 400
    assert site.meter.calls == 0
