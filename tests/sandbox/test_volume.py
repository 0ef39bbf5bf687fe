"""Large sites answer quickly: what a refresh asks of 100,000 contents takes well under a second a query."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

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


def slowest(site: Site) -> float:
    """Seconds of the slowest query of a refresh, each at its best of three, as other work shares the machine."""

    def seconds(query: str) -> float:
        begun = time.perf_counter()
        site.search.hits(Question(query))
        return time.perf_counter() - begun

    return max(min(seconds(query) for _ in range(3)) for query in refresh_queries(site))


def test_the_queries_of_a_refresh_over_20_000_contents_are_quick() -> None:
    assert slowest(sized(20_000)) < 0.4


@pytest.mark.long
def test_the_queries_of_a_refresh_over_100_000_contents_are_quick() -> None:
    assert slowest(sized(100_000)) < 1.0


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


def test_latency_is_per_request_and_does_not_queue(site: Site, call: Caller) -> None:
    from concurrent.futures import ThreadPoolExecutor

    site.latency_ms = 200
    begun = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _number: call.get("/wiki/api/v2/space-role-mode").status_code, range(8)))
    elapsed = time.perf_counter() - begun
    assert answers == [200] * 8
    assert 0.2 <= elapsed < 1.2
