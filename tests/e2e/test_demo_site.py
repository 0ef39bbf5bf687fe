"""The pretend site in a real browser: the bridge between an add-on's page on another origin and the site around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jwt
import pytest
from flask import Flask, Response, request
from playwright.sync_api import Browser, FrameLocator, Page, expect

from addon import demo
from addon.sandbox.seed import seed_demo
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.servers import running

pytestmark = pytest.mark.e2e

SECRET = "a-shared-secret-of-more-than-32-bytes"
Shot = Callable[[Page, str], Path]

PAGE = """<!doctype html>
<html><head><title>Guest</title>
<script src="{bridge}" data-options="{options}"></script>
<style>body {{ background: var(--ds-surface, #ffff00); color: var(--ds-text, #ff0000); margin: 0 }}
#tall {{ height: 900px }}</style></head>
<body><h1 id="heading">Guest page</h1><div id="tall"></div><p id="end">The end</p></body></html>
"""


class Guest:
    """A tiny add-on on an origin of its own, installed in a site that a browser looks at."""

    def __init__(self, site: Site, server: SandboxServer, address: str) -> None:
        self.site = site
        self.server = server
        self.address = address
        descriptor = {
            "key": "guest",
            "name": "Guest",
            "baseUrl": address,
            "scopes": ["READ"],
            "modules": {
                "adminPages": [
                    {"key": "full", "name": {"value": "Guest full"}, "url": "/page?size=full"},
                    {"key": "auto", "name": {"value": "Guest auto"}, "url": "/page?size=auto"},
                    {"key": "mute", "name": {"value": "Guest mute"}, "url": "/mute"},
                ],
                "spaceToolsTabs": [
                    {
                        "key": "space",
                        "name": {"value": "Guest space"},
                        "location": "integrations",
                        "url": "/page?key={space.key}",
                    }
                ],
                "generalPages": [
                    {"key": "small", "name": {"value": "Guest dialog"}, "url": "/page", "location": "none"}
                ],
            },
        }
        site.register_addon("guest", "client-guest", SECRET, descriptor, address)

    def open(self, page: Page, key: str = "full") -> FrameLocator:
        """Open a page of the guest in the site; return its frame once the bridge has said hello."""
        page.goto(f"{self.server.url}/wiki/plugins/servlet/ac/guest/{key}")
        expect(page.locator(".ac-frame.is-loaded")).to_be_attached()
        return page.frame_locator("iframe.ac-iframe")


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    site = Site(VirtualClock())
    seed_demo(site)
    app = Flask("guest")

    with SandboxServer(site) as server:

        @app.get("/page")
        def page() -> str:
            full = request.args.get("size") == "full"
            options = "sizeToParent:true;margin:false" if full else "margin:true"
            return PAGE.format(bridge=f"{server.url}/sandbox/all.js", options=options)

        @app.get("/mute")
        def mute() -> Response:
            return Response("<p>No bridge here</p>", mimetype="text/html")

        with running(app) as address:
            yield Guest(site, server, address)


def evaluate(frame: FrameLocator, script: str) -> Any:
    return frame.locator("body").evaluate(f"async () => {{ {script} }}")


def test_a_page_on_another_origin_gets_fresh_context_tokens_for_the_person_looking(
    guest: Guest, browser_page: Page
) -> None:
    frame = guest.open(browser_page)
    token = evaluate(frame, "return await AP.context.getToken()")
    claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert (claims["qsh"], claims["sub"]) == ("context-qsh", "u-admin")
    by_callback = evaluate(frame, "return await new Promise((done) => AP.context.getToken(done))")
    assert by_callback.count(".") == 2
    with browser_page.expect_navigation():
        browser_page.locator("#whoami").select_option("u-ops-lead")
    frame = guest.open(browser_page)
    token = evaluate(frame, "return await AP.context.getToken()")
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == "u-ops-lead"


def test_a_space_page_knows_its_space_and_its_person(guest: Guest, browser_page: Page) -> None:
    browser_page.goto(f"{guest.server.url}/wiki/spaces/OPS/settings/integrations/space")
    frame = browser_page.frame_locator("iframe.ac-iframe")
    context = evaluate(frame, "return await AP.context.getContext()")
    assert context["confluence"]["space"] == {"key": "OPS", "id": guest.site.space("OPS").id}
    assert evaluate(frame, "return await AP.user.getTimeZone()") == "Europe/Stockholm"
    assert evaluate(frame, "return await AP.user.getLocale()") == "en"
    assert evaluate(frame, "return await AP.user.getCurrentUser()") == {"atlassianAccountId": "u-admin"}
    token = evaluate(frame, "return await AP.context.getToken()")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["context"]["confluence"]["space"]["key"] == "OPS"


def test_a_frame_grows_with_its_page_or_fills_the_window(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page, "auto")
    expect(frame.locator("#end")).to_be_visible()
    iframe = browser_page.locator("iframe.ac-iframe")
    expect(iframe).to_have_css("height", re.compile(r"^(9[5-9]\d|1\d{3})"))
    evaluate(frame, "document.getElementById('tall').style.height = '1500px'")
    expect(iframe).to_have_css("height", re.compile(r"^1[5-9]\d\d"))
    evaluate(frame, "AP.resize('100%', 400)")
    expect(iframe).to_have_css("height", "400px")
    guest.open(browser_page, "full")
    expect(browser_page.locator(".ac-frame")).to_have_class(re.compile(r"\bis-full\b"))
    box = iframe.bounding_box()
    assert box
    assert box["height"] >= 800
    assert evaluate(guest.open(browser_page, "full"), "return document.body.style.margin") == ""


def test_flags_show_text_only_act_and_close(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    evaluate(
        frame,
        """window.heard = [];
        AP.events.on('flag.action', (data) => window.heard.push(data.actionIdentifier));
        const flag = AP.flag.create({title: 'Done <b>now</b>', body: '38 changed', type: 'success',
                                     actions: {show: 'Show results'}});
        flag.on('close', () => window.heard.push('closed'));""",
    )
    flag = browser_page.locator(".flag")
    expect(flag).to_contain_text("Done <b>now</b>")
    expect(flag).to_have_attribute("role", "status")
    flag.get_by_role("button", name="Show results").click()
    flag.get_by_role("button", name="Dismiss").click()
    expect(flag).to_have_count(0)
    assert evaluate(frame, "await AP.user.getLocale(); return window.heard") == ["show", "closed"]


def test_a_dialog_is_a_page_of_the_add_on_with_data_both_ways(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    evaluate(
        frame,
        """window.answer = null;
        AP.dialog.create({key: 'small', size: 'small', header: 'Really?', submitText: 'Yes', customData: {n: 7}})
          .on('close', (data) => { window.answer = data; });""",
    )
    dialog = browser_page.locator("dialog.dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Really?")
    inner = dialog.frame_locator("iframe")
    expect(inner.locator("#heading")).to_be_visible()
    assert evaluate(inner, "return await AP.dialog.getCustomData()") == {"n": 7}
    evaluate(inner, "await AP.theming.initializeTheming()")
    assert evaluate(inner, "return document.documentElement.dataset.surface") == "overlay"
    evaluate(inner, "AP.dialog.close({sure: true})")
    expect(dialog).to_have_count(0)
    assert evaluate(frame, "await AP.user.getLocale(); return window.answer") == {"sure": True}


def test_a_dialog_hears_its_buttons_and_escape_closes_it(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    evaluate(frame, "AP.dialog.create({key: 'small', header: 'Really?', submitText: 'Yes'})")
    dialog = browser_page.locator("dialog.dialog")
    inner = dialog.frame_locator("iframe")
    evaluate(
        inner,
        """window.pressed = [];
        AP.dialog.disableCloseOnSubmit();
        AP.dialog.getButton('submit').bind(() => window.pressed.push('submit'));
        await AP.user.getLocale();""",
    )
    dialog.get_by_role("button", name="Yes").click()
    assert evaluate(inner, "await AP.user.getLocale(); return window.pressed") == ["submit"]
    evaluate(inner, "AP.dialog.getButton('submit').disable()")
    expect(dialog.get_by_role("button", name="Yes")).to_be_disabled()
    inner.locator("body").press("Escape")
    expect(dialog).to_have_count(0)


def test_theming_follows_the_switch_of_the_site(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    light = "rgb(255, 255, 255)"
    background = "return getComputedStyle(document.body).backgroundColor"
    evaluate(frame, "await AP.theming.initializeTheming()")
    assert evaluate(frame, "return document.documentElement.dataset.colorMode") == "light"
    assert evaluate(frame, background) == light
    browser_page.locator("#color-mode").click()
    expect(frame.locator("html")).to_have_attribute("data-color-mode", "dark")
    assert evaluate(frame, background) != light
    assert "dark:dark" in evaluate(frame, "return document.documentElement.dataset.theme")
    frame = guest.open(browser_page)
    evaluate(frame, "await AP.theming.initializeTheming()")
    assert evaluate(frame, "return document.documentElement.dataset.colorMode") == "dark"


def test_events_reach_every_frame_of_the_add_on_and_once_means_once(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    heard = evaluate(
        frame,
        """const heard = [];
        AP.events.on('ping', (a, b) => heard.push(['on', a, b]));
        AP.events.once('ping', (a) => heard.push(['once', a]));
        AP.events.emit('ping', 1, {x: 2});
        AP.events.emit('ping', 3);
        await AP.user.getLocale();
        return heard;""",
    )
    assert [entry[0] for entry in heard] == ["on", "once", "on"]
    assert heard[0] == ["on", 1, {"x": 2}]


def test_after_a_link_inside_the_frame_the_bridge_still_works(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    with browser_page.expect_event("framenavigated"):
        evaluate(frame, "location.href = '/page?size=full&second=1'")
    expect(frame.locator("#heading")).to_be_visible()
    token = evaluate(frame, "return await AP.context.getToken()")
    assert token.count(".") == 2
    assert evaluate(frame, "return location.search") == "?size=full&second=1"


def test_the_site_navigates_and_answers_only_its_own_frames(guest: Guest, browser_page: Page) -> None:
    frame = guest.open(browser_page)
    with pytest.raises(Exception, match="the sandbox does not offer"):
        evaluate(
            frame,
            """return await new Promise((done, fail) => {
                addEventListener('message', (e) => e.data.reply === 'x' && fail(new Error(e.data.error)));
                const query = new URLSearchParams(location.search);
                const message = {ap: 1, channel: query.get('xdm_c'), id: 'x', call: 'constructor', args: []};
                parent.postMessage(message, query.get('xdm_e'));
            })""",
        )
    silent = browser_page.evaluate(
        """async () => {
            const answered = new Promise((done) => addEventListener('message', (e) => e.data.reply && done(true)));
            window.postMessage({ap: 1, channel: 'x', id: 1, call: 'context.getToken', args: []}, location.origin);
            return Promise.race([answered, new Promise((done) => setTimeout(() => done(false), 300))]);
        }"""
    )
    assert silent is False
    evaluate(frame, "AP.navigator.go('spaceview', {spaceKey: 'OPS'})")
    browser_page.wait_for_url("**/wiki/spaces/OPS")


def test_outside_a_frame_the_bridge_is_there_without_a_context(guest: Guest, browser_page: Page) -> None:
    browser_page.goto(f"{guest.address}/page")
    assert browser_page.evaluate("typeof AP") == "object"
    assert browser_page.evaluate("typeof AP.context") == "undefined"


def test_a_page_that_never_says_hello_is_reported_by_the_site(guest: Guest, browser_page: Page) -> None:
    browser_page.clock.install()
    browser_page.goto(f"{guest.server.url}/wiki/plugins/servlet/ac/guest/mute")
    expect(browser_page.locator(".ac-wait")).to_be_visible()
    browser_page.clock.fast_forward(11_000)
    expect(browser_page.get_by_role("alert")).to_contain_text("not responding")


@pytest.fixture(scope="module")
def company() -> Iterator[demo.Demo]:
    with demo.running_demo() as running:
        running.switch_on(schedules=True)
        yield running


def run(page: Page, title: str) -> FrameLocator:
    """Start a job from the site's Jobs screen as a newcomer does; return the frame when it has ended."""
    frame = page.frame_locator("iframe.ac-iframe")
    frame.get_by_role("button", name=f"Start: {title}").click()
    frame.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(frame.get_by_role("region", name=title)).to_contain_text("SUCCESSFUL", timeout=60_000, ignore_case=True)
    return frame


def test_a_newcomer_refreshes_searches_mails_and_archives(
    company: demo.Demo, browser_page: Page, screenshot: Shot
) -> None:
    page, site = browser_page, company.site_url
    page.goto(f"{site}/wiki/home")
    screenshot(page, "site-home")
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_role("link", name="Content Steward")).to_have_attribute("aria-current", "page")
    run(page, "Refresh content statuses")
    screenshot(page, "jobs-refreshed")

    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_role("link", name='stewardStatus = "expired"').click()
    expect(page.get_by_role("status")).to_contain_text("found")
    screenshot(page, "search-expired")
    page.locator(".results .title").first.click()
    expect(page.locator(".byline [data-status=expired]")).to_have_text("Expired")
    screenshot(page, "page-expired")

    page.get_by_role("link", name="Settings", exact=True).click()
    run(page, "Send notifications")
    page.get_by_role("link", name="Inbox").click()
    expect(page.get_by_role("link", name="items to look at").first).to_be_visible()
    screenshot(page, "inbox")
    page.get_by_role("link", name="items to look at").first.click()
    mail = page.frame_locator("iframe.mail-frame")
    expect(mail.get_by_role("heading", name="items need a look")).to_be_visible()
    screenshot(page, "mail")

    page.get_by_role("link", name="Settings", exact=True).click()
    run(page, "Execute automations")
    screenshot(page, "jobs-archived")
    page.goto(f"{site}/wiki/search?cql=stewardStatus%20%3D%20%22expired%22&archived=1")
    page.locator(".results li", has_text="archived").first.locator(".title").click()
    expect(page.get_by_text("This page is archived")).to_be_visible()


def test_a_space_administrator_has_their_own_jobs_screen_and_no_other(
    company: demo.Demo, browser_page: Page, screenshot: Shot
) -> None:
    page, site = browser_page, company.site_url
    page.goto(f"{site}/wiki/home")
    with page.expect_navigation():
        page.locator("#whoami").select_option("u-ops-lead")
    expect(page.get_by_role("link", name="Settings", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Operations").click()
    page.get_by_role("link", name="Space settings").click()
    page.get_by_role("main").get_by_role("link", name="Content Steward").click()
    frame = page.frame_locator("iframe.ac-iframe")
    expect(frame.get_by_role("button", name="Start: Refresh content statuses")).to_be_enabled()
    screenshot(page, "space-jobs")
    page.goto(f"{site}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    expect(frame.get_by_role("button", name="Start: Refresh content statuses")).to_have_count(0)
    expect(frame.locator("body")).to_contain_text("administrator")


@pytest.mark.parametrize(("colours", "width"), [("light", 1280), ("dark", 640)])
def test_no_page_of_the_site_is_wider_than_its_window(
    company: demo.Demo, browser: Browser, colours: Literal["light", "dark"], width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=colours)
    page = context.new_page()
    with company.site.lock:
        restricted = next(content for content in company.site.contents() if content.title == "Signature matrix")
    for path in (
        "/wiki/home",
        "/wiki/spaces/ENG",
        f"/wiki/spaces/LEGAL/pages/{restricted.id}",
        "/wiki/search?cql=type%20%3D%20page",
        "/wiki/admin",
        "/wiki/people/u-ops-lead",
        "/wiki/spaces/OPS/settings",
        "/sandbox/inbox",
        "/sandbox/activity",
    ):
        page.goto(company.site_url + path)
        assert page.evaluate("document.documentElement.dataset.colorMode") == colours
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    context.close()
