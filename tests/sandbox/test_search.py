"""What CQL finds over HTTP, page by page, as the add-on asks for it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import requests

from addon.sandbox.records import Content
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import Caller

SEARCH = "/wiki/rest/api/content/search"
OLD = '(type in (page, blogpost)) and (space in ("DOCS")) and (lastmodified < now("-12M"))'


def titles(found: requests.Response) -> list[str]:
    assert found.status_code == 200, found.text
    return [row["title"] for row in found.json()["results"]]


def page_of(site: Site, title: str) -> Content:
    return next(page for page in site.contents(status=None) if page.title == title)


def stamp(site: Site, title: str, slug: str) -> None:
    site.set_property(page_of(site, title).id, "steward-status", {"id": slug})


def walk(call: Caller, path: str, **params: Any) -> list[requests.Response]:
    """Follow `_links.next` to the end."""
    pages = [call.get(path, **params)]
    while "next" in pages[-1].json()["_links"]:
        link = pages[-1].json()["_links"]["next"]
        pages.append(call("GET", link if link.startswith("/wiki") else f"/wiki{link}"))
    return pages


def test_spaces_come_page_by_page(call: Caller) -> None:
    pages = walk(call, "/wiki/api/v2/spaces", limit=2)
    assert [[space["key"] for space in page.json()["results"]] for page in pages] == [["DOCS", "ENG"], ["HR"]]
    assert 'rel="next"' in pages[0].headers["Link"]
    assert "Link" not in pages[1].headers


def test_a_status_query_finds_what_is_old_and_not_stamped(site: Site, call: Caller) -> None:
    old = ["Guide", "Guide: old part", "News of old"]
    assert titles(call.get(SEARCH, cql=OLD)) == old
    stamp(site, "Guide", "expired")
    assert titles(call.get(SEARCH, cql=f'{OLD} and not stewardStatus = "expired"')) == old[1:]
    assert titles(call.get(SEARCH, cql='stewardStatus in ("expired", "not-updated")')) == ["Guide"]
    assert titles(call.get(SEARCH, cql='content.property[steward-status].id = "expired"')) == ["Guide"]


@pytest.mark.parametrize(
    ("negation", "clause", "found"),
    [
        ("inclusive", 'stewardStatus != "expired"', {"Guide", "Fresh page"}),
        ("exclusive", 'stewardStatus != "expired"', {"Fresh page"}),
        ("inclusive", 'not stewardStatus = "expired"', {"Guide", "Fresh page"}),
        ("exclusive", 'not stewardStatus = "expired"', {"Fresh page"}),
        ("exclusive", 'stewardStatus not in ("expired")', {"Fresh page"}),
        ("exclusive", 'not (stewardStatus = "expired" or label = "x")', {"Fresh page"}),
        ("inclusive", "not (stewardExpirationDate <= now())", {"Guide", "Guide: old part", "Fresh page"}),
        ("exclusive", "not (stewardExpirationDate <= now())", set()),
        ("exclusive", 'stewardExpirationDate != "2026-11-30"', set()),
        ("exclusive", 'label != "draft"', {"Guide", "Guide: old part"}),
    ],
)
def test_negation_of_contents_without_the_property_is_a_setting_of_the_site(
    site: Site, call: Caller, negation: Any, clause: str, found: set[str]
) -> None:
    stamp(site, "Guide: old part", "expired")
    stamp(site, "Fresh page", "up-to-date")
    site.negation = negation
    among = ("Guide", "Guide: old part", "Fresh page")
    answer = titles(call.get(SEARCH, cql=f"type = page and space = DOCS and id in ({_ids(site, *among)}) and {clause}"))
    assert set(answer) == found


@pytest.mark.parametrize("kind", ["date", "string"])
@pytest.mark.parametrize("form", ["!=", "not in", "not"])
def test_each_form_of_negation_can_be_read_differently_for_dates_and_for_strings(
    site: Site, call: Caller, form: str, kind: str
) -> None:
    site.negations.put("exclusive", form, kind)
    asked = {
        ("!=", "date"): 'stewardReviewedOn != "2020-01-01"',
        ("not in", "date"): 'stewardReviewedOn not in ("2020-01-01")',
        ("not", "date"): 'not (stewardReviewedOn > "2020-01-01")',
        ("!=", "string"): 'stewardStatus != "expired"',
        ("not in", "string"): 'stewardStatus not in ("expired")',
        ("not", "string"): 'not (stewardStatus = "expired")',
    }
    empty = {each for each, cql in asked.items() if not titles(call.get(SEARCH, cql=f"type = page and {cql}"))}
    assert empty == {(form, kind)}
    assert site.negation == "mixed"


def _ids(site: Site, *names: str) -> str:
    return ", ".join(page_of(site, name).id for name in names)


@pytest.mark.parametrize(
    "cql",
    [
        "type = = page",
        "unknownField = 3",
        'type = page and stewardUnknown = "x"',
        "not type = page",
        'space != "DOCS" and type = page',
        "type = page and lastmodified < yesterday()",
        'type = page and lastmodified < "last week"',
        "type = page and title > 3",
        "type = elephant",
        "type = page order by rank",
    ],
)
def test_what_confluence_does_not_parse_is_refused_in_its_words(call: Caller, cql: str) -> None:
    refused = call.get(SEARCH, cql=cql)
    assert refused.status_code == 400
    assert refused.json()["statusCode"] == 400
    assert refused.json()["message"].endswith(f"BadRequestException: Could not parse cql : {cql}")


def test_a_missing_query_a_negative_and_a_wordy_limit_have_answers_of_their_own(call: Caller) -> None:
    assert call.get(SEARCH).json()["message"] == "cql query parameter is required"
    assert call.get(SEARCH, cql="type=page", limit=-1).status_code == 400
    wordy = call.get(SEARCH, cql="type=page", limit="many")
    assert (wordy.status_code, wordy.content) == (404, b"")


def test_counting_costs_one_point(site: Site, call: Caller) -> None:
    site.meter.reset()
    counted = call.get("/wiki/rest/api/search", cql="type in (page, blogpost)", limit=0, excerpt="none").json()
    assert (counted["totalSize"], counted["size"], counted["results"]) == (9, 0, [])
    assert site.meter.points == 1


def test_a_walk_ignores_start_and_yields_each_content_once(site: Site, call: Caller) -> None:
    pages = walk(call, SEARCH, cql="type in (page, blogpost)", limit=4, start=100)
    ids = [row["id"] for page in pages for row in page.json()["results"]]
    assert [page.json()["size"] for page in pages] == [4, 4, 1]
    assert len(set(ids)) == 9


def test_changing_what_a_query_finds_while_walking_moves_rows_under_the_walker(site: Site, call: Caller) -> None:
    query = "type in (page, blogpost) and stewardStatus != expired"
    first = call.get(SEARCH, cql=query, limit=4)
    for row in first.json()["results"]:
        site.set_property(row["id"], "steward-status", {"id": "expired"})
    second = call("GET", "/wiki" + first.json()["_links"]["next"])
    assert len(second.json()["results"]) == 1
    assert "next" not in second.json()["_links"]


def test_page_sizes_are_capped_silently_by_what_is_expanded(site: Site, call: Caller) -> None:
    for number in range(300):
        site.add_page("ENG", f"Page {number}")
    sizes = [
        call.get(SEARCH, cql="type=page", limit=5000, expand=expand).json()["limit"]
        for expand in ("", "version", "version,body.storage", "body.export_view")
    ]
    assert sizes == [1000, 200, 50, 25]


def test_a_foreign_cursor_is_an_illegal_request(call: Caller) -> None:
    refused = call.get(SEARCH, cql="type=page", cursor="_t_nonsense_h_0")
    assert refused.status_code == 400
    assert "illegal request passed to XP-Search Aggregator" in refused.json()["message"]


def test_archived_pages_are_found_only_when_asked_for(site: Site, call: Caller) -> None:
    site.archive(page_of(site, "Runbook").id)
    site.trash(page_of(site, "Handbook").id)
    assert titles(call.get(SEARCH, cql='space in ("ENG", "HR") and type = page')) == ["Engineering home"]
    archived = json.dumps({"contentStatuses": ["archived"]})
    assert titles(call.get(SEARCH, cql='space in ("ENG", "HR")', cqlcontext=archived)) == ["Runbook"]
    assert call.get(SEARCH, cql="type=page", cqlcontext="{").status_code == 400


def test_the_index_lags_but_what_is_shown_is_fresh(site: Site, call: Caller, clock: VirtualClock) -> None:
    site.index_lag = 30
    stamp(site, "Guide", "expired")
    guide = page_of(site, "Guide")
    site.edit(guide.id, title="Guide, renamed")
    query = f'{OLD} and not stewardStatus = "expired"'
    late = call.get(SEARCH, cql=query, expand="metadata.properties.steward-status")
    assert titles(late)[0] == "Guide, renamed"
    assert late.json()["results"][0]["metadata"]["properties"]["steward-status"]["value"] == {"id": "expired"}
    clock.advance(timedelta(seconds=29))
    assert len(titles(call.get(SEARCH, cql=query))) == 3
    clock.advance(timedelta(seconds=1))
    assert titles(call.get(SEARCH, cql=query)) == ["Guide: old part", "News of old"]


def test_a_lagging_index_still_finds_what_is_in_the_trash(site: Site, call: Caller, clock: VirtualClock) -> None:
    site.index_lag = 30
    site.trash(page_of(site, "Runbook").id)
    site.purge(page_of(site, "Handbook").id)
    found = call.get(SEARCH, cql='space in ("ENG", "HR") and type = page').json()["results"]
    assert [(row["title"], row["status"]) for row in found] == [("Engineering home", "current"), ("Runbook", "trashed")]
    site.index_lag = 0
    assert titles(call.get(SEARCH, cql='space in ("ENG", "HR") and type = page')) == ["Engineering home"]


def test_the_app_finds_only_what_its_user_may_see(site: Site, call: Caller) -> None:
    site.restrict(page_of(site, "Guide").id, users=["u-eve"])
    site.grant_app("HR")
    found = titles(call.get(SEARCH, cql="type in (page, blogpost)"))
    assert "Guide: old part" not in found, "view restrictions are inherited"
    assert "Handbook" not in found
    assert len(found) == 6
    assert [space["key"] for space in call.get("/wiki/api/v2/spaces").json()["results"]] == ["DOCS", "ENG"]


def test_dates_are_read_in_the_zone_of_the_site(clock: VirtualClock, site: Site, call: Caller) -> None:
    from zoneinfo import ZoneInfo

    site.add_page("ENG", "Late", created_at=clock.now().replace(day=20, hour=23, minute=30))
    query = 'title = "Late" and created = "2026-11-20"'
    assert titles(call.get(SEARCH, cql=query)) == ["Late"]
    site.time_zone = ZoneInfo("Europe/Berlin")
    assert titles(call.get(SEARCH, cql=query)) == []
    assert titles(call.get(SEARCH, cql='title = "Late" and created = "2026/11/21"')) == ["Late"]
    assert titles(call.get(SEARCH, cql='title = "Late" and created > startOfDay("-2d")')) == ["Late"]
    assert titles(call.get(SEARCH, cql='title = "Late" and created >= "2026-11-21 00:30"')) == ["Late"]


@pytest.mark.parametrize(
    ("cql", "found"),
    [
        ('title ~ "guide part"', ["Guide: old part"]),
        ('title ~ "gui*" and space.key = DOCS', ["Guide", "Guide: old part"]),
        ('text ~ "\\"old part\\""', ["Guide: old part"]),
        ("type = blogpost order by created desc", ["News", "News of old"]),
        ("space.type = global and creator = u-hid", ["Runbook"]),
        ("contributor in (u-eve) and label = draft", ["Fresh page"]),
        ('space.title ~ "people"', ["Handbook"]),
        ("type = page and (label = draft or creator = u-hid)", ["Fresh page", "Runbook"]),
        ("type = page and creator = u-sam or space = ENG and type = blogpost", ["News"]),
    ],
)
def test_fields_operators_and_order(call: Caller, cql: str, found: list[str]) -> None:
    assert titles(call.get(SEARCH, cql=cql)) == found


def test_ancestors_and_parents(site: Site, call: Caller) -> None:
    home = site.space("DOCS").homepage_id
    assert titles(call.get(SEARCH, cql=f"ancestor = {home}")) == ["Guide", "Guide: old part"]
    assert titles(call.get(SEARCH, cql=f"parent in ({home})")) == ["Guide"]
    assert titles(call.get(SEARCH, cql=f"space = DOCS and not ancestor in ({home}) and type = page")) == [
        "Documentation home",
        "Fresh page",
    ]
    guide = page_of(site, "Guide")
    site.archive(guide.id)
    assert titles(call.get(SEARCH, cql=f"parent = {home}")) == ["Guide: old part"], "children that stay move up"
