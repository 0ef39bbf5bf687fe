"""Automations that are cut short: slow and lost tasks, failures, cancels, and what a new owner finds submitted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa

from addon.confluence import errors
from addon.engine.job import CancelRequested, Interrupted, Pause
from addon.jobs.automations import submit
from addon.jobs.automations.job import ExecuteAutomations
from addon.jobs.models import ArchiveTask
from tests.jobs.automating import archive, automations, delete, log, status
from tests.jobs.conftest import Bench
from tests.support.fakerun import FakeRun


class TestTasksAndFailures:
    def test_a_slow_task_is_waited_for(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.tasks.archive_seconds = 40
        docs.put(automations(archive()))
        _, metrics = docs.automate()
        assert metrics["contentsArchived"] == 1
        assert status(docs, old) == "archived"
        assert docs.client.calls["long_task"] > 3

    def test_each_page_of_a_task_is_judged_by_what_became_of_it(self, docs: Bench) -> None:
        good, bad = docs.page("DOCS", "Good", months=30), docs.page("DOCS", "Bad", months=30)
        docs.site.tasks.fail_page(bad, "it is locked")
        docs.put(automations(archive()))
        run, metrics = docs.automate()
        assert log(run)[good][1] == "done"
        assert log(run)[bad] == ("archive", "failed", "it is locked")
        assert run.states() == {"DOCS": "failed"}
        assert run.spaces()["DOCS"].reason == "1 item could not be archived or deleted: it is locked"
        assert (metrics["contentsArchived"], metrics["contentsFailed"]) == (1, 1)

    def test_another_archive_job_of_the_site_is_waited_for(self, docs: Bench) -> None:
        other = docs.page("DOCS", "Somebody else's")
        docs.site.tasks.archive_seconds = 30
        docs.site.tasks.submit([other])
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive()))
        docs.automate()
        assert status(docs, old) == "archived"

    def test_a_page_the_site_refuses_does_not_hold_up_the_others(self, docs: Bench) -> None:
        good, bad = docs.page("DOCS", "Good", months=30), docs.page("DOCS", "Bad", months=30)

        def refuse(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "archive" and bad in arguments[0]:
                raise errors.BadRequest("page is locked", status=400)

        docs.client.faults.append(refuse)
        docs.put(automations(archive()))
        run, _ = docs.automate()
        assert status(docs, good) == "archived"
        assert log(run)[bad] == ("archive", "failed", "page is locked")

    def test_an_answer_lost_after_the_submission_is_read_back_from_the_pages(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)

        def lose(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "archive":
                docs.client.faults.clear()
                docs.site.tasks.submit(arguments[0])
                raise errors.Timeout("no answer")

        docs.client.faults.append(lose)
        docs.put(automations(archive()))
        run, _ = docs.automate()
        docs.site.tasks.settle()
        assert log(run)[old][1] == "done"
        assert docs.client.calls["archive"] == 1

    def test_what_the_app_may_not_delete_fails_with_the_reason(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.grant_app("DOCS", "view", "edit", "archive")
        docs.put(automations(delete()))
        run, _ = docs.automate()
        assert log(run)[old] == ("delete", "failed", "the app may not delete it")
        assert run.states() == {"DOCS": "failed"}

    def test_a_failing_space_does_not_stop_the_others(self, docs: Bench) -> None:
        docs.site.add_space("OPS")
        old = docs.page("OPS", "Old", months=30)

        def broken(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "search" and '"DOCS"' in arguments[0]:
                raise errors.ServerError("index broken", status=500)

        docs.client.faults.append(broken)
        docs.put(automations(archive()))
        run, _ = docs.automate()
        assert run.states() == {"DOCS": "failed", "OPS": "done"}
        assert status(docs, old) == "archived"


class TestTakeover:
    def begin(self, bench: Bench) -> tuple[FakeRun, ExecuteAutomations]:
        job = ExecuteAutomations(bench.context)
        run = bench.run("execute-automations")
        run.fix(job.list_spaces(run))
        return run, job

    def killed_after(self, bench: Bench, run: FakeRun, method: str) -> None:
        """Let the process lose its lease right after the site has done a call, before anything is stored."""
        self._killed(bench, run, method, lambda pages: bench.site.tasks.submit(pages) if method == "archive" else None)

    def killed_before(self, bench: Bench, run: FakeRun, method: str, *, calls: int = 0) -> None:
        """Let the process lose its lease right before a call is sent, after so many of its kind."""
        self._killed(bench, run, method, lambda _pages: None, calls)

    def _killed(
        self, bench: Bench, run: FakeRun, method: str, arrived: Callable[[Any], object], calls: int = 0
    ) -> None:
        numbers = itertools.count()

        def kill(called: str, arguments: tuple[Any, ...]) -> None:
            if called == method and next(numbers) == calls:
                bench.client.faults.clear()
                arrived(arguments[0])
                run.lost = True
                raise Interrupted("killed")

        bench.client.faults.append(kill)

    def goes_on_after_its_death(self, job: ExecuteAutomations, run: FakeRun) -> None:
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        job.work(run, run.left())

    def works_on(self, bench: Bench, run: FakeRun, job: ExecuteAutomations) -> list[timedelta]:
        """Work until nothing is left, each time the run is put aside; return for how long it held the thread."""
        held = []
        while True:
            began = bench.clock.now()
            try:
                job.work(run, run.left())
            except Pause as aside:
                held.append(bench.clock.now() - began)
                bench.clock.set(aside.until)
                assert bench.clock.now() - began - held[-1] == timedelta(minutes=2)
            else:
                return held

    def test_a_long_task_gives_the_thread_back_after_five_minutes_and_is_asked_for_again(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.tasks.archive_seconds = 700
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        held = self.works_on(docs, run, job)
        assert timedelta(minutes=5) <= held[0] <= timedelta(minutes=5, seconds=10)
        assert set(held[1:]) == {timedelta(0)}, "later only a look"
        assert log(run)[old] == ("archive", "done", None)
        assert docs.client.calls["archive"] == 1

    def test_a_task_submitted_by_a_clock_that_was_years_ahead_is_not_waited_for(self, docs: Bench) -> None:
        docs.page("DOCS", "Old", months=30)
        docs.site.tasks.archive_seconds = 10_000
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        self.killed_after(docs, run, "long_task")
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        with docs.db.write(docs.tenant_id) as session:
            session.execute(sa.update(ArchiveTask).values(submitted_at=docs.clock.now() + timedelta(days=3650)))
        run.lost = False
        assert self.works_on(docs, run, job) == []

    @pytest.mark.parametrize("asked", ["cancel", "stop"])
    def test_whoever_waits_for_anothers_archive_job_hears_within_a_second(self, docs: Bench, asked: str) -> None:
        other, old = docs.page("DOCS", "Somebody else's"), docs.page("DOCS", "Old", months=30)
        docs.site.tasks.archive_seconds = 10_000
        docs.site.tasks.submit([other])
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        began, at = docs.clock.now(), timedelta(seconds=20)

        def ask(event: Event, seconds: float) -> bool:
            if docs.clock.now() - began >= at:
                run.lost, asked_cancel = asked == "stop", asked == "cancel"
                if asked_cancel:
                    run.cancelled.set()
            return wait(event, seconds)

        wait = docs.clock.wait
        docs.clock.wait = ask  # type: ignore[method-assign]
        with pytest.raises(CancelRequested if asked == "cancel" else Interrupted):
            job.work(run, run.left())
        assert docs.clock.now() - began <= at + timedelta(seconds=1)
        run.lost = False
        run.cancelled.clear()
        if asked == "cancel":
            before = docs.clock.now()
            job.settle(run)
            assert docs.clock.now() == before, "nothing was submitted: there is nothing to settle"
        assert status(docs, old) == "current"

    def test_deletions_that_cannot_be_read_back_are_recorded_as_deletions(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(delete()))
        run, job = self.begin(docs)
        self.killed_before(docs, run, "trash")
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        docs.put(automations(archive()))
        job.give_up(run, "the site does not answer")
        assert log(run)[old][:2] == ("delete", "failed")

    def test_a_crash_between_submission_and_task_id_loses_nothing(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        self.killed_after(docs, run, "archive")
        self.goes_on_after_its_death(job, run)
        metrics = run.end(job)
        assert log(run)[old] == ("archive", "done", None)
        assert docs.client.calls["archive"] == 1
        assert (metrics["contentsMatched"], metrics["contentsArchived"]) == (1, 1)

    def test_a_new_owner_finds_the_task_first(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.tasks.archive_seconds = 1000
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        self.killed_after(docs, run, "long_task")
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        assert status(docs, old) == "current"
        run.lost = False
        self.works_on(docs, run, job)
        assert docs.client.calls["archive"] == 1
        assert log(run)[old] == ("archive", "done", None)
        assert run.states() == {"DOCS": "done"}

    def test_a_batch_that_was_stored_and_never_submitted_is_done_again(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        self.killed_before(docs, run, "archive")
        self.goes_on_after_its_death(job, run)
        assert log(run)[old] == ("archive", "done", None)
        assert status(docs, old) == "archived"

    def test_a_crash_among_deletions_leaves_no_content_without_its_title_in_the_log(self, docs: Bench) -> None:
        pages = [docs.page("DOCS", f"Old {number}", months=30) for number in range(5)]
        docs.put(automations(delete()))
        run, job = self.begin(docs)
        self.killed_before(docs, run, "trash", calls=3)
        self.goes_on_after_its_death(job, run)
        metrics = run.end(job)
        assert {item.content_id: item.title for item in run.logged} == {
            page: f"Old {number}" for number, page in enumerate(pages)
        }
        assert metrics["contentsDeleted"] == 5

    def test_caps_hold_over_a_takeover(self, docs: Bench) -> None:
        for number in range(6):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.site.edition = "standard"
        docs.put(automations(archive(cap=4)))
        run, job = self.begin(docs)
        self.killed_before(docs, run, "archive", calls=2)
        self.goes_on_after_its_death(job, run)
        metrics = run.end(job)
        assert metrics["contentsArchived"] == 4
        assert metrics["contentsMatched"] == 6

    def test_cancel_ends_only_after_the_submitted_task_was_read_back(self, docs: Bench) -> None:
        old, later = docs.page("DOCS", "Old", months=30), docs.page("DOCS", "Later", months=30)
        docs.site.edition = "standard"
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        run.on_safe_point = lambda count: run.cancelled.set() if "archive" in docs.client.calls else None
        docs.client.calls.clear()
        with pytest.raises(CancelRequested):
            job.work(run, run.left())
        job.settle(run)
        assert log(run) == {old: ("archive", "done", None)}
        assert status(docs, later) == "current"
        assert run.metrics_of("DOCS")["contentsArchived"] == 1

    def test_settling_waits_for_a_task_nobody_watches_any_more(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.tasks.archive_seconds = 100
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        self.killed_after(docs, run, "long_task")
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        job.settle(run)
        assert log(run)[old] == ("archive", "done", None)
        assert status(docs, old) == "archived"
        assert submit.TASK_SECONDS > 100
