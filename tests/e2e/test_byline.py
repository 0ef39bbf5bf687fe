"""The status on the page itself: the byline says it, the dialog says why, and an editor confirms it without a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from addon import demo
from addon.sandbox.people import BOT
from addon.sandbox.records import Content
from addon.sandbox.ui import bylines
from tests.support.servers import eventually

Shot = Callable[[Page, str], Path]
VIEWER = "u-ops-lead"


@pytest.fixture(scope="module")
def company() -> Iterator[demo.Demo]:
    with demo.running_demo() as running:
        running.switch_on(schedules=True)
        running.finish(running.start("refresh-statuses"), lambda _seen: None)
        some = next(iter(running.site.contents()))
        eventually(lambda: bylines.items(running.site, some), seconds=20)
        yield running


def expired(company: demo.Demo, position: int = 0) -> Content:
    """A page that is expired only because nobody has touched it for years."""
    found = [
        content
        for content in company.site.contents()
        if content.kind == "page"
        and content.properties.get("steward-status")
        and content.properties["steward-status"].value["id"] == "expired"
        and "steward-review" not in content.properties
    ]
    return found[position]


def open_page(page: Page, company: demo.Demo, content: Content, account: str = "u-admin") -> None:
    key = company.site.space_by_id(content.space_id).key
    company.site.people[account]  # somebody of the site
    page.context.add_cookies([{"name": "sandbox_account", "value": account, "url": company.site_url}])
    page.goto(f"{company.site_url}/wiki/spaces/{key}/pages/{content.id}")


def open_dialog(page: Page) -> FrameLocator:
    page.locator(".byline-item").click()
    return page.frame_locator("dialog iframe.ac-iframe")


def test_an_expired_page_is_confirmed_from_its_byline_without_any_job(
    company: demo.Demo, browser_page: Page, screenshot: Shot
) -> None:
    page, content = browser_page, expired(company)
    runs = len(company.call("GET", "/api/executions").json()["items"])
    open_page(page, company, content)
    item = page.locator(".byline-item")
    expect(item).to_have_text("Expired")
    expect(item.locator("img")).to_have_js_property("naturalWidth", 16)
    frame = open_dialog(page)
    expect(frame.get_by_role("heading", name="Expired", level=1)).to_be_visible()
    steps = frame.get_by_role("region", name="Why this status").get_by_role("listitem")
    expect(steps).to_have_count(3)
    expect(steps.nth(0)).to_contain_text("Applies")
    expect(steps.nth(0)).to_contain_text("stewardExpirationDate <= now()")
    expect(frame.get_by_role("button", name="Still valid")).to_be_enabled()
    screenshot(page, "byline")
    frame.get_by_label("Next review").select_option("12")
    frame.get_by_role("button", name="Still valid").click()
    expect(frame.get_by_role("heading", name="Up-to-date", level=1)).to_be_visible()
    expect(frame.get_by_role("region", name="Review")).not_to_contain_text("Not yet")
    expect(item).to_have_text("Up-to-date")
    frame.get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)
    page.reload()
    expect(page.locator(".byline-item")).to_have_text("Up-to-date")
    assert len(company.call("GET", "/api/executions").json()["items"]) == runs


def test_a_date_and_keep_are_set_from_the_dialog(company: demo.Demo, browser_page: Page) -> None:
    content = expired(company)
    open_page(browser_page, company, content)
    frame = open_dialog(browser_page)
    frame.get_by_label("Expires on").fill("2199-12-31")
    frame.get_by_role("button", name="Set date").click()
    expect(frame.get_by_role("heading", name="Not updated", level=1)).to_be_visible()
    frame.get_by_label("Keep it").check()
    expect(frame.get_by_role("region", name="Review")).to_contain_text("Yes, automations leave it alone")
    frame.get_by_role("button", name="Clear").click()
    expect(frame.get_by_role("heading", name="Expired", level=1)).to_be_visible()
    assert company.site.get(content.id).properties["steward-review"].value == {"keep": True}


def test_a_viewer_sees_why_and_no_controls(company: demo.Demo, browser_page: Page) -> None:
    content = expired(company, -1)
    with company.site.lock:
        company.site.restrict(content.id, users=["u-admin", BOT], operation="update")
    viewer = next(
        account
        for account in company.site.people
        if account not in ("u-admin", BOT) and company.site.access.can_view(account, content)
    )
    open_page(browser_page, company, content, viewer)
    frame = open_dialog(browser_page)
    expect(frame.get_by_role("heading", name="Why this status")).to_be_visible()
    expect(frame.get_by_role("button", name="Refresh this page")).to_be_enabled()
    expect(frame.get_by_role("button", name="Still valid")).to_have_count(0)
    expect(frame.get_by_label("Expires on")).to_have_count(0)
    path = f"/api/content/{content.id}/review"
    assert company.call("PUT", path, account=viewer, json={"stillValid": True}).status_code == 403
    frame.get_by_role("button", name="Refresh this page").click()
    expect(frame.get_by_text("Refreshed: it still is Expired.", exact=True).first).to_be_visible()


def test_a_page_that_the_app_cannot_read_says_so_and_what_to_do(company: demo.Demo, browser_page: Page) -> None:
    content = expired(company, 2)
    with company.site.lock:
        company.site.restrict(content.id, users=["u-admin"])
    open_page(browser_page, company, content)
    frame = open_dialog(browser_page)
    told = frame.locator(".message-warning")
    expect(told).to_contain_text("Content Steward cannot read this")
    expect(told).to_contain_text("Ask somebody who may change them to let Content Steward for Confluence view it")
    expect(frame.get_by_role("heading", name="Content status", level=1)).to_be_focused()
    expect(frame.get_by_role("button", name="Still valid")).to_have_count(0)
    with company.site.lock:
        company.site.restrict(content.id, users=["u-admin", BOT])
    frame.get_by_role("button", name="Look again").press("Enter")
    expect(frame.get_by_role("heading", name="Expired", level=1)).to_be_visible()
    assert frame.locator("body").evaluate("body => document.activeElement !== body")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_dialog_fits_a_narrow_window(
    company: demo.Demo, browser: Browser, screenshot: Shot, colours: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": 640, "height": 800}, color_scheme=colours)
    page = context.new_page()
    open_page(page, company, expired(company, 1))
    frame = open_dialog(page)
    expect(frame.get_by_role("heading", name="Why this status")).to_be_visible()
    assert frame.locator("body").evaluate("body => body.scrollWidth <= innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if colours == "dark":
        screenshot(page, "byline-dark")
    context.close()
