"""A stamped page that went and a copy that came look like no change at all; within a week the ledger knows."""

from __future__ import annotations

from datetime import timedelta

from addon.jobs import ledger
from addon.jobs.statuses.upkeep.drift import _turn
from tests.jobs.conftest import Bench


def known(bench: Bench) -> set[str]:
    with bench.db.read(bench.tenant_id) as session:
        return set(ledger.slugs_of(session, [content.id for content in bench.site.contents(status=None)]))


def exchange(bench: Bench) -> tuple[str, str]:
    """Trash a stamped page and bring another back with a stamp that the ledger does not know."""
    bench.site.add_space("DOCS", homepage=False)
    gone, back = (bench.page("DOCS", title, months=30) for title in ("Goes", "Comes back"))
    for number in range(4):
        bench.site.add_space(f"S{number}", homepage=False)
        bench.page(f"S{number}", "Old", months=30)
    bench.refresh()
    bench.site.trash(back)
    bench.clock.advance(timedelta(hours=6))
    bench.refresh()
    bench.site.trash(gone)
    bench.site.restore(back)
    bench.clock.advance(timedelta(hours=6))
    bench.refresh()
    assert gone in known(bench)
    assert back not in known(bench)
    return gone, back


def test_an_exchange_that_counts_do_not_show_is_healed_within_a_week_and_one_run(bench: Bench) -> None:
    gone, back = exchange(bench)
    most = 0
    for _ in range(8):
        bench.clock.advance(timedelta(days=1))
        bench.refresh()
        most = max(most, sum(bench.client.calls.values()))
    assert gone not in known(bench)
    assert back in known(bench)
    assert most < 20


def test_a_page_that_moved_within_its_group_is_counted_where_it_is(bench: Bench) -> None:
    exchange(bench)
    [page] = [content.id for content in bench.site.contents("S1")]
    bench.site.move(page, space_key="S2")
    for _ in range(8):
        bench.clock.advance(timedelta(days=1))
        run, _ = bench.refresh()
    assert run.metrics_of("S1")["statusCounts"] == {}
    assert run.metrics_of("S2")["statusCounts"] == {"expired": 2}


def test_a_stamp_that_somebody_else_put_right_is_learned(bench: Bench) -> None:
    bench.site.add_space("DOCS", homepage=False)
    page = bench.page("DOCS", "Old", months=30)
    bench.refresh()
    bench.site.edit(page)
    bench.refresh()
    bench.put(lambda data: data["statusSchemes"][0].update(entries=[{"status": "expired"}]))
    bench.site.set_property(page, "steward-status", {"id": "expired", "content": page}, by="u-admin")
    for _ in range(8):
        bench.clock.advance(timedelta(days=1))
        bench.refresh()
    with bench.db.read(bench.tenant_id) as session:
        assert ledger.slugs_of(session, [page]) == {page: "expired"}


def test_a_sweep_of_what_is_right_costs_a_call_a_day(bench: Bench) -> None:
    bench.site.add_space("DOCS", homepage=False)
    for number in range(5):
        bench.page("DOCS", f"Old {number}", months=30)
    bench.refresh()
    bench.refresh()
    idle = sum(bench.client.calls.values())
    bench.clock.advance(timedelta(days=1))
    bench.refresh()
    listing = bench.client.calls.pop("spaces")
    assert (listing, sum(bench.client.calls.values())) == (1, idle + 1)
    bench.refresh()
    assert sum(bench.client.calls.values()) == idle


def test_every_space_has_its_turn_in_seven_sweeps() -> None:
    sizes = {f"{number:03}": number % 7 + 1 for number in range(100)}
    seen: list[str] = []
    last = None
    for _ in range(7):
        turn = _turn(sizes, last)
        seen += turn
        last = turn[-1]
    assert seen == sorted(sizes)
