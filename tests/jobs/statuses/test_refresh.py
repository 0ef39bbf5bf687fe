"""Refresh content statuses: every content ends with the status the plain rule gives it, at the cost of what changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from addon.jobs import ledger
from tests.jobs.conftest import Bench
from tests.jobs.statuses.stamped import rows, seed


class TestTheOrdinaryCourse:
    def test_every_content_gets_the_first_status_that_matches(self, bench: Bench) -> None:
        pages = seed(bench)
        run, metrics = bench.refresh()
        assert bench.stamp(pages["old"]) == "expired"
        assert bench.stamp(pages["ageing"]) == "not-updated"
        assert bench.stamp(pages["new"]) is None
        assert run.states() == {"DOCS": "done"}
        assert metrics == {
            "contentsChecked": 4,
            "statusesChanged": 2,
            "contentsReadOnly": 0,
            "statusCounts": {"expired": 1, "not-updated": 1, "up-to-date": 2},
        }

    def test_the_stamp_says_what_people_and_searches_need(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        value = bench.site.get(pages["old"]).properties["steward-status"].value
        assert value["id"] == "expired"
        assert value["name"] == {"value": "Expired"}
        assert value["previous"] is None
        assert value["changedOn"] == "2026-11-22T12:00:00.000Z"
        assert value["content"] == pages["old"]
        hits = bench.client.search('type in (page) and stewardStatus = "expired"')
        assert [content.id for content in hits] == [pages["old"]]

    def test_a_large_space_shows_how_far_it_has_come_while_it_is_stamped(self, bench: Bench) -> None:
        bench.site.add_space("BIG")
        for number in range(250):
            bench.page("BIG", f"Old {number}", months=30)
        run, _ = bench.refresh()
        shares = [done / total for key, done, total in run.progressed if key == "BIG"]
        assert shares == sorted(shares)
        assert [round(share, 1) for share in shares if 0 < share < 1] == [0.4, 0.8], "at every hundredth content"

    def test_an_immediate_second_refresh_writes_nothing(self, bench: Bench) -> None:
        seed(bench)
        bench.refresh()
        _, metrics = bench.refresh()
        assert bench.client.writes == 0
        assert metrics["statusesChanged"] == 0
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 2}

    def test_an_idle_refresh_costs_the_same_however_many_contents_there_are(self, bench: Bench) -> None:
        seed(bench)
        bench.refresh()
        bench.refresh()
        few = dict(bench.client.calls)
        for number in range(50):
            bench.page("DOCS", f"Old {number}", months=40)
        bench.refresh()
        bench.refresh()
        assert dict(bench.client.calls) == few == {"search": 3, "count": 5}

    def test_content_that_was_updated_gets_the_defaults_stamp_and_remembers_what_it_was(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        bench.clock.advance(timedelta(hours=1))
        bench.site.edit(pages["old"])
        _, metrics = bench.refresh()
        value = bench.site.get(pages["old"]).properties["steward-status"].value
        assert (value["id"], value["previous"]) == ("up-to-date", "expired")
        assert value["changedOn"] == "2026-11-22T13:00:00.000Z"
        assert metrics["statusesChanged"] == 1
        assert metrics["statusCounts"] == {"not-updated": 1, "up-to-date": 3, "expired": 0} or metrics[
            "statusCounts"
        ] == {"not-updated": 1, "up-to-date": 3}

    def test_blog_posts_have_statuses_too(self, bench: Bench) -> None:
        bench.site.add_space("NEWS")
        post = bench.site.add_blogpost("NEWS", "Hello", created_at=bench.clock.now() - timedelta(days=900)).id
        bench.refresh()
        assert bench.stamp(post) == "expired"

    def test_spaces_of_different_schemes_are_judged_by_their_own(self, bench: Bench) -> None:
        pages, other = seed(bench), seed(bench, "OPS")

        def strict(data: dict[str, Any]) -> None:
            entries = [{"status": "expired", "cql": 'lastmodified < now("-1w")'}, {"status": "not-updated"}]
            data["statusSchemes"].append({"id": "strict", "name": "Strict", "entries": entries})
            data["assignments"] = [{"space": {"key": "OPS"}, "statusScheme": "strict"}]

        bench.put(strict)
        _, metrics = bench.refresh()
        assert bench.stamp(pages["ageing"]) == "not-updated"
        assert bench.stamp(other["ageing"]) == "expired"
        assert bench.stamp(other["new"]) == "expired"
        assert metrics["statusCounts"] == {"expired": 4, "not-updated": 2, "up-to-date": 2}

    def test_a_status_is_inherited_from_any_ancestor_but_a_higher_one_wins(self, bench: Bench) -> None:
        bench.site.add_space("DOCS")
        top = bench.page("DOCS", "Top")
        below = bench.page("DOCS", "Below", parent=top)
        deep = bench.page("DOCS", "Deep", parent=below, months=15)
        bench.site.label(top, "retired")

        def inherited(data: dict[str, Any]) -> None:
            data["statusSchemes"][0]["entries"][0]["ancestorCql"] = "label = retired"

        bench.put(inherited)
        bench.refresh()
        assert bench.stamp(top) is None
        assert bench.stamp(below) == "expired"
        assert bench.stamp(deep) == "expired"
        bench.site.unlabel(top, "retired")
        bench.refresh()
        assert bench.stamp(below) == "up-to-date"
        assert bench.stamp(deep) == "not-updated"

    def test_ancestors_that_fit_into_no_query_are_decided_by_listing(self, bench: Bench) -> None:
        bench.site.add_space("DOCS")
        tops = [bench.page("DOCS", f"Top {number}") for number in range(900)]
        for top in tops:
            bench.site.label(top, "retired")
        below = bench.page("DOCS", "Below", parent=tops[-1])
        old = bench.page("DOCS", "Old", months=15)

        def inherited(data: dict[str, Any]) -> None:
            data["statusSchemes"][0]["entries"][0]["ancestorCql"] = "label = retired"

        bench.put(inherited)
        _, metrics = bench.refresh()
        assert (bench.stamp(below), bench.stamp(old), bench.stamp(tops[0])) == ("expired", "not-updated", None)
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 901}
        bench.refresh()
        assert bench.client.writes == 0


class TestTheLedgerIsTheTruth:
    def test_search_that_lags_behind_a_young_entry_causes_no_second_write(self, bench: Bench) -> None:
        seed(bench)
        bench.site.index_lag = 600
        bench.clock.advance(601)
        bench.refresh()
        _, metrics = bench.refresh()
        assert bench.client.writes == 0
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 2}
        bench.clock.advance(601)
        bench.refresh()
        assert bench.client.writes == 0

    def test_an_old_disagreement_is_settled_by_reading_the_property(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        bench.site.delete_property(pages["old"], "steward-status")
        bench.clock.advance(timedelta(minutes=10))
        bench.refresh()
        assert bench.client.writes == 0
        bench.clock.advance(timedelta(minutes=10))
        _, metrics = bench.refresh()
        assert bench.client.calls["property"] == 1
        assert bench.stamp(pages["old"]) == "expired"
        assert metrics["statusesChanged"] == 0
        assert rows(bench)[pages["old"]].changed_on < bench.clock.now() - timedelta(minutes=19)

    def test_a_write_that_meets_another_version_reads_once_and_writes_once_more(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        found = bench.site.get(pages["old"]).properties["steward-status"]
        bench.site.set_property(pages["old"], "steward-status", found.value)
        bench.site.edit(pages["old"])
        bench.refresh()
        assert bench.stamp(pages["old"]) == "up-to-date"
        assert bench.client.calls["update_property"] == 2
        assert bench.client.calls["property"] == 1

    def test_a_stamp_that_exists_unknown_to_us_is_updated_and_not_doubled(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        with bench.db.write(bench.tenant_id) as session:
            ledger.drop(session, [pages["old"]])
        bench.site.edit(pages["old"])
        bench.refresh()
        assert bench.stamp(pages["old"]) == "up-to-date"
        assert rows(bench)[pages["old"]].previous == "expired"

    def test_a_ledger_that_lost_entries_learns_them_back_from_the_stamps(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        with bench.db.write(bench.tenant_id) as session:
            ledger.drop(session, [pages["old"], pages["ageing"]])
        _, metrics = bench.refresh()
        assert bench.client.writes == 0
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 2}

    def test_a_copy_carries_a_strange_stamp_that_counts_as_none(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.refresh()
        bench.clock.advance(timedelta(hours=1))
        copy = bench.site.copy(pages["old"], title="A copy").id
        _, metrics = bench.refresh()
        value = bench.site.get(copy).properties["steward-status"].value
        assert (value["id"], value["content"], value["previous"]) == ("up-to-date", copy, None)
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 3}

    def test_a_copy_that_deserves_the_same_status_gets_a_stamp_of_its_own(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.site.label(pages["new"], "bad")
        bench.put(lambda data: data["statusSchemes"][0]["entries"][0].update(cql="label = bad"))
        bench.refresh()
        copy = bench.site.copy(pages["new"], title="A copy").id
        _, metrics = bench.refresh()
        assert bench.site.get(copy).properties["steward-status"].value["content"] == copy
        assert metrics["statusCounts"]["expired"] == 2

    def test_trashed_archived_and_moved_contents_leave_the_counts(self, bench: Bench) -> None:
        pages, other = seed(bench), seed(bench, "OPS")
        bench.refresh()
        bench.site.trash(pages["old"])
        bench.site.archive(pages["ageing"])
        bench.site.move(other["old"], space_key="DOCS")
        bench.clock.advance(timedelta(hours=1))
        _, metrics = bench.refresh()
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 1, "up-to-date": 4}
        assert set(rows(bench)) == {other["old"], other["ageing"]}
        bench.site.restore(pages["old"])
        _, metrics = bench.refresh()
        assert metrics["statusCounts"]["expired"] == 2
        assert bench.client.writes == 0
