"""The screens in a real browser inside the pretend site: what a newcomer does with them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import FrameLocator, Page, Route, expect

from addon.base import SystemClock
from addon.sandbox import Site
from addon.sandbox.seed import seed_demo
from addon.sandbox.ui.chrome import WHO_COOKIE
from tests.e2e.stack import Stack, stack_over
from tests.support.servers import eventually

pytestmark = pytest.mark.e2e

Shot = Callable[[Page, str], Path]
LONG = 60_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(SystemClock())
    seed_demo(site)
    with stack_over(site, tmp_path_factory.mktemp("screens")) as started:
        yield started


@pytest.fixture(autouse=True)
def _a_quick_and_quiet_site(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stack" in request.fixturenames:
        stack: Stack = request.getfixturevalue("stack")
        stack.site.latency_ms = 0
        stack.site.faults.clear()


@pytest.fixture
def page(browser_page: Page) -> Page:
    """A page on which nothing may break the Content Security Policy."""
    broken: list[str] = []
    browser_page.on(
        "console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None
    )
    browser_page.broken = broken  # type: ignore[attr-defined]
    return browser_page


def site_jobs(stack: Stack, page: Page) -> FrameLocator:
    page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    frame = page.frame_locator("iframe.ac-iframe")
    expect(frame.get_by_role("button", name="Start: Refresh content statuses")).to_be_visible()
    return frame


def start(frame: FrameLocator, job: str = "Refresh content statuses") -> None:
    frame.get_by_role("button", name=f"Start: {job}").click()
    frame.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()


def until_ended(frame: FrameLocator, status: str) -> None:
    expect(frame.locator(".panel-ended .lozenge").first).to_have_text(status, timeout=LONG)


def metric(frame: FrameLocator, name: str) -> int:
    return int(frame.locator(f'.panel-ended [data-metric="{name}"] dd').inner_text().replace(",", ""))


def dark(page: Page) -> None:
    page.locator("#color-mode").click()
    expect(page.frame_locator("iframe.ac-iframe").locator("html")).to_have_attribute("data-color-mode", "dark")


def test_a_refresh_is_started_watched_and_shows_its_results_at_once(stack: Stack, page: Page, screenshot: Shot) -> None:
    stack.site.latency_ms = 100
    # The run stops after two thirds of its writes, so that no one has to look at the right moment.
    stack.site.faults.add("hang", method="POST", path="/properties$", skip=80)
    frame = site_jobs(stack, page)
    start(frame)
    expect(frame.locator(".panel-running h2")).to_be_focused()
    expect(frame.get_by_role("progressbar")).to_be_visible()
    expect(frame.get_by_role("button", name="Start: Send notifications")).to_be_disabled()
    expect(frame.locator(".progress-words")).to_contain_text(re.compile(r"[3-9]\d %.* of 1\d spaces"), timeout=LONG)
    screenshot(page, "jobs-running")
    stack.site.faults.clear()
    stack.site.latency_ms = 0
    until_ended(frame, "Successful")
    assert metric(frame, "spacesProcessed") == metric(frame, "spacesTotal") >= 10
    assert metric(frame, "contentsChecked") > 100
    assert metric(frame, "statusesChanged") > 10
    expect(frame.locator(".legend")).to_contain_text("Expired")
    expect(frame.locator(".runs li").first).to_contain_text("Refresh content statuses")
    screenshot(page, "jobs-result")
    dark(page)
    screenshot(page, "jobs-result-dark")
    frame.get_by_role("link", name="All results").click()
    expect(frame.get_by_role("heading", name="Refresh content statuses")).to_be_visible()
    expect(frame.get_by_role("region", name="Spaces of this execution").get_by_role("row").nth(5)).to_be_visible()
    assert page.broken == []  # type: ignore[attr-defined]


def test_a_running_job_is_cancelled_after_a_question(stack: Stack, page: Page) -> None:
    stack.site.latency_ms = 400
    frame = site_jobs(stack, page)
    start(frame)
    frame.get_by_role("button", name="Cancel job").click()
    question = frame.get_by_role("dialog")
    expect(question).to_contain_text("Cancel “Refresh content statuses”?")
    expect(question).to_contain_text("Work already done stays done. Spaces not finished are skipped.")
    question.get_by_role("button", name="Cancel job").click()
    stack.site.latency_ms = 0
    until_ended(frame, "Cancelled")


def test_a_failed_space_is_named_with_its_reason(stack: Stack, page: Page, screenshot: Shot) -> None:
    stack.site.faults.add(status=403, space="HR", path="search")
    frame = site_jobs(stack, page)
    start(frame)
    until_ended(frame, "Failed")
    expect(frame.locator(".failures")).to_contain_text("HR")
    frame.get_by_role("link", name="All results").click()
    frame.get_by_label("Show").first.select_option("failed")
    rows = frame.get_by_role("region", name="Spaces of this execution").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("403")
    frame.get_by_role("navigation").get_by_role("link", name="Job audit log").click()
    frame.get_by_label("Status", exact=True).select_option("failed")
    log = frame.get_by_role("region", name="Job audit log").locator("tbody tr")
    expect(log).to_have_count(1)
    expect(log).to_contain_text("1 space failed")
    frame.get_by_label("Status", exact=True).select_option("")
    expect(frame.locator("main")).not_to_have_attribute("aria-busy", "")
    expect(log.first).to_be_visible()
    screenshot(page, "audit-log")


def test_the_failed_spaces_alone_are_tried_again_after_a_question(stack: Stack, page: Page) -> None:
    stack.site.faults.add(status=403, space="HR", path="search")
    frame = site_jobs(stack, page)
    start(frame)
    until_ended(frame, "Failed")
    stack.site.faults.clear()
    frame.locator(".panel-ended").get_by_role("button", name="Retry failed spaces").click()
    question = frame.get_by_role("dialog")
    expect(question).to_contain_text("Retry 1 failed space?")
    question.get_by_role("button", name="Retry", exact=True).click()
    until_ended(frame, "Successful")
    assert metric(frame, "spacesTotal") == 1
    frame.get_by_role("link", name="All results").click()
    frame.get_by_role("link", name="the failed execution").click()
    expect(frame.get_by_role("link", name="a newer execution")).to_be_visible()
    expect(frame.get_by_role("button", name="Retry failed spaces")).to_have_count(0)


def test_the_item_log_says_what_was_archived_and_why_the_rest_was_not(
    stack: Stack, page: Page, screenshot: Shot
) -> None:
    policies = stack.api("GET", "/api/policies")
    switched_on = policies.text.replace('"enabled": false', '"enabled": true')
    put = stack.api(
        "PUT",
        "/api/policies",
        data=switched_on.encode(),
        headers={"If-Match": policies.headers["ETag"], "Content-Type": "application/json"},
    )
    assert put.ok, put.text
    frame = site_jobs(stack, page)
    frame.get_by_role("button", name="Start: Execute automations").click()
    frame.get_by_role("dialog").get_by_role("button", name="Dry run first").click()
    until_ended(frame, "Successful")
    assert metric(frame, "contentsMatched") > 0
    assert metric(frame, "contentsArchived") == 0
    expect(frame.locator(".panel-ended h2")).to_have_text("Execute automations (dry run)")
    start(frame, "Execute automations")
    expect(frame.locator(".panel-ended h2")).to_have_text("Execute automations", timeout=LONG)
    until_ended(frame, "Successful")
    assert metric(frame, "contentsArchived") > 0
    frame.get_by_role("link", name="All results").click()
    log = frame.get_by_role("region", name="What was done to which item").locator("tbody tr")
    expect(log.filter(has_text="Done").first).to_be_visible()
    expect(log.filter(has_text="Skipped").first).to_be_visible()
    frame.get_by_role("heading", name="Item log").scroll_into_view_if_needed()
    frame.get_by_role("heading", name="Item log").evaluate("e => e.scrollIntoView()")
    screenshot(page, "execution")
    frame.get_by_label("Show").last.select_option("skipped")
    expect(log.filter(has_text="Done")).to_have_count(0)
    log.first.get_by_role("button").click()
    page.wait_for_url(re.compile(r"/wiki/(pages|spaces)/"))


def test_a_space_screen_is_about_its_space(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.server.url}/wiki/spaces/ENG/settings")
    page.get_by_role("link", name="Content Steward").first.click()
    frame = page.frame_locator("iframe.ac-iframe")
    expect(frame.locator(".scope")).to_have_text("Space Engineering")
    expect(frame.get_by_role("link", name="Policies")).to_have_count(0)
    start(frame)
    until_ended(frame, "Successful")
    assert metric(frame, "spacesTotal") == 1
    frame.get_by_role("link", name="Job audit log").first.click()
    frame.get_by_label("Scope").select_option("space")
    expect(frame.get_by_role("region", name="Job audit log").locator("tbody tr")).to_have_count(1)


def test_a_refused_start_tells_its_times_in_the_zone_of_the_persons_profile(stack: Stack, page: Page) -> None:
    with stack.site.lock:
        stack.site.people["u-admin"].time_zone = "Pacific/Kiritimati"
    frame = site_jobs(stack, page)
    frame.get_by_role("button", name="Start: Send notifications").click()
    stack.site.latency_ms = 400
    running = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
    frame.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    began = datetime.fromisoformat(running["startedAt"]).astimezone(ZoneInfo("Pacific/Kiritimati"))
    said = frame.get_by_role("dialog").get_by_role("alert")
    expect(said).to_contain_text(f"at {began:%H:%M} (Pacific/Kiritimati)")
    stack.site.latency_ms = 0
    stack.ended(running["id"])


def test_a_run_that_fits_between_two_looks_is_among_the_last_ones(stack: Stack, page: Page) -> None:
    frame = site_jobs(stack, page)
    expect(frame.locator(".runs li, .last .empty").first).to_be_visible()
    run = stack.run("refresh-statuses")
    frame.locator("body").evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(frame.locator(".runs li").first.get_by_role("link")).to_have_attribute("href", f"#/executions/{run['id']}")


def test_a_space_administrator_sees_what_a_run_over_the_site_did_in_the_space(stack: Stack, page: Page) -> None:
    site = stack.site
    site.add_space("NARROW", "Narrow matters", admins=["u-nora"])
    site.add_user("u-nora", "Nora Narrow")
    long_ago = site.clock.now() - timedelta(days=900)
    site.add_page("NARROW", "Forgotten", created_at=long_ago)
    run = stack.run("refresh-statuses")
    assert run["metrics"]["spacesTotal"] > 1
    page.context.add_cookies([{"name": WHO_COOKIE, "value": "u-nora", "url": stack.server.url}])
    page.goto(f"{stack.server.url}/wiki/spaces/NARROW/settings")
    page.get_by_role("link", name="Content Steward").first.click()
    frame = page.frame_locator("iframe.ac-iframe")
    expect(frame.locator(".runs li").first).to_contain_text("all included spaces")
    frame.get_by_role("link", name="Job audit log").first.click()
    row = frame.get_by_role("region", name="Job audit log").locator("tbody tr").first
    expect(row).to_contain_text("This space: done")
    expect(row).to_contain_text("1 changed")
    row.get_by_role("link").click()
    expect(frame.get_by_role("heading", name="Results in this space")).to_be_visible()
    spaces = frame.get_by_role("region", name="Spaces of this execution").locator("tbody tr")
    expect(spaces).to_have_count(1)
    expect(spaces).to_contain_text("NARROW")
    expect(frame.locator("main")).not_to_contain_text("ENG")


def test_an_answer_that_comes_after_its_screen_was_left_is_not_drawn_over_the_next_one(
    stack: Stack, page: Page
) -> None:
    late: list[Route] = []
    page.route("**/api/quota", lambda route: late.append(route))
    with page.expect_request("**/api/quota"):
        page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    frame = page.frame_locator("iframe.ac-iframe")
    frame.get_by_role("link", name="Policies", exact=True).click()
    expect(frame.get_by_role("heading", name="Status schemes")).to_be_visible()
    with page.expect_response("**/api/quota"):
        late[0].continue_()
    # What was answered before is dealt with before this is.
    (inner,) = [each for each in page.frames if each.url.startswith(stack.base_url)]
    assert inner.evaluate("() => fetch('/healthz').then((answer) => answer.status)") == 200
    expect(frame.get_by_role("heading", name="Start a job")).to_have_count(0)
    expect(frame.get_by_role("navigation", name="Parts of the policies")).to_be_visible()


def test_all_schedules_are_held_and_released(stack: Stack, page: Page) -> None:
    frame = site_jobs(stack, page)
    frame.get_by_role("button", name="Hold all schedules").click()
    frame.get_by_label("Why").fill("Migration weekend")
    frame.get_by_role("button", name="Hold schedules").click()
    expect(frame.locator(".message-warning")).to_contain_text("Migration weekend")
    frame.get_by_role("button", name="Release schedules").click()
    frame.get_by_role("dialog").get_by_role("button", name="Release schedules").click()
    expect(frame.locator(".message-warning")).to_have_count(0)


def test_slots_that_were_missed_are_shown_with_what_became_of_them(stack: Stack, page: Page) -> None:
    with closing(sqlite3.connect(stack.folder / "steward.sqlite3")) as database, database:
        database.execute(
            "UPDATE job_schedule SET next_fire_at = strftime('%Y-%m-%d %H:%M:%f000', next_fire_at, '-20 days') "
            "WHERE job_type = 'refresh-statuses'"
        )
    run = eventually(
        lambda: next(iter(stack.api("GET", "/api/executions?trigger=scheduled").json()["items"]), None), seconds=30
    )
    site_jobs(stack, page).get_by_role("link", name="Job audit log").first.click()
    frame = page.frame_locator("iframe.ac-iframe")
    missed = frame.get_by_role("region", name="What became of missed slots").locator("tbody tr")
    expect(missed.filter(has_text="Joined the run of")).to_have_count(3)
    expect(missed.filter(has_text="Skipped: more than 24 hours late")).to_have_count(22)
    expect(missed.filter(has_text="as far as is recorded")).to_have_count(25)
    more = frame.get_by_role("button", name="Older missed slots")
    more.focus()
    page.keyboard.press("Enter")
    expect(missed).to_have_count(50)
    expect(more).to_be_focused()
    missed.first.get_by_role("link").click()
    expect(frame.locator(".facts")).to_contain_text(re.compile(r"Joined by\s*3 missed slots: "))
    expect(frame.locator("code")).to_have_text(run["id"])
    stack.ended(run["id"])
    assert page.broken == []  # type: ignore[attr-defined]


def test_outside_the_host_the_page_says_where_it_belongs(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.base_url}/jobs")
    expect(page.get_by_role("heading")).to_have_text("Open this inside Confluence")
    page.goto(stack.site.host.page_url("u-admin", "site-jobs"))
    expect(page.get_by_role("heading", name="Content Steward")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Open this page inside Confluence")


def test_a_new_installation_begins_when_an_administrator_says_so(tmp_path: Path, page: Page, screenshot: Shot) -> None:
    site = Site(SystemClock())
    seed_demo(site)
    with stack_over(site, tmp_path, STEWARD_FIRST_RUN="hold") as stack:
        frame = site_jobs(stack, page)
        panel = frame.get_by_role("region", name="Before the first run")
        expect(panel).to_contain_text("Spaces included")
        expect(frame.get_by_role("button", name="Start: Refresh content statuses")).to_be_disabled()
        screenshot(page, "first-run")
        panel.get_by_text("Start with some spaces only").click()
        panel.get_by_label("Engineering").check()
        panel.get_by_role("button", name="Start with 1 space").click()
        frame.get_by_role("dialog").get_by_role("button", name="Begin").click()
        expect(panel).to_have_count(0)
        until_ended(frame, "Successful")
        assert metric(frame, "spacesTotal") == 1
        expect(frame.get_by_text("not included", exact=False)).to_have_count(0)

        site.add_space("LATER", "Made later")
        site.add_space("LATEST", "Made last")
        stack.stop()  # A listing of all spaces is remembered for a quarter of an hour.
        stack.start(STEWARD_FIRST_RUN="hold")
        frame = site_jobs(stack, page)
        news = frame.locator(".message", has_text="2 new spaces are not included")
        news.get_by_role("button", name="Include Made later").click()
        expect(frame.locator(".message", has_text="1 new space is not included")).to_contain_text("Made last")
        policies = stack.api("GET", "/api/policies").json()
        assert policies["includedSpaces"] == [{"key": "ENG"}, {"key": "LATER"}]
        page.goto(f"{stack.server.url}/wiki/spaces/LATEST/settings")
        page.get_by_role("link", name="Content Steward").first.click()
        expect(page.frame_locator("iframe.ac-iframe").locator(".message")).to_contain_text("This space is not included")
