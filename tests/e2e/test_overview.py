"""The status overview in a real browser: every number is the viewer's own, and leads to the search that shows why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from addon.base import SystemClock
from addon.sandbox import Site
from addon.sandbox.people import BOT
from addon.sandbox.search import Question
from addon.sandbox.seed import seed_demo
from tests.e2e.stack import ADMIN, Stack, stack_over

pytestmark = pytest.mark.e2e

Shot = Callable[[Page, str], Path]
LONG = 30_000
LEAD = "u-ops-lead"
"""Administers Operations and nothing else."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Refreshed before the first test that needs it: the tests of this module run in their order."""
    site = Site(SystemClock())
    seed_demo(site)
    with stack_over(site, tmp_path_factory.mktemp("overview")) as started:
        yield started


@pytest.fixture
def page(browser_page: Page, stack: Stack) -> Iterator[Page]:
    """A page on which nothing may break the Content Security Policy."""
    broken: list[str] = []
    browser_page.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
    yield browser_page
    stack.site.faults.clear()
    assert broken == []


@pytest.fixture(scope="module")
def refreshed(stack: Stack) -> Stack:
    assert stack.run("refresh-statuses")["status"] == "successful"
    return stack


def site_overview(stack: Stack, page: Page) -> FrameLocator:
    page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    frame = page.frame_locator("iframe.ac-iframe")
    frame.get_by_role("link", name="Status overview").click()
    expect(frame.get_by_role("heading", name="Status overview")).to_be_visible()
    return frame


def row(frame: FrameLocator, key: str) -> Locator:
    return frame.locator(f'tr[data-key="{key}"]')


def counted(frame: FrameLocator) -> None:
    expect(frame.locator('.overview[aria-busy="false"]')).to_be_visible(timeout=LONG)


def figures(frame: FrameLocator, key: str) -> list[int]:
    """The total and the count of each status, in the order of the columns."""
    texts = row(frame, key).locator("td.number").all_inner_texts()
    return [int(text.replace(",", "").split()[0]) for text in texts]


def found(site: Site, cql: str, account: str) -> set[str]:
    with site.lock:
        return {hit.id for hit in site.search.hits(Question(cql, viewer=account))}


def untracked(site: Site, key: str, account: str) -> set[str]:
    """What a person sees in a space and the app does not."""
    base = f'type in (page, blogpost) and space = "{key}"'
    stamped = found(site, f'{base} and stewardStatus in ("expired", "not-updated")', account)
    return found(site, base, account) - found(site, base, BOT) - stamped


def seen(site: Site, key: str, account: str) -> list[int]:
    base = f'type in (page, blogpost) and space = "{key}"'
    parts = [len(found(site, f'{base} and stewardStatus = "{slug}"', account)) for slug in ("expired", "not-updated")]
    total = len(found(site, base, account))
    return [total, *parts, total - sum(parts) - len(untracked(site, key, account))]


def test_before_the_first_refresh_the_overview_says_what_to_do(stack: Stack, page: Page) -> None:
    frame = site_overview(stack, page)
    expect(frame.get_by_text("Nothing has been refreshed yet")).to_be_visible()
    frame.get_by_role("link", name="Go to Jobs").click()
    expect(frame.get_by_role("button", name="Start: Refresh content statuses")).to_be_visible()


def test_the_numbers_are_those_of_the_search_and_each_leads_there(
    refreshed: Stack, page: Page, screenshot: Shot
) -> None:
    frame = site_overview(refreshed, page)
    counted(frame)
    for key in ("ENG", "DOCS", "HR"):
        assert figures(frame, key) == seen(refreshed.site, key, ADMIN)
    expect(row(frame, "~u-jonas")).to_contain_text("Excluded by rule: personal spaces")
    expect(row(frame, "~u-jonas").locator("a")).to_have_count(0)
    expect(frame.locator("tfoot td").first).to_have_text(
        f"{sum(figures(frame, key)[0] for key in keys(frame)):,}", timeout=20_000
    )
    screenshot(page, "overview")
    page.locator("#color-mode").click()
    expect(frame.locator("html")).to_have_attribute("data-color-mode", "dark")
    screenshot(page, "overview-dark")
    for status, position in (("expired", 1), ("up-to-date", 3)):
        number = figures(frame, "ENG")[position]
        row(frame, "ENG").locator(f'td[data-status="{status}"] a').click()
        expect(page).to_have_url(re.compile(r"/wiki/search\?cql="))
        expect(page.locator("main")).to_contain_text(f"{number} ")
        frame = site_overview(refreshed, page)
        counted(frame)


def keys(frame: FrameLocator) -> list[str]:
    lines = frame.locator("tbody tr:has(td.number)").all()
    return [str(line.get_attribute("data-key")) for line in lines]


def test_nobody_counts_what_they_may_not_see(refreshed: Stack, page: Page) -> None:
    """The ledger knows of these contents and of this space; the administrator may not see them."""
    site = refreshed.site
    with site.lock:
        hits = site.search.hits(Question('space = "ENG" and stewardStatus = "expired"', viewer=ADMIN))
        before = seen(site, "ENG", ADMIN)
        site.restrict(hits[0].id, users=["u-jonas"], groups=[])
        fin = site.space("FIN")
        for each in site.access.rows(fin.id):
            site.access.revoke(fin.id, each.principal_id)
    frame = site_overview(refreshed, page)
    counted(frame)
    after = figures(frame, "ENG")
    assert after == seen(site, "ENG", ADMIN)
    assert after[0] < before[0]
    assert after[1] < before[1]
    expect(row(frame, "FIN")).to_have_count(0)


