"""A refresh that meets trouble: stamps that are refused, spaces that fail, interruptions in the middle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.base import TenantGone, Unreachable
from addon.confluence import errors
from addon.engine.job import Abandon, CancelRequested, Fatal, Interrupted, Pause
from tests.jobs.conftest import Bench
from tests.jobs.statuses.stamped import rows, seed


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
        assert run.spaces()["DOCS"].reason == "1 item could not be stamped: 500: out of order"
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
        run = bench.run(trigger="retry", params={"spaces": [bench.site.space("DOCS").id]})
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

    @pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
    @pytest.mark.parametrize("lag", [0, 600], ids=["search knows the stamps", "search does not know them yet"])
    def test_a_killed_process_that_wrote_no_outcomes_leaves_no_double_stamps_and_counts_each_once(
        self, bench: Bench, lag: int, negation: Any
    ) -> None:
        pages = self.many(bench)
        bench.site.index_lag, bench.site.negation = lag, negation
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
        assert metrics["statusesChanged"] == 60
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

    def test_a_cancelled_run_gives_no_counts_by_status_as_they_would_not_be_true(self, bench: Bench) -> None:
        halfway = {"contentsChecked": 62, "statusesChanged": 10, "statusCounts": {"up-to-date": 62}}
        ended = bench.refresh_job.compile(halfway | {"spacesCancelled": 1})
        assert (ended["contentsChecked"], ended["statusCounts"]) == (62, {})
        assert bench.refresh_job.compile(halfway | {"spacesCancelled": 0})["statusCounts"] == {"up-to-date": 62}

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
