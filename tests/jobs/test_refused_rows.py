"""A row that the database refuses costs its own content something, and no other: in every job, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from addon.engine.models import ExecutionItem
from tests.jobs.automating import archive, automations, delete, log, status
from tests.jobs.conftest import Bench
from tests.jobs.statuses.stamped import rows
from tests.support.clock import VirtualClock
from tests.support.house import house_over
from tests.support.postgres import BOTH
from tests.support.refusals import refuse
from tests.support.site import small_site


@BOTH
def test_a_refresh_keeps_the_status_of_all_others_and_says_what_failed(bench: Bench) -> None:
    pages = {}
    for key in ("DOCS", "ENG", "OPS"):
        bench.site.add_space(key)
        pages[key] = [bench.page(key, f"Old {number}", months=30) for number in range(5)]
    bad = pages["ENG"][2]
    refuse(bench.db, "content_stamp", "content_id", bad)
    run, metrics = bench.refresh()
    every = {page for own in pages.values() for page in own}
    assert rows(bench).keys() == every - {bad}
    assert run.states() == {"DOCS": "done", "ENG": "failed", "OPS": "done"}
    assert run.spaces()["ENG"].reason == (
        "1 item could not be stamped: the database refuses to keep its status; the add-on's log says more"
    )
    assert metrics["statusCounts"]["expired"] == len(every) - 1
    run, _ = bench.refresh()
    assert run.states() == {"DOCS": "done", "ENG": "failed", "OPS": "done"}
    assert rows(bench).keys() == every - {bad}


@BOTH
def test_an_automation_logs_every_outcome_also_one_whose_title_cannot_be_kept(docs: Bench) -> None:
    pages = [docs.page("DOCS", f"Old {number}", months=30) for number in range(6)]
    refuse(docs.db, "execution_item", "title", "Old 3")
    docs.put(automations(delete()))
    _, metrics = docs.automate()
    assert metrics["contentsDeleted"] == 6
    assert {status(docs, page) for page in pages} == {"trashed"}
    with docs.db.read(docs.tenant_id) as session:
        logged = dict(session.execute(select(ExecutionItem.content_id, ExecutionItem.title)).all())
    assert logged == {page: None if number == 3 else f"Old {number}" for number, page in enumerate(pages)}


@BOTH
def test_an_automation_says_that_a_reason_cannot_be_kept(docs: Bench) -> None:
    top = docs.page("DOCS", "Top", months=30)
    docs.page("DOCS", "Below", parent=top)
    old = docs.page("DOCS", "Old", months=30)
    refuse(docs.db, "execution_item", "reason", "has children")
    docs.put(automations(archive()))
    run, _ = docs.automate()
    assert log(run) == {
        top: ("archive", "skipped", "the reason could not be kept; the add-on's log says more"),
        old: ("archive", "done", None),
    }


@BOTH
def test_a_content_that_cannot_be_mailed_about_costs_no_other_its_mention(docs: Bench) -> None:
    docs.site.add_user("u-eve", "Eve", "eve@example.com")
    for number in range(5):
        docs.page("DOCS", f"Old {number}", months=30, author="u-eve")
    refuse(docs.db, "notification_match", "title", "Old 3")

    def rule(data: dict[str, Any]) -> None:
        first = data["notificationSchemes"][0]["rules"][0]
        first.update(enabled=True, cql='lastmodified < now("-24M")', recipients=["author"])

    docs.put(rule)
    run, metrics = docs.notify()
    assert run.states() == {"DOCS": "done"}
    assert (metrics["contentsMatched"], metrics["contentsUntold"], metrics["emailsSent"]) == (5, 1, 1)
    text = docs.post.text("eve@example.com")
    assert [f"Old {number}" in text for number in range(5)] == [True, True, True, False, True]


def test_a_person_hears_that_a_status_cannot_be_kept(tmp_path: Path) -> None:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path) as house:
        page = next(content.id for content in house.site.contents() if content.title == "Guide")
        refuse(house.parts.db, "content_stamp", "content_id", page)
        answer = house.api("POST", f"/api/content/{page}/refresh")
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "The status was written to Confluence, but it cannot be kept here.",
        )
