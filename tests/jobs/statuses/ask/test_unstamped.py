"""Statuses in the ledger only: right without a write, cheap while nothing changes, stamped again when switched on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from addon.jobs import ledger
from tests.jobs.conftest import Bench


def switch(bench: Bench, *, on: bool) -> None:
    bench.put(lambda data: data.update(statusStamps=on))


def rows(bench: Bench) -> dict[str, ledger.LedgerEntry]:
    with bench.db.read(bench.tenant_id) as session:
        return ledger.load(session, [content.id for content in bench.site.contents(status=None)])


@pytest.fixture
def pages(bench: Bench) -> dict[str, str]:
    for key in ("DOCS", "OPS"):
        bench.site.add_space(key)
    return {
        "old": bench.page("DOCS", "Old", months=30),
        "ageing": bench.page("DOCS", "Ageing", months=15),
        "new": bench.page("DOCS", "New", months=1),
        "other": bench.page("OPS", "Other", months=30),
    }


def test_nothing_is_written_and_everything_is_known(bench: Bench, pages: dict[str, str]) -> None:
    switch(bench, on=False)
    _, metrics = bench.refresh()
    assert bench.client.writes == 0
    assert metrics["statusCounts"] == {"expired": 2, "not-updated": 1, "up-to-date": 3}
    assert metrics["statusesChanged"] == 3
    assert {id: row.slug for id, row in rows(bench).items()} == {
        pages["old"]: "expired",
        pages["ageing"]: "not-updated",
        pages["other"]: "expired",
    }
    bench.refresh()
    assert bench.client.writes == 0
    assert bench.client.points <= 11


def test_a_change_keeps_its_day_and_what_was_before(bench: Bench, pages: dict[str, str]) -> None:
    switch(bench, on=False)
    bench.refresh()
    began = rows(bench)[pages["old"]].changed_on
    bench.clock.advance(timedelta(days=2))
    bench.site.edit(pages["ageing"])
    _, metrics = bench.refresh()
    found = rows(bench)
    assert (found[pages["ageing"]].slug, found[pages["ageing"]].previous) == ("up-to-date", "not-updated")
    assert found[pages["ageing"]].changed_on == bench.clock.now()
    assert found[pages["old"]].changed_on == began
    assert metrics["statusesChanged"] == 1
    assert metrics["statusCounts"]["up-to-date"] == 4


def test_one_that_leaves_and_one_that_comes_do_not_hide_each_other(bench: Bench, pages: dict[str, str]) -> None:
    switch(bench, on=False)
    bench.refresh()
    bench.site.edit(pages["old"])
    new = bench.page("OPS", "Came", months=30)
    bench.refresh()
    assert rows(bench)[pages["old"]].slug == "up-to-date"
    assert rows(bench)[new].slug == "expired"


def test_what_was_trashed_is_forgotten_and_what_moved_is_followed(bench: Bench, pages: dict[str, str]) -> None:
    switch(bench, on=False)
    bench.refresh()
    began = rows(bench)[pages["other"]].changed_on
    bench.clock.advance(timedelta(days=1))
    bench.site.trash(pages["old"])
    bench.site.move(pages["other"], space_key="DOCS")
    _, metrics = bench.refresh()
    assert pages["old"] not in rows(bench)
    moved = rows(bench)[pages["other"]]
    assert (moved.space_id, moved.slug, moved.changed_on) == (bench.site.space("DOCS").id, "expired", began)
    assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 3}


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_stamps_from_before_stay_and_are_put_right_when_switched_on(
    bench: Bench, pages: dict[str, str], negation: Any
) -> None:
    bench.site.negation = negation
    bench.refresh()
    switch(bench, on=False)
    bench.site.edit(pages["old"])
    bench.clock.advance(timedelta(days=400))
    bench.refresh()
    assert bench.client.writes == 0
    assert bench.stamp(pages["old"]) == "expired"
    assert rows(bench)[pages["old"]].slug == "not-updated"
    dates = {id: row.changed_on for id, row in rows(bench).items()}
    switch(bench, on=True)
    bench.clock.advance(timedelta(hours=6))
    bench.refresh()
    assert [bench.stamp(pages[name]) for name in ("old", "ageing", "new", "other")] == [
        "not-updated", "expired", "not-updated", "expired"
    ]  # fmt: skip
    assert {id: row.changed_on for id, row in rows(bench).items()} == dates
    bench.refresh()
    assert bench.client.writes == 0


def test_an_excluded_space_without_stamps_is_forgotten_without_a_call(bench: Bench, pages: dict[str, str]) -> None:
    switch(bench, on=False)
    bench.refresh()
    bench.put(lambda data: data.update(excludedSpaces=[{"key": "OPS"}]))
    bench.refresh()
    assert pages["other"] not in rows(bench)
    assert bench.client.calls["property"] == bench.client.writes == 0


@pytest.mark.parametrize(("version", "wins"), [(None, "person"), (3, "person"), (5, "run")])
def test_what_a_person_had_refreshed_since_a_run_began_to_read_is_not_written_over(
    bench: Bench, version: int | None, wins: str
) -> None:
    """Unless the run wrote a later version of the same stamp, which is then in Confluence."""
    began = bench.clock.now()
    bench.clock.advance(1)
    ours = ledger.LedgerEntry(
        "1",
        "page",
        "9",
        "person",
        None,
        began,
        "7" if version else None,
        4 if version else None,
        bench.clock.now(),
        single=True,
    )
    bench.clock.advance(1)
    runs = replace(ours, slug="run", property_version=version, written_at=bench.clock.now(), single=False)
    with bench.db.write(bench.tenant_id) as session:
        ledger.save(session, bench.tenant_id, [ours])
        ledger.save(session, bench.tenant_id, [runs], since=began)
        ledger.drop(session, ["1"], since=began)
        found = ledger.load(session, ["1"])
    assert [row.slug for row in found.values()] == (["person"] if wins == "person" else [])
