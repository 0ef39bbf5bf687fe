"""Refresh content statuses: every content ends with the status the plain rule gives it, at the cost of what changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.base import TenantGone, Unreachable
from addon.confluence import errors
from addon.engine.job import Abandon, CancelRequested, Fatal, Interrupted, Pause
from addon.jobs.statuses import ledger
from tests.jobs.conftest import Bench


def seed(bench: Bench, key: str = "DOCS") -> dict[str, str]:
    bench.site.add_space(key)
    return {
        "old": bench.page(key, "Old", months=30),
        "ageing": bench.page(key, "Ageing", months=15),
        "new": bench.page(key, "New", months=1),
    }


def rows(bench: Bench) -> dict[str, ledger.Row]:
    with bench.db.read(bench.tenant_id) as session:
        return ledger.load(session, [content.id for content in bench.site.contents(status=None)])


def set_row(bench: Bench, row: ledger.Row) -> None:
    with bench.db.write(bench.tenant_id) as session:
        ledger.save(session, bench.tenant_id, [row])


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
        assert dict(bench.client.calls) == few == {"spaces": 1, "search": 3, "count": 3}

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


class TestWhatRefusesTheStamp:
    def lock(self, bench: Bench, page: str) -> None:
        bench.site.restrict(page, users=["u-admin"], operation="update")

    def test_contents_that_are_read_only_for_the_app_are_counted_and_rest_for_a_week(self, bench: Bench) -> None:
        pages = seed(bench)
        self.lock(bench, pages["old"])
        run, metrics = bench.refresh()
        assert run.states() == {"DOCS": "done"}
        assert metrics["contentsReadOnly"] == 1
        assert metrics["statusesChanged"] == 1
        assert metrics["statusCounts"]["expired"] == 1
        _, metrics = bench.refresh()
        assert bench.client.writes == 0
        assert metrics["contentsReadOnly"] == 1
        bench.clock.advance(timedelta(days=8))
        bench.site.unrestrict(pages["old"])
        _, metrics = bench.refresh()
        assert bench.stamp(pages["old"]) == "expired"
        assert metrics["contentsReadOnly"] == 0

    def test_a_read_only_content_that_becomes_fresh_is_forgotten(self, bench: Bench) -> None:
        pages = seed(bench)
        self.lock(bench, pages["old"])
        bench.refresh()
        bench.site.edit(pages["old"])
        _, metrics = bench.refresh()
        assert metrics["contentsReadOnly"] == 0
        assert pages["old"] not in rows(bench)

    def test_a_content_hidden_from_the_app_is_passed_over(self, bench: Bench) -> None:
        pages = seed(bench)
        bench.site.index_lag = 60
        bench.clock.advance(61)
        bench.site.trash(pages["old"])
        run, metrics = bench.refresh()
        assert run.states() == {"DOCS": "done"}
        assert pages["old"] not in rows(bench)
        assert metrics["contentsReadOnly"] == 0

    def test_a_failed_post_is_looked_at_before_it_is_repeated(self, bench: Bench) -> None:
        pages = seed(bench)
        broken = {"left": 1}

        def once(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "create_property" and arguments[0] == pages["old"] and broken["left"]:
                broken["left"] -= 1
                # The write happened, only its answer got lost.
                bench.site.set_property(pages["old"], "steward-status", arguments[2])
                raise errors.ServerError("gateway", status=502)

        bench.client.faults.append(once)
        run, _ = bench.refresh()
        assert run.states() == {"DOCS": "done"}
        assert bench.site.get(pages["old"]).properties["steward-status"].version == 1
        assert rows(bench)[pages["old"]].slug == "expired"

    def test_a_content_that_cannot_be_stamped_fails_its_space_but_not_the_rest_of_it(self, bench: Bench) -> None:
        pages, other = seed(bench), seed(bench, "OPS")

        def broken(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "create_property" and arguments[0] == pages["old"]:
                raise errors.ServerError("out of order", status=500)

        bench.client.faults.append(broken)
        run, metrics = bench.refresh()
        assert run.states() == {"DOCS": "failed", "OPS": "done"}
        assert run.spaces()["DOCS"].reason == "1 content could not be stamped: 500: out of order"
        assert bench.stamp(pages["ageing"]) == "not-updated"
        assert bench.stamp(other["old"]) == "expired"
        assert metrics["statusCounts"] == {"expired": 1, "not-updated": 2, "up-to-date": 5}


class TestSpaces:
    def failing(self, bench: Bench, key: str, error: Exception) -> None:
        def broken(method: str, arguments: tuple[Any, ...]) -> None:
            if method in ("search", "count") and f'"{key}"' in arguments[0]:
                raise error

        bench.client.faults.append(broken)

    def test_a_failing_space_fails_alone_with_its_reason(self, bench: Bench) -> None:
        spaces = [seed(bench, f"S{number}") for number in range(5)]
        self.failing(bench, "S3", errors.ServerError("index broken", status=500))
        run, metrics = bench.refresh()
        assert run.states() == {"S0": "done", "S1": "done", "S2": "done", "S3": "failed", "S4": "done"}
        assert run.spaces()["S3"].reason == "500: index broken"
        assert bench.stamp(spaces[4]["old"]) == "expired"
        assert metrics["contentsChecked"] == 16

    def test_a_space_deleted_meanwhile_is_skipped(self, bench: Bench) -> None:
        seed(bench)
        seed(bench, "GONE")
        run = bench.run()
        run.fix(bench.refresh_job.list_spaces(run))
        bench.site.remove_space("GONE")
        self.failing(bench, "GONE", errors.CqlRejected("no such space", status=400))
        bench.refresh_job.work(run, run.left())
        assert run.states() == {"DOCS": "done", "GONE": "skipped"}
        assert run.spaces()["GONE"].reason == "no longer visible or deleted"

    def test_excluded_spaces_take_no_part_and_lose_their_old_stamps(self, bench: Bench) -> None:
        pages, other = seed(bench), seed(bench, "OPS")
        bench.refresh()
        bench.put(lambda data: data.update(excludedSpaces=[{"key": "OPS"}]))
        run, metrics = bench.refresh()
        assert run.states() == {"DOCS": "done"}
        assert bench.stamp(other["old"]) is None
        assert bench.stamp(pages["old"]) == "expired"
        assert metrics["contentsChecked"] == 4
        assert set(rows(bench)) == {pages["old"], pages["ageing"]}

    def test_a_space_excluded_after_the_start_is_skipped(self, bench: Bench) -> None:
        seed(bench)
        run = bench.run()
        run.fix(bench.refresh_job.list_spaces(run))
        bench.put(lambda data: data.update(excludedSpaces=[{"keyPattern": "DO*"}]))
        bench.refresh_job.work(run, run.left())
        assert run.states() == {"DOCS": "skipped"}
        assert run.spaces()["DOCS"].reason == "excluded by rule: spaces whose key fits DO*"

    def test_a_retry_names_the_spaces_that_are_excluded_now(self, bench: Bench) -> None:
        seed(bench)
        bench.put(lambda data: data.update(excludedSpaces=[{"key": "DOCS"}]))
        run = bench.run(trigger="retry")
        [space] = bench.refresh_job.list_spaces(run)
        assert (space.state, space.reason) == ("skipped", "excluded by rule: space DOCS")

    def test_a_run_over_one_space_touches_no_other(self, bench: Bench) -> None:
        pages, other = seed(bench), seed(bench, "OPS")
        space = bench.site.space("OPS")
        run = bench.run(scope="space", space_id=space.id, space_key="OPS")
        run.go(bench.refresh_job)
        assert bench.stamp(pages["old"]) is None
        assert bench.stamp(other["old"]) == "expired"

    def test_a_run_without_spaces_is_successful_with_zeros(self, bench: Bench) -> None:
        _, metrics = bench.refresh()
        assert metrics == {"contentsChecked": 0, "statusesChanged": 0, "contentsReadOnly": 0, "statusCounts": {}}


class TestInterruptions:
    def many(self, bench: Bench) -> list[str]:
        bench.site.add_space("DOCS")
        bench.site.add_space("OPS")
        return [bench.page(key, f"Old {n}", months=30) for key in ("DOCS", "OPS") for n in range(30)]

    def test_a_lost_lease_stops_at_a_check_point_and_the_next_owner_goes_on(self, bench: Bench) -> None:
        pages = self.many(bench)
        run = bench.run()
        job = bench.refresh_job
        run.fix(job.list_spaces(run))
        run.stop_at = 60
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        assert 0 < len([page for page in pages if bench.stamp(page)]) < 60
        run.stop_at = None
        job.work(run, run.left())
        metrics = run.end(job)
        assert all(bench.stamp(page) == "expired" for page in pages)
        assert {bench.site.get(page).properties["steward-status"].version for page in pages} == {1}
        assert metrics["contentsChecked"] == 62
        assert metrics["statusesChanged"] == 60
        assert metrics["statusCounts"] == {"expired": 60, "up-to-date": 2}

    def test_a_killed_process_that_wrote_no_outcomes_leaves_no_double_stamps(self, bench: Bench) -> None:
        pages = self.many(bench)
        run = bench.run()
        job = bench.refresh_job
        run.fix(job.list_spaces(run))

        def kill(count: int) -> None:
            if count == 25:
                run.lost = True

        run.on_safe_point = kill
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost, run.on_safe_point = False, lambda count: None
        job.work(run, run.left())
        metrics = run.end(job)
        assert {bench.site.get(page).properties["steward-status"].version for page in pages} == {1}
        assert metrics["statusCounts"] == {"expired": 60, "up-to-date": 2}
        assert metrics["contentsChecked"] == 62

    def test_cancel_stops_at_the_next_content_and_keeps_what_was_done(self, bench: Bench) -> None:
        pages = self.many(bench)
        run = bench.run()
        job = bench.refresh_job
        run.fix(job.list_spaces(run))
        run.on_safe_point = lambda count: run.cancelled.set() if count == 10 else None
        with pytest.raises(CancelRequested):
            job.work(run, run.left())
        stamped = [page for page in pages if bench.stamp(page)]
        assert len(stamped) == 10
        assert sorted(rows(bench)) == sorted(stamped)
        assert run.metrics_of("DOCS") == {"statusesChanged": 10}

    @pytest.mark.parametrize(
        ("raised", "expected"),
        [
            (errors.QuotaExhausted(None, "no points left"), Pause),  # type: ignore[arg-type]
            (TenantGone("uninstalled"), Abandon),
            (Unreachable("401"), Fatal),
        ],
    )
    @pytest.mark.parametrize("method", ["spaces", "search", "create_property"])
    def test_what_concerns_the_whole_run_ends_it_in_the_engines_words(
        self, bench: Bench, raised: Exception, expected: type[Exception], method: str
    ) -> None:
        seed(bench)

        def refuse(called: str, _arguments: tuple[Any, ...]) -> None:
            if called == method:
                raise raised

        bench.client.faults.append(refuse)
        with pytest.raises(expected):
            bench.run().go(bench.refresh_job)

    def test_a_site_that_cannot_list_its_spaces_fails_the_run_and_may_be_tried_again(self, bench: Bench) -> None:
        def broken(method: str, _arguments: tuple[Any, ...]) -> None:
            raise errors.ServerError("down", status=503)

        bench.client.faults.append(broken)
        with pytest.raises(Fatal) as caught:
            bench.run().go(bench.refresh_job)
        assert (caught.value.reason, caught.value.transient) == ("503: down", True)
