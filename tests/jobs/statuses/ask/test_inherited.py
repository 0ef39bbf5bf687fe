"""Pages that hand their status down are looked for in many spaces at once, whatever the groups are."""

from __future__ import annotations

from typing import Any

import pytest

from addon.confluence import ServerError
from addon.jobs.statuses.ask import planning
from tests.jobs.conftest import Bench

SPACES = ("A", "B", "C", "D", "E")


@pytest.fixture
def below(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Five spaces in groups of two, each with a labelled page; return the page below it by space."""
    monkeypatch.setattr(planning, "MOST_SPACES", 2)
    found = {}
    for key in SPACES:
        bench.site.add_space(key, homepage=False)
        top = bench.page(key, "Top")
        inner = bench.page(key, "Inner", parent=top)
        bench.site.label(top, "retired")
        bench.site.label(inner, "retired")
        found[key] = bench.page(key, "Below", parent=inner)

    def inherited(data: dict[str, Any]) -> None:
        data["statusSchemes"][0]["entries"][0]["ancestorCql"] = "label = retired"

    bench.put(inherited)
    return found


def asked_for_ancestors(bench: Bench, monkeypatch: pytest.MonkeyPatch, *, failing: int = 0) -> list[str]:
    """Return a list that grows with each query for such pages; those of more than `failing` spaces fail."""
    asked: list[str] = []
    search = bench.client.search

    def listening(cql: str, **options: Any) -> Any:
        if "ancestors" in options.get("expand", ()):
            asked.append(cql)
            if failing and sum(f'"{key}"' in cql for key in SPACES) > failing:
                raise ServerError("too much at once", status=503)
        return search(cql, **options)

    monkeypatch.setattr(bench.client, "search", listening)
    return asked


def test_one_query_finds_them_for_all_groups(
    bench: Bench, below: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_for_ancestors(bench, monkeypatch)
    bench.refresh()
    assert {key: bench.stamp(page) for key, page in below.items()} == dict.fromkeys(SPACES, "expired")
    assert len(asked) == 1
    asked.clear()
    _, metrics = bench.refresh()
    assert (len(asked), metrics["statusesChanged"], bench.client.writes) == (1, 0, 0)


def test_each_group_asks_for_itself_where_that_fails(
    bench: Bench, below: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_for_ancestors(bench, monkeypatch, failing=2)
    run, _ = bench.refresh()
    assert set(run.states().values()) == {"done"}
    assert {key: bench.stamp(page) for key, page in below.items()} == dict.fromkeys(SPACES, "expired")
    assert len(asked) == 1 + 3
