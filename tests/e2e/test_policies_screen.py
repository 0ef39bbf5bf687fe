"""The policies in a real browser: statuses and schemes made on screens, and the whole as one document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from addon.base import SystemClock
from addon.sandbox import Site
from addon.sandbox.seed import seed_demo
from tests.e2e.stack import Stack, stack_over

pytestmark = pytest.mark.e2e

Shot = Callable[[Page, str], Path]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(SystemClock())
    seed_demo(site)
    with stack_over(site, tmp_path_factory.mktemp("policies")) as started:
        yield started


@pytest.fixture
def frame(stack: Stack, browser_page: Page) -> Iterator[FrameLocator]:
    """The Policies screen, on which nothing may break the Content Security Policy."""
    broken: list[str] = []
    browser_page.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
    browser_page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    frame = browser_page.frame_locator("iframe.ac-iframe")
    frame.get_by_role("link", name="Policies", exact=True).click()
    expect(frame.get_by_role("heading", name="Status schemes")).to_be_visible()
    yield frame
    assert broken == []


def tab(frame: FrameLocator, name: str) -> None:
    frame.get_by_role("navigation", name="Parts of the policies").get_by_role("link", name=name).click()


def agree(frame: FrameLocator, label: str) -> None:
    frame.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()


def saved(frame: FrameLocator) -> int:
    """Save, and return the version that it made."""
    frame.get_by_role("button", name="Save").click()
    title = frame.locator(".message-success .message-title")
    expect(title).to_have_text(re.compile(r"^Saved as version \d+$"))
    return int(re.findall(r"\d+", title.inner_text())[0])


def stored(stack: Stack) -> dict[str, Any]:
    document: dict[str, Any] = stack.api("GET", "/api/policies").json()
    return document


def test_a_status_and_a_scheme_are_made_and_given_to_a_space(
    stack: Stack, frame: FrameLocator, browser_page: Page, screenshot: Shot
) -> None:
    keyboard = browser_page.keyboard
    screenshot(browser_page, "policies")
    tab(frame, "Statuses")
    frame.get_by_role("button", name="Create status").press("Enter")
    keyboard.type("Under review")
    frame.get_by_role("radio", name="Purple").check(force=True)
    frame.get_by_role("radio", name="eye").check(force=True)
    agree(frame, "Create")
    expect(frame.locator("[data-status=under-review]")).to_contain_text("Used in: nothing")

    tab(frame, "Status schemes")
    frame.get_by_role("button", name="Copy: Expiration date").click()
    frame.get_by_label("Name").fill("Contracts")
    agree(frame, "Copy")
    expect(frame.get_by_role("heading", name="Contracts")).to_be_focused()
    frame.get_by_role("button", name="Add status").click()
    expect(frame.get_by_label("Status 2", exact=True)).to_be_focused()
    frame.get_by_label("Status 2", exact=True).select_option("under-review")

    cql = frame.get_by_label("CQL of Under review", exact=True)
    cql.press_sequentially("nonsense = 3")
    wrong = frame.locator(".field-error")
    expect(wrong).to_contain_text("Confluence does not take this CQL: ")
    expect(cql).to_be_focused()
    expect(cql).to_have_attribute("aria-invalid", "true")
    described = str(cql.get_attribute("aria-describedby"))
    assert wrong.get_attribute("id") in described.split()
    cql.fill("label = draft")
    expect(wrong).to_have_count(0)
    expect(frame.locator(".cql-right")).to_have_text(
        re.compile(r"^\d+ pages? (and|or) blog posts? that you may view match")
    )

    up = frame.get_by_role("button", name="Move Under review up")
    up.press("Enter")
    expect(frame.get_by_role("button", name="Move Under review down")).to_be_focused()
    expect(frame.locator("#announcer")).to_have_text("Under review is now at position 1 of 2")
    assert frame.locator("[data-entry]").evaluate_all("all => all.map(each => each.dataset.entry)") == [
        "under-review", "expired", "up-to-date",
    ]  # fmt: skip

    frame.get_by_role("button", name="How many pages and posts match CQL of Expired now?").click()
    expect(frame.locator(".cql-right")).to_have_count(2)
    frame.get_by_role("heading", name="Contracts").evaluate("e => e.scrollIntoView()")
    screenshot(browser_page, "policies-scheme")

    tab(frame, "Spaces")
    frame.get_by_role("button", name="Assign a scheme").click()
    expect(frame.get_by_label("Space key", exact=True)).to_be_focused()
    keyboard.type("DOCS")
    frame.get_by_label("Status scheme").select_option("contracts")
    frame.get_by_role("switch", name="Show the status indicator in every space").check()
    version = saved(frame)

    now = stored(stack)
    assert now["version"] == version
    assert now["statuses"][-1] == {
        "id": "under-review", "name": "Under review", "description": "", "colour": "#8270db", "icon": "eye",
    }  # fmt: skip
    scheme = now["statusSchemes"][-1]
    assert (scheme["id"], scheme["name"], scheme["default"]) == ("contracts", "Contracts", False)
    assert scheme["entries"][0] == {"status": "under-review", "cql": "label = draft"}
    assert now["assignments"] == [{"space": {"key": "DOCS"}, "statusScheme": "contracts"}]
    assert now["indicator"] == {"on": True, "spaces": []}


def test_what_is_used_is_not_deleted_and_what_shipped_comes_back(stack: Stack, frame: FrameLocator) -> None:
    tab(frame, "Statuses")
    frame.get_by_role("button", name="Delete Expired").click()
    expect(frame.get_by_role("dialog")).to_contain_text("It is used in Freshness, Freshness by last update")
    agree(frame, "Close")
    expect(frame.get_by_role("button", name="Delete Expired")).to_be_focused()
    frame.get_by_role("button", name="Delete Expired").click()
    frame.get_by_role("dialog").get_by_role("link", name="Expiration date").click()
    expect(frame.get_by_role("dialog")).to_have_count(0)
    expect(frame.get_by_role("heading", name="Expiration date")).to_be_visible()

    tab(frame, "Status schemes")
    frame.get_by_role("button", name="Delete: Freshness", exact=True).click()
    expect(frame.get_by_role("dialog")).to_contain_text("It is the default")
    agree(frame, "Close")
    frame.get_by_role("button", name="Make default: Freshness by last update").click()
    frame.get_by_role("button", name="Delete: Freshness", exact=True).click()
    agree(frame, "Delete")
    expect(frame.locator("[data-scheme]").first).to_contain_text("Freshness by last update")
    frame.get_by_role("button", name="Edit: Freshness by last update").click()
    frame.get_by_role("button", name="Remove Not updated").click()
    frame.get_by_label("Name").fill("Stale")
    version = saved(frame)
    assert [scheme["id"] for scheme in stored(stack)["statusSchemes"]][:2] == ["last-update", "expiry-date"]

    tab(frame, "Status schemes")
    frame.get_by_role("button", name="Reset to factory…").click()
    agree(frame, "Reset")
    expect(frame.locator("[data-scheme=last-update]")).to_contain_text("Not updated")
    assert saved(frame) == version + 1
    schemes = {scheme["id"]: scheme for scheme in stored(stack)["statusSchemes"]}
    assert len(schemes["freshness"]["entries"]) == 3
    assert schemes["last-update"]["name"] == "Freshness by last update"
    assert [each for each in schemes if schemes[each]["default"]] == ["last-update"], "the default stays"


def test_mistakes_are_shown_at_their_fields_and_nobodys_work_is_lost(
    stack: Stack, frame: FrameLocator, browser_page: Page
) -> None:
    tab(frame, "Spaces")
    frame.get_by_role("button", name="Exclude spaces").click()
    browser_page.keyboard.type("no/key")
    tab(frame, "Status schemes")
    frame.get_by_role("button", name="Save").click()
    alert = frame.get_by_role("alert")
    expect(alert).to_contain_text("1 field is not right")
    alert.get_by_role("link").click()
    field = frame.locator("input[aria-invalid=true]")
    expect(field).to_be_focused()
    expect(field).to_have_value("no/key")
    expect(frame.locator(".field-error")).to_contain_text("must be a space key")
    field.fill("OLD")
    expect(frame.locator(".field-error")).to_have_count(0)

    theirs = stored(stack)
    theirs["statuses"][0]["name"] = "Out of date"
    put = stack.api("PUT", "/api/policies", json=theirs, headers={"If-Match": f'"{theirs["version"]}"'})
    assert put.ok, put.text
    frame.get_by_role("button", name="Save").click()
    expect(alert).to_contain_text("Somebody else saved meanwhile")
    alert.get_by_role("button", name="Keep my changes on the current version").click()
    expect(frame.locator(".message-success")).to_contain_text("The other person changed different parts")

    frame.get_by_role("link", name="Jobs", exact=True).click()
    expect(frame.get_by_role("dialog")).to_contain_text("Leave without saving the policies?")
    agree(frame, "Stay here")
    expect(frame.get_by_role("heading", name="Policies")).to_be_visible()
    frame.get_by_role("link", name="Jobs", exact=True).click()
    browser_page.keyboard.press("Escape")
    expect(frame.get_by_role("dialog")).to_have_count(0)
    expect(frame.get_by_role("heading", name="Policies")).to_be_visible()
    assert saved(frame) == theirs["version"] + 2
    now = stored(stack)
    assert now["statuses"][0]["name"] == "Out of date"
    assert now["excludedSpaces"][-1] == {"key": "OLD"}


def test_the_document_is_edited_as_text_and_mistakes_are_shown_at_their_line(
    stack: Stack, frame: FrameLocator, browser_page: Page
) -> None:
    tab(frame, "Import / export")
    editor = frame.get_by_label("Policies document")
    expect(editor).to_have_value(re.compile(r"^version: "))
    text = editor.input_value()
    before = stored(stack)["version"]
    editor.fill(text.replace("cron: 0 8 * * 1", "cron: 0 25 * * 1"))
    frame.get_by_role("button", name="Save").click()
    expect(frame.get_by_role("alert")).to_contain_text("is not a cron expression")
    frame.get_by_role("button", name=re.compile(r"^Line \d+$")).click()
    expect(editor).to_be_focused()
    selected = editor.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)")
    assert selected.strip() == "cron: 0 25 * * 1"
    editor.fill(text.replace("cron: 0 8 * * 1", "cron: 0 9 * * 1"))
    assert saved(frame) == before + 1
    expect(frame.locator(".versions li").first).to_contain_text("current")

    editor.fill("half typed")
    tab(frame, "Rules and automations")
    agree(frame, "Stay here")
    expect(editor).to_have_value("half typed")
    tab(frame, "Rules and automations")
    agree(frame, "Leave without saving")
    expect(frame.get_by_role("main")).to_contain_text("When: 0 9 * * 1")
    tab(frame, "Import / export")
    editor.fill("half typed")
    frame.get_by_role("link", name="Jobs", exact=True).click()
    agree(frame, "Leave without saving")
    expect(frame.get_by_role("heading", name="Policies")).to_have_count(0)
    expect(frame.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()


def test_a_space_key_that_no_space_has_is_saved_with_a_word_at_its_field(stack: Stack, frame: FrameLocator) -> None:
    tab(frame, "Spaces")
    expect(frame.get_by_role("region", name="Included spaces")).to_contain_text("All spaces take part")
    frame.get_by_role("button", name="Include only some spaces").click()
    region = frame.get_by_role("region", name="Included spaces")
    field = region.get_by_label("Space key", exact=True)
    field.fill("DOCZ")
    saved(frame)
    assert stored(stack)["includedSpaces"] == [{"key": "DOCZ"}]
    notice = region.locator(".field-notice")
    expect(notice).to_contain_text("no current space with the key DOCZ")
    assert notice.get_attribute("id") in str(field.get_attribute("aria-describedby")).split()
    field.fill("DOCS")
    expect(notice).to_have_count(0)
    region.get_by_role("button", name="Remove").click()
    expect(region).to_contain_text("All spaces take part")
    saved(frame)
    assert stored(stack)["includedSpaces"] == []
