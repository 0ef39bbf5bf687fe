"""Execute automations: what is matched for sure is archived or trashed, everything else is left alone with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.confluence import errors
from addon.engine.job import CancelRequested, Interrupted
from addon.jobs.automations import acting
from addon.jobs.automations.job import ExecuteAutomations
from addon.jobs.statuses import ledger
from tests.jobs.conftest import Bench
from tests.support.fakerun import FakeRun

OLD = 'lastmodified < now("-24M")'


def automations(*wanted: dict[str, Any]) -> Any:
    """Return a change that makes these the automations of the default scheme, all enabled."""

    def change(data: dict[str, Any]) -> None:
        first = data["automationSchemes"][0]["automations"][0]
        data["automationSchemes"][0]["automations"] = [
            {**first, "id": f"a{number}", "name": f"A{number}", "enabled": True, **each}
            for number, each in enumerate(wanted)
        ]

    return change


def archive(cql: str = OLD, **action: Any) -> dict[str, Any]:
    return {"cql": cql, "action": {"type": "archive", **action}}


def delete(cql: str = OLD, **action: Any) -> dict[str, Any]:
    return {"cql": cql, "action": {"type": "delete", **action}}


def log(run: FakeRun) -> dict[str, tuple[str, str, str | None]]:
    assert len({item.content_id for item in run.logged}) == len(run.logged), "each content has one outcome"
    return {item.content_id: (item.action, item.outcome, item.reason) for item in run.logged}


def status(bench: Bench, content_id: str) -> str:
    return bench.site.get(content_id).status


@pytest.fixture
def docs(bench: Bench) -> Bench:
    bench.site.add_space("DOCS")
    return bench


class TestActing:
    def test_what_matches_is_archived_and_logged_with_its_title(self, docs: Bench) -> None:
        old, new = docs.page("DOCS", "Old", months=30), docs.page("DOCS", "New")
        docs.put(automations(archive()))
        run, metrics = docs.automate()
        assert (status(docs, old), status(docs, new)) == ("archived", "current")
        [item] = run.logged
        assert (item.content_id, item.action, item.outcome, item.title) == (old, "archive", "done", "Old")
        assert metrics == {
            "contentsMatched": 1,
            "contentsArchived": 1,
            "contentsDeleted": 0,
            "contentsSkipped": 0,
            "contentsFailed": 0,
        }

    def test_deleting_means_the_trash(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        post = docs.site.add_blogpost("DOCS", "Post", created_at=docs.clock.now() - timedelta(days=900)).id
        docs.put(automations(delete()))
        _, metrics = docs.automate()
        assert (status(docs, old), status(docs, post)) == ("trashed", "trashed")
        assert metrics["contentsDeleted"] == 2

    def test_a_dry_run_does_everything_but_act(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        docs.put(automations(archive(wholeSubtree=True)))
        run, metrics = docs.automate(dry_run=True)
        assert docs.client.writes == 0
        assert {id: outcome for id, (_, outcome, _) in log(run).items()} == {top: "planned", below: "planned"}
        assert (metrics["contentsMatched"], metrics["contentsArchived"]) == (2, 0)

    def test_a_space_shows_how_far_it_has_come_while_it_is_worked_on(self, docs: Bench) -> None:
        docs.site.edition = "standard"
        for number in range(4):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.put(automations(archive()))
        run, _ = docs.automate()
        assert run.progressed == [("DOCS", number, 4) for number in range(1, 5)]

    def test_pages_go_300_a_batch_where_the_edition_allows_it_and_else_one_by_one(self, docs: Bench) -> None:
        for number in range(301):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.put(automations(archive()))
        docs.automate()
        assert docs.client.calls["archive"] == 2
        docs.site.edition = "standard"
        for number in range(3):
            docs.page("DOCS", f"Also old {number}", months=30)
        _, metrics = docs.automate()
        assert (docs.client.calls["archive"], metrics["contentsArchived"]) == (3, 3)

    def test_the_shipped_automation_archives_what_was_expired_for_six_months(self, docs: Bench) -> None:
        old, ageing = docs.page("DOCS", "Old", months=30), docs.page("DOCS", "Ageing", months=20)
        docs.put(lambda data: data["automationSchemes"][0]["automations"][0].update(enabled=True))
        docs.refresh()
        run, _ = docs.automate()
        assert log(run) == {}
        docs.clock.advance(timedelta(days=200))
        docs.refresh()
        run, _ = docs.automate()
        assert status(docs, old) == "archived"
        assert status(docs, ageing) == "current"
        with docs.db.read(docs.tenant_id) as session:
            assert old not in ledger.load(session, [old])


class TestFirstMatchClaims:
    def test_a_content_belongs_to_the_first_automation_that_matches(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(), delete()))
        run, _ = docs.automate()
        assert status(docs, old) == "archived"
        assert len(run.logged) == 1

    def test_what_an_automation_cannot_do_is_not_handed_on(self, docs: Bench) -> None:
        post = docs.site.add_blogpost("DOCS", "Post", created_at=docs.clock.now() - timedelta(days=900)).id
        docs.put(automations(archive(), delete()))
        run, metrics = docs.automate()
        assert status(docs, post) == "current"
        assert log(run)[post] == ("archive", "skipped", "blog posts cannot be archived")
        assert metrics["contentsSkipped"] == 1

    def test_the_free_edition_archives_nothing_and_says_so(self, docs: Bench) -> None:
        docs.site.edition = "free"
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(), delete()))
        run, _ = docs.automate()
        assert log(run)[old] == ("archive", "skipped", "archiving is not available in the Free edition")
        assert docs.client.writes == 0

    def test_a_scheduled_run_lets_only_due_automations_claim(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(), delete()))
        docs.automate(trigger="scheduled", params={"rules": ["clean-up/a1"]})
        assert status(docs, old) == "trashed"

    def test_personal_spaces_take_part_only_when_named_one_by_one(self, bench: Bench) -> None:
        bench.site.add_space("~ann", type="personal")
        bench.site.add_space("~bob", type="personal")
        ann, bob = bench.page("~ann", "Old", months=30), bench.page("~bob", "Old", months=30)

        def change(data: dict[str, Any]) -> None:
            automations(archive())(data)
            data["excludedSpaces"] = []
            data["assignments"] = [{"space": {"key": "~bob"}, "automationScheme": "clean-up"}]

        bench.put(change)
        run, _ = bench.automate()
        assert (status(bench, ann), status(bench, bob)) == ("current", "archived")
        assert run.states() == {"~ann": "done", "~bob": "done"}


class TestGuards:
    def reason(self, bench: Bench, content_id: str, wanted: dict[str, Any] | None = None) -> str | None:
        bench.put(automations(wanted or archive()))
        run, _ = bench.automate()
        _, outcome, reason = log(run)[content_id]
        assert outcome == "skipped"
        assert status(bench, content_id) == "current"
        return reason

    def test_the_home_page_stays(self, bench: Bench) -> None:
        then = bench.clock.now() - timedelta(days=900)
        space = bench.site.add_space("DOCS", created_at=then)
        assert space.homepage_id is not None
        assert self.reason(bench, space.homepage_id, delete()) == "home page of the space"

    def test_a_page_with_children_stays_even_when_they_go(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        assert self.reason(docs, top) == "has children"
        assert status(docs, below) == "archived"

    def test_a_whole_subtree_goes_bottom_up_when_the_option_is_on(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        deep = docs.page("DOCS", "Deep", months=30, parent=below)
        docs.put(automations(archive(wholeSubtree=True)))
        run, _ = docs.automate()
        assert [item.content_id for item in run.logged] == [deep, below, top]
        assert {status(docs, page) for page in (top, below, deep)} == {"archived"}

    def test_a_subtree_with_one_page_that_stays_keeps_its_parents(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        below = docs.page("DOCS", "Below", months=30, parent=top)
        docs.page("DOCS", "Alive", parent=below)
        docs.put(automations(archive(wholeSubtree=True)))
        run, _ = docs.automate()
        assert log(run) == {
            below: ("archive", "skipped", "has children"),
            top: ("archive", "skipped", "has children"),
        }

    @pytest.mark.parametrize("whole", [False, True])
    def test_a_restricted_page_with_children_that_stay_is_never_touched(self, docs: Bench, whole: bool) -> None:
        secret = docs.page("DOCS", "Secret")
        top = docs.page("DOCS", "Top", months=30, parent=secret)
        docs.page("DOCS", "Below", parent=top)
        docs.site.restrict(secret, users=["u-admin", "u-app", "app"], groups=[])
        from addon.sandbox.people import BOT

        docs.site.restrict(secret, users=["u-admin", BOT])
        assert self.reason(docs, top, archive(wholeSubtree=whole)) == "would expose restricted children"

    def test_what_people_marked_to_keep_is_kept(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.set_property(old, "steward-review", {"keep": True})
        assert self.reason(docs, old) == "marked to be kept"

    def test_a_page_edited_while_search_still_shows_the_old_one_is_left_alone(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.site.index_lag = 600
        docs.clock.advance(601)
        docs.site.edit(old)
        assert (
            self.reason(docs, old) == "does not match any more, as far as the content itself and the status ledger tell"
        )

    def test_a_page_that_is_gone_or_moved_while_search_still_shows_it_is_left_alone(self, docs: Bench) -> None:
        docs.site.add_space("OPS")
        gone, moved = docs.page("DOCS", "Gone", months=30), docs.page("DOCS", "Moved", months=30)
        docs.site.index_lag = 600
        docs.clock.advance(601)
        docs.site.trash(gone)
        docs.site.move(moved, space_key="OPS")
        docs.put(automations(archive()))
        run, _ = docs.automate()
        reasons = {id: reason for id, (_, _, reason) in log(run).items()}
        assert reasons[gone] == "no longer current, or not visible to the app"
        assert reasons[moved] == "moved to another space"


class TestForgedStamps:
    def forge(self, bench: Bench, page: str, **changes: Any) -> None:
        value = {
            "id": "expired",
            "name": {"value": "Expired"},
            "previous": None,
            "changedOn": "2020-01-01T00:00:00.000Z",
            "content": page,
        }
        bench.site.set_property(page, "steward-status", value | changes, by="u-eve")

    @pytest.fixture
    def expired(self, docs: Bench) -> Bench:
        docs.put(automations(delete('stewardStatus = "expired" and stewardStatusChangedOn < now("-6M")')))
        return docs

    def test_a_forged_stamp_gets_no_page_deleted_before_any_refresh(self, expired: Bench) -> None:
        page = expired.page("DOCS", "Mine", months=2)
        self.forge(expired, page)
        run, _ = expired.automate()
        assert log(run)[page][2] == "its status was never refreshed here; refresh the content statuses first"
        assert status(expired, page) == "current"

    def test_a_forged_stamp_gets_no_page_deleted_after_a_refresh(self, expired: Bench) -> None:
        page = expired.page("DOCS", "Mine", months=2)
        expired.refresh()
        self.forge(expired, page)
        run, _ = expired.automate()
        assert log(run)[page][1:] == (
            "skipped",
            "does not match any more, as far as the content itself and the status ledger tell",
        )
        expired.refresh()
        assert expired.stamp(page) == "up-to-date"
        run, _ = expired.automate()
        assert log(run) == {}

    def test_a_forged_date_makes_nothing_older(self, expired: Bench) -> None:
        expired.page("DOCS", "Elder", months=40)
        page = expired.page("DOCS", "Old", months=30)
        expired.refresh()
        self.forge(expired, page)
        run, _ = expired.automate()
        assert log(run)[page][1] == "skipped"
        expired.clock.advance(timedelta(days=1))
        with expired.db.write(expired.tenant_id) as session:
            ledger.drop(session, [page])
        expired.refresh()
        run, _ = expired.automate()
        assert status(expired, page) == "current"

    def test_a_page_edited_since_the_last_refresh_waits_for_the_next_one(self, expired: Bench) -> None:
        page = expired.page("DOCS", "Old", months=30)
        expired.refresh()
        expired.clock.advance(timedelta(days=200))
        expired.site.edit(page)
        run, _ = expired.automate()
        assert log(run)[page][2] == "updated since the last refresh of the content statuses"


class TestCaps:
    def test_an_automation_stops_at_its_cap(self, docs: Bench) -> None:
        for number in range(5):
            docs.page("DOCS", f"Old {number}", months=30)
        docs.put(automations(archive(cap=3)))
        run, metrics = docs.automate()
        assert (metrics["contentsArchived"], metrics["contentsSkipped"]) == (3, 2)
        reasons = {reason for _, outcome, reason in log(run).values() if outcome == "skipped"}
        assert reasons == {"over the limit of 3 contents per automation and execution"}

    def test_the_cap_counts_over_all_spaces_of_the_execution(self, docs: Bench) -> None:
        docs.site.add_space("OPS")
        for key in ("DOCS", "OPS"):
            for number in range(3):
                docs.page(key, f"Old {number}", months=30)
        docs.put(automations(archive(cap=4)))
        _, metrics = docs.automate()
        assert metrics["contentsArchived"] == 4

    def test_the_execution_has_a_cap_of_its_own(self, docs: Bench) -> None:
        from dataclasses import replace

        docs.parts = replace(docs.parts, settings=replace(docs.parts.settings, execution_cap=4))
        for number in range(3):
            docs.page("DOCS", f"Old {number}", months=30)
            docs.page("DOCS", f"Older {number}", months=40)
        docs.put(automations(archive('lastmodified < now("-35M")'), delete()))
        run, metrics = docs.automate()
        assert (metrics["contentsArchived"], metrics["contentsDeleted"]) == (3, 1)
        assert "over the limit of 4 contents per execution" in {reason for _, _, reason in log(run).values()}

    def test_what_is_skipped_does_not_count_against_the_cap(self, docs: Bench) -> None:
        top = docs.page("DOCS", "Top", months=30)
        docs.page("DOCS", "Alive", parent=top)
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive(cap=1)))
        docs.automate()
        assert status(docs, old) == "archived"


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
        assert run.spaces()["DOCS"].reason == "1 content could not be archived or deleted: it is locked"
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
        job = ExecuteAutomations(bench.parts)
        run = bench.run("execute-automations")
        run.fix(job.list_spaces(run))
        return run, job

    def killed_after(self, bench: Bench, run: FakeRun, method: str) -> None:
        """Let the process lose its lease right after the site has done a call, before anything is stored."""

        def kill(called: str, arguments: tuple[Any, ...]) -> None:
            if called == method:
                bench.client.faults.clear()
                if method == "archive":
                    bench.site.tasks.submit(arguments[0])
                run.lost = True
                raise Interrupted("killed")

        bench.client.faults.append(kill)

    def test_a_crash_between_submission_and_task_id_loses_nothing(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive()))
        run, job = self.begin(docs)
        self.killed_after(docs, run, "archive")
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        job.work(run, run.left())
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
        job.work(run, run.left())
        assert docs.client.calls["archive"] == 1
        assert log(run)[old] == ("archive", "done", None)
        assert run.states() == {"DOCS": "done"}

    def test_a_batch_that_was_stored_and_never_submitted_is_done_again(self, docs: Bench) -> None:
        old = docs.page("DOCS", "Old", months=30)
        docs.put(automations(archive()))
        run, job = self.begin(docs)

        def kill(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "archive":
                docs.client.faults.clear()
                run.lost = True
                raise Interrupted("killed")

        docs.client.faults.append(kill)
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        job.work(run, run.left())
        assert log(run)[old] == ("archive", "done", None)
        assert status(docs, old) == "archived"

    def test_a_crash_among_deletions_leaves_no_content_without_its_title_in_the_log(self, docs: Bench) -> None:
        pages = [docs.page("DOCS", f"Old {number}", months=30) for number in range(5)]
        docs.put(automations(delete()))
        run, job = self.begin(docs)
        trashed = iter(range(10))

        def kill(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "trash" and next(trashed) == 3:
                docs.client.faults.clear()
                run.lost = True
                raise Interrupted("killed")

        docs.client.faults.append(kill)
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        job.work(run, run.left())
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
        submitted = iter(range(10))

        def kill(method: str, arguments: tuple[Any, ...]) -> None:
            if method == "archive" and next(submitted) == 2:
                docs.client.faults.clear()
                run.lost = True
                raise Interrupted("killed")

        docs.client.faults.append(kill)
        with pytest.raises(Interrupted):
            job.work(run, run.left())
        run.lost = False
        job.work(run, run.left())
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
        assert acting.TASK_SECONDS > 100
