"""A headless browser for the end-to-end tests, and where its pictures go."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

log = logging.getLogger(__name__)

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a busy machine takes three seconds for must not fail a test; what never comes fails it all the same.
expect.set_options(timeout=20_000)
PICTURES = Path(__file__).parents[2] / "docs" / "screenshots"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Without Chromium the test is skipped, or fails where everything is required."""
    executable = shutil.which("chromium") or CHROMIUM
    if not Path(executable).exists():
        if os.environ.get("STEWARD_TEST_REQUIRE") == "all":
            pytest.fail("chromium is required and not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def browser_page(browser: Browser, caplog: pytest.LogCaptureFixture) -> Iterator[Page]:
    """A fresh page with its own cookies. Errors of scripts on it fail the test; a failure tells what happened on it."""
    caplog.set_level(logging.INFO, logger=__name__)
    context = browser.new_context(viewport={"width": 1280, "height": 860}, timezone_id="UTC")
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("crash", lambda _page: log.error("the page crashed"))
    page.on("console", lambda said: log.info("console: %s", said.text))
    page.on("framenavigated", lambda frame: log.info("opened %s", frame.url))
    page.on("requestfailed", lambda request: log.info("failed %s %s: %s", request.method, request.url, request.failure))
    page.on("requestfinished", lambda request: log.info("answered %s %s", request.method, request.url))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[[Page, str], Path]:
    """A function that takes a picture: into docs/screenshots with STEWARD_SCREENSHOTS=1, else somewhere temporary."""
    folder = PICTURES if os.environ.get("STEWARD_SCREENSHOTS") == "1" else tmp_path

    def take(page: Page, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=str(path))
        return path

    return take
