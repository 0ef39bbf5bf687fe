"""A search index that lags makes the refresh look again later; it never stamps twice and never swings to and fro."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.jobs.conftest import Bench

LAG = 600


@pytest.fixture
def lagging(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    bench.site.add_space("DOCS", homepage=False)
    bench.page("DOCS", "New", months=1)
    bench.site.negation = request.param
    bench.refresh()
    bench.site.index_lag = LAG
    return bench


BOTH = pytest.mark.parametrize("lagging", ["inclusive", "exclusive"], indirect=True)


def version(bench: Bench, page: str) -> int:
    return bench.site.get(page).properties["steward-status"].version


@BOTH
def test_runs_close_together_write_each_stamp_once(lagging: Bench) -> None:
    pages = [lagging.page("DOCS", f"Old {number}", months=30) for number in range(8)]
    lagging.clock.advance(LAG)
    for _ in range(6):
        lagging.refresh()
        lagging.clock.advance(timedelta(minutes=4))
    assert {version(lagging, page) for page in pages} == {1}
    _, metrics = lagging.refresh()
    assert metrics["statusCounts"] == {"expired": 8, "up-to-date": 1}


@BOTH
def test_an_edit_that_search_does_not_show_yet_is_stamped_once_when_it_does(lagging: Bench) -> None:
    page = lagging.page("DOCS", "Old", months=30)
    lagging.clock.advance(LAG)
    lagging.refresh()
    lagging.clock.advance(timedelta(hours=1))
    lagging.site.edit(page)
    seen: list[Any] = []
    for _ in range(8):
        lagging.refresh()
        seen.append((lagging.stamp(page), version(lagging, page)))
        lagging.clock.advance(timedelta(minutes=4))
    assert seen[0] == ("expired", 1)
    assert seen[-1] == ("up-to-date", 2)
    assert seen == sorted(seen, key=lambda each: each[1])


@BOTH
def test_a_status_that_changes_twice_within_the_lag_ends_right(lagging: Bench) -> None:
    page = lagging.page("DOCS", "Old", months=30)
    lagging.clock.advance(LAG)
    lagging.refresh()
    lagging.clock.advance(timedelta(hours=1))
    lagging.site.set_property(page, "steward-review", {"reviewedOn": "2026-11-22"}, by="u-admin")
    lagging.clock.advance(LAG)
    lagging.refresh()
    lagging.site.set_property(page, "steward-review", {"expirationDate": "2026-01-01"}, by="u-admin")
    for _ in range(8):
        lagging.clock.advance(timedelta(minutes=4))
        lagging.refresh()
    value = lagging.site.get(page).properties["steward-status"].value
    assert (value["id"], value["previous"], version(lagging, page)) == ("expired", "up-to-date", 3)
