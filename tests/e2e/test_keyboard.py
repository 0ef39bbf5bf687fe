"""The screens without a mouse: where the focus is, where it goes, and that it never gets lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Frame, FrameLocator, Locator, Page, Route, expect

from addon.base import SystemClock
from addon.sandbox import Site
from addon.sandbox.seed import seed_demo
from tests.e2e.stack import Stack, stack_over

pytestmark = pytest.mark.e2e

LONG = 60_000
MOST_STOPS = 40
FOCUSED = """() => {
  const at = document.activeElement;
  if (at === document.body) return 'body';
  return at.closest('dialog') ? 'dialog' : at.getAttribute('aria-label') || at.textContent;
}"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(SystemClock())
    seed_demo(site)
    with stack_over(site, tmp_path_factory.mktemp("keyboard")) as started:
        yield started


@pytest.fixture
def frame(stack: Stack, browser_page: Page) -> FrameLocator:
    browser_page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    frame = browser_page.frame_locator("iframe.ac-iframe")
    expect(frame.get_by_role("button", name="Start: Refresh content statuses")).to_be_visible()
    return frame


def inside(page: Page) -> Frame:
    """Return the add-on's frame itself, to ask it for its active element."""
    return page.frames[1]


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until `wanted` has the focus, as somebody without a mouse has to."""
    for _ in range(MOST_STOPS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    expect(wanted).to_be_focused()


def test_a_job_is_started_cancelled_and_looked_up_with_the_keyboard_alone(
    stack: Stack, frame: FrameLocator, browser_page: Page
) -> None:
    page, press = browser_page, browser_page.keyboard.press
    stack.site.latency_ms = 400
    tab_to(page, frame.get_by_role("link", name="Skip to content"))
    press("Enter")
    tab_to(page, frame.get_by_role("button", name="Start: Refresh content statuses"))
    press("Enter")
    question = frame.get_by_role("dialog")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    tab_to(page, question.get_by_role("button", name="Start", exact=True))
    press("Enter")
    expect(frame.locator(".panel-running h2")).to_be_focused()

    tab_to(page, frame.get_by_role("button", name="Cancel job"))
    press("Enter")
    expect(question.get_by_role("button", name="Keep it running")).to_be_focused()
    tab_to(page, question.get_by_role("button", name="Cancel job"))
    press("Enter")
    expect(question).to_have_count(0)
    stack.site.latency_ms = 0
    expect(frame.locator(".panel-ended .lozenge").first).to_have_text("Cancelled", timeout=LONG)
    expect(frame.locator("#announcer")).to_have_text("Refresh content statuses: cancelled")
    expect(frame.locator(".panel-ended h2")).to_be_focused()

    tab_to(page, frame.get_by_role("link", name="All results"))
    press("Enter")
    expect(frame.get_by_role("heading", name="Refresh content statuses")).to_be_focused()
    stack.ended(stack.api("GET", "/api/executions").json()["items"][0]["id"])


def test_the_focus_goes_round_inside_a_dialog_and_back_to_its_opener(frame: FrameLocator, browser_page: Page) -> None:
    opener = frame.get_by_role("button", name="Start: Execute automations")
    opener.press("Enter")
    expect(frame.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    for key in ["Tab"] * 7 + ["Shift+Tab"] * 7:
        browser_page.keyboard.press(key)
        assert inside(browser_page).evaluate(FOCUSED) == "dialog"
        assert browser_page.evaluate("document.activeElement.tagName") == "IFRAME"
    frame.get_by_role("heading", name="Execute automations over all included spaces?").click()
    browser_page.keyboard.press("Tab")
    assert inside(browser_page).evaluate(FOCUSED) == "dialog"
    browser_page.keyboard.press("Escape")
    expect(frame.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()


def test_a_dialog_with_fields_begins_in_the_first_one(frame: FrameLocator, browser_page: Page) -> None:
    frame.get_by_role("button", name="Hold all schedules").press("Enter")
    expect(frame.get_by_label("Why")).to_be_focused()
    browser_page.keyboard.press("Shift+Tab")
    expect(frame.get_by_role("button", name="Hold schedules")).to_be_focused()
    browser_page.keyboard.press("Escape")
    expect(frame.get_by_role("button", name="Hold all schedules")).to_be_focused()


def test_what_was_asked_for_is_not_left_before_it_is_answered(
    stack: Stack, frame: FrameLocator, browser_page: Page
) -> None:
    asked: list[Route] = []
    browser_page.route(
        "**/api/executions", lambda route: asked.append(route) if route.request.method == "POST" else route.fallback()
    )
    frame.get_by_role("button", name="Start: Refresh content statuses").press("Enter")
    begin = frame.get_by_role("dialog").get_by_role("button", name="Start", exact=True)
    with browser_page.expect_request(lambda request: request.method == "POST" and "executions" in request.url):
        begin.press("Enter")
    browser_page.keyboard.press("Enter")
    browser_page.keyboard.press("Escape")
    browser_page.keyboard.press("Escape")
    expect(begin).to_be_focused()
    (only,) = asked
    only.continue_()
    expect(frame.get_by_role("dialog")).to_have_count(0)
    expect(frame.locator("#current-title")).to_be_focused()
    stack.ended(stack.api("GET", "/api/executions").json()["items"][0]["id"])


def test_another_screen_puts_the_focus_on_its_heading(frame: FrameLocator, browser_page: Page) -> None:
    for link, heading in (
        ("Job audit log", "Job audit log"),
        ("Status overview", "Status overview"),
        ("Policies", "Policies"),
        ("Jobs", "Jobs"),
    ):
        frame.get_by_role("navigation", name="Content Steward").get_by_role("link", name=link).press("Enter")
        expect(frame.get_by_role("heading", name=heading, level=1, exact=True)).to_be_focused()
    frame.get_by_role("button", name="Start: Refresh content statuses").press("Enter")
    inside(browser_page).evaluate("location.hash = '#/audit-log'")
    expect(frame.get_by_role("dialog")).to_have_count(0)
    expect(frame.get_by_role("heading", name="Job audit log", level=1)).to_be_focused()


def test_what_is_deleted_leaves_the_focus_at_its_neighbours(frame: FrameLocator, browser_page: Page) -> None:
    frame.get_by_role("link", name="Policies", exact=True).press("Enter")
    parts = frame.get_by_role("navigation", name="Parts of the policies")
    expect(frame.get_by_role("heading", name="Status schemes")).to_be_visible()
    parts.get_by_role("link", name="Statuses").press("Enter")
    expect(frame.get_by_role("heading", name="Statuses")).to_be_focused()
    frame.get_by_role("button", name="Create status").press("Enter")
    browser_page.keyboard.type("Draft")
    browser_page.keyboard.press("Enter")
    expect(frame.get_by_role("button", name="Create status")).to_be_focused()
    frame.get_by_role("button", name="Delete Draft").press("Enter")
    expect(frame.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    browser_page.keyboard.press("Tab")
    browser_page.keyboard.press("Enter")
    expect(frame.locator("[data-status=draft]")).to_have_count(0)
    expect(frame.get_by_role("heading", name="Statuses")).to_be_focused()

    parts.get_by_role("link", name="Spaces").press("Enter")
    for _ in range(2):
        frame.get_by_role("button", name="Exclude spaces").press("Enter")
    removals = frame.get_by_role("list", name="Exclude spaces").get_by_role("button", name="Remove")
    before = removals.count()
    removals.nth(before - 2).press("Enter")
    expect(removals).to_have_count(before - 1)
    expect(removals.last).to_be_focused()
    frame.get_by_role("button", name="Discard changes").press("Enter")
    expect(frame.get_by_role("heading", name="Policies")).to_be_focused()
    assert inside(browser_page).evaluate(FOCUSED) == "Policies"
