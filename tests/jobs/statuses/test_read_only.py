"""Contents that refuse the stamp: remembered, not looked for again, and found all the same when their status moves."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest

from addon.confluence import note_hint
from addon.jobs import ledger
from addon.jobs.statuses.ask import clauses
from tests.jobs.conftest import Bench


def site_with(bench: Bench, *, locked: int, open_pages: int = 30, key: str = "DOCS") -> list[str]:
    """Add a space with old pages; the first of them refuse the app's writes."""
    bench.site.add_space(key)
    pages = [bench.page(key, f"Old {number}", months=30) for number in range(locked + open_pages)]
    for page in pages[:locked]:
        bench.site.restrict(page, users=["u-admin"], operation="update")
    return pages


def slug(bench: Bench, page: str) -> str | None:
    with bench.db.read(bench.tenant_id) as session:
        return ledger.slugs_of(session, [page]).get(page)


def test_refusals_cost_a_few_counts_and_no_points_each(bench: Bench) -> None:
    site_with(bench, locked=40)
    bench.refresh()
    bench.refresh()
    # Two spaces' points, their calls and the group's six, and one for each check of what refuses the stamp.
    few = bench.client.points
    for number in range(40):
        page = bench.page("DOCS", f"More {number}", months=30)
        bench.site.restrict(page, users=["u-admin"], operation="update")
    bench.refresh()
    _, metrics = bench.refresh()
    assert bench.client.points == few <= 10
    assert bench.client.writes == 0
    assert metrics["contentsReadOnly"] == 80
    assert metrics["statusCounts"] == {"expired": 110, "up-to-date": 1}


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_more_refusals_than_fit_into_a_query_are_still_left_out(bench: Bench, negation: str) -> None:
    bench.site.negation = negation  # type: ignore[assignment]
    pages = site_with(bench, locked=120, open_pages=5)
    site_with(bench, locked=1, open_pages=5, key="OPS")
    with patch.object(clauses, "URL_BYTES", 2_200):
        bench.refresh()
        _, metrics = bench.refresh()
        assert (metrics["contentsReadOnly"], bench.client.writes) == (121, 0)
        assert bench.client.points < 40
        bench.site.edit(pages[0])
        bench.site.edit(pages[124])
        new = bench.page("DOCS", "One more", months=30)
        _, metrics = bench.refresh()
        assert slug(bench, pages[0]) is None
        assert (bench.stamp(pages[124]), bench.stamp(new)) == ("up-to-date", "expired")
        assert metrics["statusCounts"] == {"expired": 130, "up-to-date": 4}
        bench.clock.advance(timedelta(days=8))
        for page in pages[:120]:
            bench.site.unrestrict(page)
        bench.refresh()
        assert [bench.stamp(page) for page in pages[1:120]] == ["expired"] * 119


def test_one_that_leaves_and_one_that_comes_are_both_seen(bench: Bench) -> None:
    pages = site_with(bench, locked=3)
    bench.refresh()
    bench.site.edit(pages[0])
    new = bench.page("DOCS", "Another", months=30)
    bench.site.restrict(new, users=["u-admin"], operation="update")
    _, metrics = bench.refresh()
    assert (slug(bench, pages[0]), slug(bench, new)) == (None, "expired")
    assert metrics["contentsReadOnly"] == 3


def test_a_refusal_whose_status_changes_is_counted_under_the_new_one(bench: Bench) -> None:
    pages = site_with(bench, locked=2)
    young = bench.page("DOCS", "Ageing", months=22)
    bench.site.restrict(young, users=["u-admin"], operation="update")
    bench.refresh()
    assert slug(bench, young) == "not-updated"
    bench.clock.advance(timedelta(days=6))
    bench.site.trash(pages[0])
    bench.site.set_property(young, "steward-review", {"expirationDate": "2026-01-01"}, by="u-admin")
    _, metrics = bench.refresh()
    assert (slug(bench, pages[0]), slug(bench, young)) == (None, "expired")
    assert metrics["contentsReadOnly"] == 2


def test_a_permissions_webhook_wakes_the_refusals_of_its_space(bench: Bench) -> None:
    pages = site_with(bench, locked=2)
    others = site_with(bench, locked=2, key="OPS")
    bench.refresh()
    for page in [*pages[:2], *others[:2]]:
        bench.site.unrestrict(page)
    bench.clock.advance(timedelta(hours=1))
    with bench.db.write(bench.tenant_id) as session:
        note_hint(
            session,
            bench.tenant_id,
            kind="space",
            subject_id="DOCS",
            event="space_permissions_updated",
            space_key="DOCS",
            at=bench.clock.now(),
        )
    bench.clock.advance(timedelta(minutes=1))
    _, metrics = bench.refresh()
    assert [bench.stamp(page) for page in pages[:2]] == ["expired", "expired"]
    assert [bench.stamp(page) for page in others[:2]] == [None, None]
    assert metrics["contentsReadOnly"] == 2


def test_a_webhook_wakes_what_still_refuses_only_once(bench: Bench) -> None:
    site_with(bench, locked=2)
    bench.refresh()
    bench.clock.advance(timedelta(hours=1))
    with bench.db.write(bench.tenant_id) as session:
        at = bench.clock.now()
        note_hint(session, bench.tenant_id, kind="space", subject_id="DOCS", event="space_permissions_updated",
                  space_key="DOCS", at=at)  # fmt: skip
    bench.clock.advance(timedelta(minutes=1))
    bench.refresh()
    assert bench.client.writes == 2
    bench.refresh()
    assert bench.client.writes == 0


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_a_page_that_was_updated_by_the_time_it_would_be_tried_again_is_like_any_other(
    bench: Bench, negation: str
) -> None:
    bench.site.negation = negation  # type: ignore[assignment]
    [page] = site_with(bench, locked=1, open_pages=0)
    bench.refresh()
    assert slug(bench, page) == "expired"
    bench.clock.advance(timedelta(days=8))
    bench.site.edit(page)
    _, metrics = bench.refresh()
    assert slug(bench, page) is None
    assert (metrics["contentsReadOnly"], metrics["statusCounts"]) == (0, {"up-to-date": 2})
