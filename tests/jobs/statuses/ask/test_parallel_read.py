"""A first refresh reads its only group in parts: sooner, and as right as in one piece."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from addon.confluence import errors
from addon.jobs.statuses.ask import parallel_read
from tests.jobs.conftest import Bench

KEYS = ("A", "B", "C", "D", "E")


@pytest.fixture
def site_of_five(bench: Bench) -> Iterator[dict[str, list[str]]]:
    """Five spaces with four old pages each, of which a part is worth it from two contents on."""
    pages: dict[str, list[str]] = {}
    for key in KEYS:
        bench.site.add_space(key, homepage=False)
        pages[key] = [bench.page(key, f"Old {number}", months=30) for number in range(4)]
    with patch.object(parallel_read, "WORTH", 2):
        yield pages


def groups_asked(bench: Bench) -> set[frozenset[str]]:
    """Collect the sets of spaces that enter queries name from now on."""
    found: set[frozenset[str]] = set()

    def note(method: str, arguments: tuple[Any, ...]) -> None:
        if method == "search":
            found.add(frozenset(re.findall(r'"([A-E])"', arguments[0].split("space in", 1)[1].split(")")[0])))

    bench.client.faults.append(note)
    return found


def test_each_part_is_asked_for_itself_and_everything_is_stamped_once(
    bench: Bench, site_of_five: dict[str, list[str]]
) -> None:
    asked = groups_asked(bench)
    run, metrics = bench.refresh()
    assert asked == {frozenset(key) for key in KEYS}
    assert {bench.stamp(page) for pages in site_of_five.values() for page in pages} == {"expired"}
    assert bench.client.writes == 20
    assert set(run.states().values()) == {"done"}
    assert (metrics["contentsChecked"], metrics["statusCounts"]) == (20, {"expired": 20, "up-to-date": 0})


def test_once_the_whole_site_was_refreshed_the_group_is_asked_as_one(
    bench: Bench, site_of_five: dict[str, list[str]]
) -> None:
    bench.refresh()
    asked = groups_asked(bench)
    _, metrics = bench.refresh()
    assert asked == {frozenset(KEYS)}
    assert (bench.client.writes, metrics["statusCounts"]) == (0, {"expired": 20, "up-to-date": 0})


def test_a_part_that_fails_keeps_no_other_from_its_statuses(bench: Bench, site_of_five: dict[str, list[str]]) -> None:
    def refuse(method: str, arguments: tuple[Any, ...]) -> None:
        if method == "search" and '"C"' in arguments[0]:
            raise errors.ServerError("boom", status=500)

    bench.client.faults.append(refuse)
    run, metrics = bench.refresh()
    assert run.states() == {key: "failed" if key == "C" else "done" for key in KEYS}
    assert {bench.stamp(page) for key, pages in site_of_five.items() if key != "C" for page in pages} == {"expired"}
    assert [bench.stamp(page) for page in site_of_five["C"]] == [None] * 4
    assert metrics["statusCounts"]["expired"] == 16