def test_what_the_app_cannot_see_is_not_tracked_and_never_counted_as_up_to_date(
    refreshed: Stack, page: Page, screenshot: Shot
) -> None:
    site = refreshed.site
    with site.lock:
        site.access.set_app(site.add_space("HID", "Hidden").id, [])
        site.add_page("HID", "Nobody tells the app of it")
        plain = next(each for each in site.contents("DOCS") if "steward-status" not in each.properties)
        site.restrict(plain.id, users=[ADMIN], groups=[])
    frame = site_overview(refreshed, page)
    counted(frame)
    hidden = untracked(site, "DOCS", ADMIN)
    assert plain.id in hidden
    assert figures(frame, "DOCS") == seen(site, "DOCS", ADMIN)
    cells = row(frame, "DOCS").locator("td.untracked")
    expect(cells).to_have_text(f"{len(hidden)} not tracked")
    everything = len(found(site, 'type in (page, blogpost) and space = "HID"', ADMIN))
    expect(row(frame, "HID")).to_contain_text("Not tracked: Content Steward cannot see this space")
    expect(row(frame, "HID").locator("td.untracked").last).to_have_text(f"{everything} not tracked")
    expect(row(frame, "HID").locator("[data-status]")).to_have_count(0)
    expect(frame.get_by_text("Coverage incomplete")).to_be_visible()
    screenshot(page, "overview-not-tracked")
    with site.lock:
        site.unrestrict(plain.id)
        site.remove_space("HID")


def test_a_spaces_administrator_sees_that_spaces_own_overview(refreshed: Stack, page: Page) -> None:
    page.goto(f"{refreshed.server.url}/wiki/home")
    with page.expect_navigation():
        page.locator("#whoami").select_option(LEAD)
    page.goto(f"{refreshed.server.url}/wiki/spaces/OPS/settings/integrations/space-jobs")
    frame = page.frame_locator("iframe.ac-iframe")
    frame.get_by_role("link", name="Status overview").click()
    counted(frame)
    assert keys(frame) == ["OPS"]
    assert figures(frame, "OPS") == seen(refreshed.site, "OPS", LEAD)
    expect(frame.get_by_role("search")).to_have_count(0)


def test_spaces_are_filtered_by_name_and_type_and_turned_by_the_page_from_the_keyboard(
    refreshed: Stack, page: Page
) -> None:
    with refreshed.site.lock:
        for number in range(15):
            refreshed.site.add_space(f"ZETA{number}", f"Zeta {number:02}")
    frame = site_overview(refreshed, page)
    counted(frame)
    expect(frame.locator("tbody tr")).to_have_count(20)
    turn = frame.get_by_role("button", name="Next spaces")
    turn.focus()
    page.keyboard.press("Enter")
    expect(row(frame, "ZETA14")).to_contain_text("Not refreshed lately")
    expect(frame.get_by_role("heading", name="Status overview")).to_be_focused()
    expect(turn).to_be_disabled()
    frame.get_by_label("Space", exact=True).fill("oper")
    expect(frame.locator("tbody tr")).to_have_count(1)
    expect(row(frame, "OPS")).to_be_visible()
    expect(frame.get_by_label("Space", exact=True)).to_be_focused()
    frame.get_by_label("Space", exact=True).fill("nowhere at all")
    expect(frame.get_by_text("No space matches these filters")).to_be_visible()
    frame.get_by_label("Space", exact=True).fill("")
    frame.get_by_label("Type").select_option("Personal spaces")
    expect(row(frame, "~u-jonas")).to_be_visible()
    expect(row(frame, "OPS")).to_have_count(0)


def test_what_confluence_does_not_answer_is_marked_and_can_be_counted_again(refreshed: Stack, page: Page) -> None:
    refreshed.site.faults.add(status=429, path="/rest/api/search", cql='"OPS"')
    refreshed.site.faults.add(status=403, path="/rest/api/search", cql='"DOCS"')
    refreshed.site.faults.add(status=500, path="/rest/api/search", cql='"HR"')
    frame = site_overview(refreshed, page)
    counted(frame)
    expect(row(frame, "OPS").locator(".refused").first).to_contain_text("Confluence asks for a pause")
    expect(row(frame, "DOCS").locator(".refused").first).to_have_text("? You may not see this in Confluence")
    expect(row(frame, "HR").locator(".refused").first).to_have_text("? Confluence did not answer")
    expect(frame.locator("tfoot td").first).to_have_text("…")
    refreshed.site.faults.clear()
    frame.get_by_role("button", name="Count again").click()
    expect(frame.locator(".refused")).to_have_count(0)
    counted(frame)
    assert figures(frame, "OPS") == seen(refreshed.site, "OPS", ADMIN)


def test_without_stamps_the_overview_says_that_it_needs_them(refreshed: Stack, page: Page) -> None:
    current = refreshed.api("GET", "/api/policies")
    changed = current.json() | {"statusStamps": False}
    headers = {"If-Match": current.headers["ETag"]}
    assert refreshed.api("PUT", "/api/policies", json=changed, headers=headers).ok
    frame = site_overview(refreshed, page)
    expect(frame.get_by_text("The overview needs stamps")).to_be_visible()
    expect(frame.locator("table")).to_have_count(0)
