"""Large sites answer quickly: the work of a query grows with the contents, and no request waits for another."""

from __future__ import annotations

import cProfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest

from addon.sandbox import http
from addon.sandbox.search import Question
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import ADDON_KEY, CLIENT_KEY, DESCRIPTOR, SECRET, Caller

EXPIRED = '(stewardExpirationDate <= now() or lastmodified < now("-24M"))'
NOT_UPDATED = '(lastmodified < now("-12M"))'


def sized(pages: int) -> Site:
    site = Site(VirtualClock())
    site.register_addon(ADDON_KEY, CLIENT_KEY, SECRET, DESCRIPTOR)
    seed_sized(site, spaces=200, pages=pages, stamped=True)
    return site


def refresh_queries(site: Site) -> list[str]:
    keys = ", ".join(f'"{space.key}"' for space in site.spaces()[:50])
    base = f"(type in (page, blogpost)) and (space in ({keys}))"
    return [
        base,
        f'{base} and {EXPIRED} and (stewardStatus != "expired")',
        f'{base} and {NOT_UPDATED} and not {EXPIRED} and not (stewardStatus = "not-updated")',
        f'{base} and (stewardStatus in ("expired", "not-updated")) and not {EXPIRED} and not {NOT_UPDATED}',
    ]


def calls_per_content(site: Site, pages: int) -> float:
    """How often Python calls anything per content of the site, in the costliest query of a refresh."""

    def calls(query: str) -> int:
        with cProfile.Profile() as profile:
            site.search.hits(Question(query))
        return sum(entry.callcount for entry in profile.getstats())

    return max(calls(query) for query in refresh_queries(site)) / pages


@pytest.mark.parametrize("pages", [20_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_query_of_a_refresh_looks_at_each_content_hardly_more_than_once(pages: int) -> None:
    assert calls_per_content(sized(pages), pages) < 4


def test_the_pages_of_a_walk_share_one_evaluation_until_something_changes(site: Site, call: Caller) -> None:
    for number in range(30):
        site.add_page("ENG", f"Page {number}", created_at=site.clock.now() - timedelta(days=900))
    query, evaluated = 'space = "ENG" and type = page', []
    evaluate = type(site.search)._evaluate

    def counting(self: object, *arguments: object) -> object:
        evaluated.append(arguments)
        return evaluate(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(site.search), "_evaluate", counting)
        answer = call.get("/wiki/rest/api/content/search", cql=query, limit=10)
        answer = call("GET", "/wiki" + answer.json()["_links"]["next"])
        site.label(next(site.contents("DOCS")).id, "elsewhere")
        answer = call("GET", "/wiki" + answer.json()["_links"]["next"])
        assert len(evaluated) == 1
        site.label(next(site.contents("ENG")).id, "here")
        call("GET", "/wiki" + answer.json()["_links"]["next"])
        assert len(evaluated) == 2


def test_latency_is_per_request_and_does_not_queue(site: Site, call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone_waits, waited = threading.Barrier(8), []

    class Latency:
        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            everyone_waits.wait(20)

    monkeypatch.setattr(http, "threading", SimpleNamespace(Event=Latency))
    site.latency_ms = 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _number: call.get("/wiki/api/v2/space-role-mode").status_code, range(8)))
    assert answers == [200] * 8
    assert waited == [0.2] * 8
