"""What CQL finds over HTTP, page by page, as the add-on asks for it."""

from __future__ import annotations

from addon.sandbox.site import Site
from tests.support.site import Caller


def titles(found: object) -> list[str]:
    return [row["title"] for row in found.json()["results"]]  # type: ignore[attr-defined]


def test_the_add_on_lists_spaces_page_by_page(call: Caller) -> None:
    spaces = call.get("/wiki/api/v2/spaces", limit=2)
    assert [space["key"] for space in spaces.json()["results"]] == ["DOCS", "ENG"]
    assert 'rel="next"' in spaces.headers["Link"]
    rest = call("GET", spaces.json()["_links"]["next"])
    assert [space["key"] for space in rest.json()["results"]] == ["HR"]
    assert "next" not in rest.json()["_links"]


def test_a_status_query_finds_what_is_old_and_not_stamped(site: Site, call: Caller) -> None:
    query = '(type in (page, blogpost)) and (space in ("DOCS")) and (lastmodified < now("-12M"))'
    old = ["Guide", "Guide: old part", "News of old"]
    assert titles(call.get("/wiki/rest/api/content/search", cql=query)) == old
    guide = next(page for page in site.contents("DOCS") if page.title == "Guide")
    site.set_property(guide.id, "steward-status", {"id": "expired"})
    unstamped = f'{query} and not stewardStatus = "expired"'
    assert titles(call.get("/wiki/rest/api/content/search", cql=unstamped)) == old[1:]
