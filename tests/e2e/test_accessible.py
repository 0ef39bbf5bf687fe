"""What has to hold on every screen: axe-core finds nothing, and a narrow frame needs no sideways scrolling."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Frame, Page, expect

from tests.e2e.screens import every_screen, lived_in, opened, wordy_site
from tests.e2e.stack import Stack, stack_over

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
WIDER = """() => [document.documentElement, ...document.querySelectorAll('body *')]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0
    && !each.matches('.visually-hidden, .editor, input, select, textarea, option')
    && (each === document.documentElement || ['auto', 'scroll'].includes(getComputedStyle(each).overflowX)))
  .map((each) => `${each.tagName}.${each.className} ${each.scrollWidth} > ${each.clientWidth}`)"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_over(wordy_site(), tmp_path_factory.mktemp("accessible")) as started:
        yield started


@pytest.fixture(scope="module")
def executions(stack: Stack) -> dict[str, str]:
    return lived_in(stack)


def looked_at(browser: Browser, stack: Stack, colours: Literal["light", "dark"], width: int) -> Page:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours, timezone_id="UTC")
    page = context.new_page()
    page.set_default_timeout(20_000)
    return page


def violations(frame: Frame) -> list[str]:
    frame.evaluate(AXE)
    found: list[dict[str, Any]] = frame.evaluate(RUN)
    return [f"{each['impact']} {each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_on_any_screen(
    stack: Stack, executions: dict[str, str], browser: Browser, colours: Literal["light", "dark"]
) -> None:
    page = looked_at(browser, stack, colours, 1280)
    found = {}
    for name, frame in every_screen(stack, page, executions):
        if frame is not page.main_frame:
            expect(frame.locator("html")).to_have_attribute("data-color-mode", colours)
        if wrong := violations(frame):
            found[name] = wrong
    page.context.close()
    assert found == {}


def test_no_screen_has_to_be_scrolled_sideways_at_600_pixels(
    stack: Stack, executions: dict[str, str], browser: Browser
) -> None:
    page = looked_at(browser, stack, "light", 600)
    found = {}
    for name, frame in every_screen(stack, page, executions):
        assert frame.evaluate("innerWidth") <= 600
        if wider := frame.evaluate(WIDER):
            found[name] = wider
    page.context.close()
    assert found == {}


def test_the_first_run_is_accessible_and_fits_too(tmp_path: Path, browser: Browser) -> None:
    with stack_over(wordy_site(), tmp_path, STEWARD_FIRST_RUN="hold") as held:
        page = looked_at(browser, held, "light", 600)
        frame = opened(held, page)
        frame.get_by_text("Start with some spaces only").click()
        expect(frame.get_by_role("button", name="Start with all spaces")).to_be_visible()
        wrong = violations(frame) + list(frame.evaluate(WIDER))
        page.context.close()
    assert wrong == []
