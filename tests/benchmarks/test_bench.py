"""The bench itself, on a small site: each case runs, all it compares is right, and the targets that scale hold."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks import __main__ as bench
from tests.benchmarks.cases import large_site, with_personal_spaces
from tests.benchmarks.changes import change_some
from tests.benchmarks.model import FRESHNESS, STAMP, Wrong, compare, plain_status
from tests.benchmarks.profile import DEFAULT, LONG, SHORT
from tests.benchmarks.script import usual_points
from tests.benchmarks.table import Row, show
from tests.benchmarks.ticks import TickRow
from tests.benchmarks.world import world_of
from tests.support.clock import VirtualClock

SCALES = (
    "first refresh, 20 % non-default",
    "idle, 3 statuses",
    "1 % of the items changed status",
    "index lag",
    "idle, 10 items match an ancestor CQL",
    "idle, 5 statuses",
    'idle, exclusive "!="',
)
"""Beginnings of the cases whose targets a small site has to meet too."""


def row(case: str, figure: float, most: float | None, *, hard: bool = True) -> Row:
    return Row(case, 1000, 10, 20, 5, figure, "points", most, 0.1, "idle", hard)


@pytest.fixture
def console() -> Console:
    return Console(width=180, record=True, quiet=True)


def test_every_case_of_a_small_site_is_right_and_meets_the_targets_that_scale() -> None:
    rows = list(large_site(SHORT))
    missed = [f"{row.case}: {row.figure} {row.unit}, target {row.most}" for row in rows if row.met is False]
    assert [line for line in missed if line.startswith(SCALES)] == []
    assert all(any(row.case.startswith(case) for row in rows) for case in SCALES)
    idle = next(row for row in rows if row.case == "idle, nothing changed")
    assert (idle.changed, idle.calls) == (0, idle.points)


def test_personal_spaces_cost_nothing_but_their_names() -> None:
    (found,) = with_personal_spaces(SHORT)
    _, common, personal = SHORT.crowd
    assert found.points <= 1 + common + personal + 8


def test_the_usual_script_pays_for_every_content_whatever_changed() -> None:
    per_content = usual_points(SHORT)
    assert 2 < per_content["idle"] <= per_content["changed"] < 3
    assert row("idle", 1, None).beside(per_content).usual == round(1000 * per_content["idle"])


def test_wrong_statuses_are_noticed_on_the_site_and_in_the_ledger(clock: VirtualClock) -> None:
    site = Site(clock)
    page = site.add_page(site.add_space("ENG").key, "Runbook")
    compare(site, FRESHNESS, "nothing is wrong", ledger={})
    with pytest.raises(Wrong, match="the ledger holds expired"):
        compare(site, FRESHNESS, "the ledger is wrong", ledger={page.id: "expired"})
    site.set_property(page.id, STAMP, {"id": "expired"})
    with pytest.raises(Wrong, match="a plain look says up-to-date"):
        compare(site, FRESHNESS, "a stamp is wrong")
    compare(site, FRESHNESS, "a stamp cannot be written", read_only=[page.id])
    site.add_space("~EVE", type="personal", homepage=False)
    left = site.add_page("~EVE", "Diary")
    site.set_property(left.id, STAMP, {"id": "expired"})
    with pytest.raises(Wrong, match="1 contents of excluded spaces"):
        compare(site, FRESHNESS, "a stamp is left", read_only=[page.id])


def test_a_run_fails_the_bench_when_a_stamp_is_wrong_after_it_or_points_were_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with world_of(20, 1) as world:
        world.refresh("first")
        world.scheme = (("expired", lambda _site, _content: True),)
        with pytest.raises(Wrong, match="second: content"):
            world.refresh("second")
        charge = world.site.meter.charge
        monkeypatch.setattr(world.site.meter, "charge", lambda endpoint, points: charge(endpoint, points + 1))
        with pytest.raises(Wrong, match="the site counted"):
            world.refresh("third")


def test_changes_are_as_many_as_asked_for_and_in_both_directions(clock: VirtualClock) -> None:
    site = Site(clock)
    seed_sized(site, spaces=2, pages=200)
    before = {each.id: plain_status(site, each, FRESHNESS) for each in site.contents()}
    change_some(site, 10)
    after = {each.id: plain_status(site, each, FRESHNESS) for each in site.contents()}
    changed = [after[each] for each in before if before[each] != after[each]]
    assert (len(changed), set(changed)) == (10, {"up-to-date", "not-updated"})


def test_missed_targets_in_points_and_wrong_statuses_fail_the_bench_and_seconds_do_not(console: Console) -> None:
    met, shown = row("met", 1, 2), row("shown", 1, None)
    missed, slow = row("missed", 3, 2), row("slow", 3, 2, hard=False)
    assert bench.verdict([met, shown, slow], [], [], 1, console) == 0
    assert bench.verdict([met, missed], [], [], 1, console) == 1
    assert bench.verdict([met], [], ["content 7 is expired"], 1, console) == 1
    assert bench.verdict([met], [TickRow(300, 299, 1, 1.0, 1, 1, 1.0)], [], 1, console) == 1


def test_the_table_names_targets_ratio_and_verdict(console: Console) -> None:
    console.quiet = False
    with console.capture() as captured:
        show([row("met", 1, 2).beside({"idle": 2.2}), row("missed", 3, 2), row("shown", 1, None)], console)
    printed = captured.get()
    for word in ("2,200 (110 x)", "ok", "MISSED", "shown", "<= 2"):
        assert word in printed
    assert json.dumps(row("met", 1, 2).as_json())


def test_the_long_bench_is_a_million_contents_and_the_default_a_hundred_thousand() -> None:
    assert (DEFAULT.contents, DEFAULT.spaces, LONG.contents) == (100_000, 200, 1_000_000)
    assert DEFAULT.memory is not None
    assert [contents for contents, _ in DEFAULT.memory[1:]] == [10_000, 100_000]
