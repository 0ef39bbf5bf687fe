"""The frame in a real browser: its Content Security Policy, who may frame it, cookies and referrers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, request
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Request, Response, expect

from addon.base import SystemClock
from addon.sandbox import Site
from addon.sandbox.seed import seed_demo
from tests.e2e.stack import ADMIN, Stack, stack_over
from tests.support.servers import running

pytestmark = pytest.mark.e2e

REPORTING = """
document.addEventListener("securitypolicyviolation", (event) => window.violated(
  `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
"""
INLINE = re.compile(r"<style|\sstyle\s*=|<script(?![^>]*\ssrc=)|\son[a-z]+\s*=|javascript:", re.IGNORECASE)
FRAME = "iframe.ac-iframe"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(SystemClock())
    seed_demo(site)
    with stack_over(site, tmp_path_factory.mktemp("frame")) as started:
        yield started


class Watched:
    """A browser that tells what was blocked, answered and asked."""

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self.context = context
        self.base_url = base_url
        self.violations: list[str] = []
        self.answers: list[Response] = []
        self.requests: list[Request] = []
        context.expose_binding("violated", lambda _source, said: self.violations.append(said))
        context.add_init_script(REPORTING)
        context.on("console", self._said)
        context.on("response", self._answered)
        context.on("request", lambda sent: self.requests.append(sent))
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)

    def _said(self, message: object) -> None:
        text = str(getattr(message, "text", message))
        if "Content Security Policy" in text or "Refused to" in text:
            self.violations.append(text)

    def _answered(self, response: Response) -> None:
        if response.url.startswith(self.base_url):
            self.answers.append(response)

    def addon(self) -> Frame:
        """The add-on's own frame, once its screen is there."""
        expect(self.page.frame_locator(FRAME).locator("main h1")).to_be_attached()
        [found] = [frame for frame in self.page.frames if frame.url.startswith(self.base_url)]
        return found


@pytest.fixture
def watched(browser: Browser, stack: Stack) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 860}, timezone_id="UTC")
    yield Watched(context, stack.base_url)
    context.close()


def jobs_in_the_frame(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    start = page.frame_locator(FRAME).get_by_role("button", name="Start: Refresh content statuses")
    expect(start).to_be_visible()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_no_screen_breaks_the_policy_in_light_nor_in_dark(stack: Stack, watched: Watched, mode: str) -> None:
    page = watched.page
    jobs_in_the_frame(stack, page)
    frame = page.frame_locator(FRAME)
    if mode == "dark":
        page.locator("#color-mode").click()
    expect(frame.locator("html")).to_have_attribute("data-color-mode", mode)
    frame.get_by_role("button", name="Start: Refresh content statuses").click()
    frame.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(frame.locator(".panel-running, .panel-ended").first).to_be_visible()
    expect(frame.locator(".panel-ended")).to_be_visible(timeout=60_000)
    navigation = frame.get_by_role("navigation")
    navigation.get_by_role("link", name="Job audit log").click()
    frame.get_by_role("link", name="Results of").first.click()
    expect(frame.get_by_role("heading", name="Refresh content statuses")).to_be_visible()
    navigation.get_by_role("link", name="Policies").click()
    expect(frame.get_by_role("heading", name="Policies", exact=True)).to_be_visible()
    colours = "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"
    assert watched.addon().evaluate(colours) != "rgba(0, 0, 0, 0)rgb(0, 0, 0)", "the style sheets are let through"
    assert watched.violations == []


def test_the_watch_does_see_what_the_policy_stops(stack: Stack, watched: Watched) -> None:
    jobs_in_the_frame(stack, watched.page)
    ran = watched.addon().evaluate(
        """async () => {
          document.body.setAttribute("style", "outline: 1px solid red");
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.head.append(script);
          await fetch("http://127.0.0.1:9/elsewhere").catch(() => null);
          return Boolean(window.ran);
        }"""
    )
    assert ran is False
    told = " ".join(watched.violations)
    assert all(directive in told for directive in ("style-src", "script-src", "connect-src")), told


def test_the_page_as_it_is_sent_needs_nothing_inline(stack: Stack) -> None:
    answer = requests.get(stack.site.host.page_url(ADMIN, "site-jobs"), headers={"Accept": "text/html"}, timeout=10)
    assert answer.status_code == 200
    assert INLINE.search(answer.text) is None
    refused = requests.get(f"{stack.base_url}/jobs", headers={"Accept": "text/html"}, timeout=10)
    assert refused.status_code == 401
    assert INLINE.search(refused.text) is None


def test_only_the_site_may_frame_the_page(stack: Stack, watched: Watched) -> None:
    """The same page in the frame of another origin stays empty, also on a host that other sites might have."""
    jobs_in_the_frame(stack, watched.page)
    assert not [said for said in watched.violations if "frame-ancestors" in said]
    url = stack.site.host.page_url(ADMIN, "site-jobs")
    framing = Flask("framing", static_folder=None)

    @framing.get("/")
    def around() -> str:
        return f'<!doctype html><iframe src="{url.replace("&", "&amp;")}"></iframe>'

    with running(framing) as ours:
        port = urlsplit(ours).port
        for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
            watched.violations.clear()
            watched.page.goto(origin, wait_until="load")
            shown = [frame.url for frame in watched.page.frames if frame.url.startswith(stack.base_url)]
            assert not shown, (origin, shown)
            assert any("frame-ancestors" in said for said in watched.violations), watched.violations


def test_the_addon_sets_and_sees_no_cookie(stack: Stack, watched: Watched) -> None:
    jobs_in_the_frame(stack, watched.page)
    frame = watched.addon()
    assert frame.evaluate("document.cookie") == ""
    assert frame.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert watched.context.cookies() == []
    assert len(watched.answers) > 10
    assert {urlsplit(answer.url).path.split("/")[1] for answer in watched.answers} >= {"jobs", "static", "api"}
    assert [answer.url for answer in watched.answers if "set-cookie" in answer.all_headers()] == []


def test_no_link_carries_the_token_away(stack: Stack, watched: Watched) -> None:
    """Neither a new window, nor a link inside the frame, nor what the page itself loads learns the page's address."""
    heard: list[str | None] = []
    elsewhere = Flask("elsewhere", static_folder=None)

    @elsewhere.get("/")
    def echo() -> str:
        heard.append(request.headers.get("Referer"))
        return "<!doctype html><p>elsewhere</p>"

    link = """([url, target]) => {
      const link = document.createElement("a");
      Object.assign(link, { href: url, target, textContent: "away" });
      document.body.append(link);
      link.click();
    }"""
    with running(elsewhere) as url:
        jobs_in_the_frame(stack, watched.page)
        frame = watched.addon()
        assert "jwt=" in frame.url, "the token is in the page's address"
        with watched.context.expect_page() as opened:
            frame.evaluate(link, [url, "_blank"])
        opened.value.wait_for_load_state()
        assert opened.value.evaluate("document.referrer") == ""
        frame.evaluate(link, ["/healthz", "_self"])
        inside = watched.page.frame_locator(FRAME)
        expect(inside.get_by_text("up")).to_be_visible()
        assert inside.locator("html").evaluate("() => document.referrer") == ""
    assert heard == [None]
    referrers = {sent.all_headers().get("referer", "") for sent in watched.requests}
    assert not any("jwt" in referrer for referrer in referrers), referrers
