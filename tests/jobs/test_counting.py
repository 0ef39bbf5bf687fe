"""Counts are metrics: a site that does not count gets the same statuses, for more points, and no wrong figures."""

from __future__ import annotations

from typing import Any

import pytest

from addon.confluence import errors
from addon.jobs.counting import GIVE_UP
from tests.jobs.conftest import Bench

REFUSALS = [
    errors.ServerError("down", status=503),
    errors.CqlRejected("a page of HTML", status=400),
    errors.Malformed("an answer that lacks what it should have (KeyError('totalSize'))"),
    errors.NotFound("removed", status=404),
]


def stop_counting(bench: Bench, error: errors.SiteError = REFUSALS[0]) -> None:
    def fault(method: str, _arguments: tuple[Any, ...]) -> None:
        if method == "count":
            raise error

    bench.client.faults.append(fault)


@pytest.fixture
def aged(docs: Bench) -> dict[str, str]:
    """Pages of every status and the slug each should have."""
    ages = {"expired": 30, "not-updated": 15, "up-to-date": 1}
    return {docs.page("DOCS", f"{slug} {number}", months=age): slug for slug, age in ages.items() for number in (1, 2)}


def held(bench: Bench, aged: dict[str, str]) -> dict[str, str]:
    return {content_id: bench.stamp(content_id) or "up-to-date" for content_id in aged}


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_a_site_that_never_counts_is_refreshed_all_the_same(
    docs: Bench, aged: dict[str, str], negation: Any, error: errors.SiteError
) -> None:
    docs.site.negation = negation
    stop_counting(docs, error)
    run, metrics = docs.refresh()
    assert run.states() == {"DOCS": "done"}
    assert held(docs, aged) == aged
    assert metrics["statusesChanged"] == 4


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_counting_that_ends_between_two_runs_changes_no_decision(
    docs: Bench, aged: dict[str, str], negation: Any
) -> None:
    docs.site.negation = negation
    docs.refresh()
    first, *_, last = aged
    docs.site.edit(first)
    docs.site.trash(next(id for id, slug in aged.items() if slug == "not-updated"))
    docs.clock.advance(3600)
    stop_counting(docs)
    run, metrics = docs.refresh()
    assert run.states() == {"DOCS": "done"}
    assert docs.stamp(first) == "up-to-date"
    assert metrics["statusesChanged"] == 1
    _, again = docs.refresh()
    assert again["statusesChanged"] == 0
    assert docs.stamp(last) is None


def test_figures_that_nobody_counted_are_left_out_instead_of_wrong(docs: Bench, aged: dict[str, str]) -> None:
    docs.refresh()
    stop_counting(docs)
    _, metrics = docs.refresh()
    assert "contentsChecked" not in metrics
    assert metrics["statusCounts"] == {"expired": 2, "not-updated": 2}
    assert "uncounted" not in metrics


def test_where_statuses_are_kept_without_stamps_reading_replaces_counting(docs: Bench, aged: dict[str, str]) -> None:
    docs.put(lambda data: data.update(statusStamps=False))
    stop_counting(docs)
    run, metrics = docs.refresh()
    assert run.states() == {"DOCS": "done"}
    assert metrics["statusCounts"] == {"expired": 2, "not-updated": 2}
    docs.site.edit(next(iter(aged)))
    _, metrics = docs.refresh()
    assert metrics["statusCounts"] == {"expired": 1, "not-updated": 2}


def test_a_dead_search_is_not_asked_for_every_number(docs: Bench, aged: dict[str, str]) -> None:
    docs.refresh()
    stop_counting(docs)
    docs.refresh()
    assert docs.client.calls["count"] <= GIVE_UP + 3


def test_one_failed_count_costs_one_figure_and_the_next_run_has_it_again(docs: Bench, aged: dict[str, str]) -> None:
    docs.refresh()
    stop_counting(docs)
    docs.refresh()
    docs.client.faults.clear()
    _, metrics = docs.refresh()
    assert metrics["contentsChecked"] == len(aged) + 1
    assert metrics["statusCounts"]["up-to-date"] == 3
