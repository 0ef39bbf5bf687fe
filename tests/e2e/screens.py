"""Every screen of the add-on with something on it, for what has to hold on all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from playwright.sync_api import Frame, Page, expect

from addon.base import SystemClock
from addon.sandbox import Site
from addon.sandbox.seed import seed_demo
from addon.sandbox.ui import bylines
from tests.e2e.stack import ADMIN, Stack
from tests.support.servers import eventually

LONG_NAME = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft and its friends"
LONG_WORD = "x" * 180
POLICIES = ("", "/statuses", "/schemes/freshness", "/spaces", "/rules", "/document")


def wordy_site() -> Site:
    """The demo's site with names and titles that no column has room for."""
    site = Site(SystemClock())
    seed_demo(site)
    with site.lock:
        space = site.add_space("LONG" + "G" * 60, LONG_NAME)
        ages = next(each for each in site.contents() if each.title == "Signature matrix")
        for number in range(3):
            site.add_page(space.key, f"{LONG_WORD} {number}", created_at=ages.created_at, updated_at=space.created_at)
        site.space("ENG").name = LONG_NAME
    return site


def lived_in(stack: Stack) -> dict[str, str]:
    """Run every kind of job, well and badly; return the ids of executions worth looking at, by name."""
    stack.site.faults.add(status=403, space="HR", path="search")
    failed = stack.run("refresh-statuses")
    stack.site.faults.clear()
    stack.run("refresh-statuses")
    archives_long_titles(stack)
    archived = stack.run("execute-automations")
    missed_slots(stack)
    return {"failed": failed["id"], "archived": archived["id"]}


def archives_long_titles(stack: Stack) -> None:
    """Let the first automation find the pages with long titles, and rows of every kind be in the policies."""
    policies = stack.api("GET", "/api/policies").json()
    automation = policies["automationSchemes"][0]["automations"][0]
    automation |= {"enabled": True, "cql": f'type = page and title ~ "{LONG_WORD}"', "name": LONG_NAME}
    schemes = {
        f"{kind}Scheme": policies[f"{kind}Schemes"][0]["id"] for kind in ("status", "notification", "automation")
    }
    policies["assignments"] = [
        {"space": selector, **schemes}
        for selector in ({"key": "ENG"}, {"type": "global"}, {"label": LONG_WORD}, {"keyPattern": "E*"})
    ]
    policies["statuses"][1]["name"] = LONG_NAME
    policies["indicator"] = {"on": True, "spaces": []}
    put = stack.api("PUT", "/api/policies", json=policies, headers={"If-Match": f'"{policies["version"]}"'})
    assert put.ok, put.text


def missed_slots(stack: Stack) -> None:
    """Let the refresh have been due for twenty days, and wait for the run that this starts."""
    with closing(sqlite3.connect(stack.folder / "steward.sqlite3")) as database, database:
        database.execute(
            "UPDATE job_schedule SET next_fire_at = strftime('%Y-%m-%d %H:%M:%f000', next_fire_at, '-20 days') "
            "WHERE job_type = 'refresh-statuses'"
        )
    run = eventually(
        lambda: next(iter(stack.api("GET", "/api/executions?trigger=scheduled").json()["items"]), None), seconds=30
    )
    stack.ended(run["id"])


def opened(stack: Stack, page: Page) -> Frame:
    """Open the site's Jobs screen; return the add-on's own frame."""
    page.goto(f"{stack.server.url}/wiki/plugins/servlet/ac/content-steward/site-jobs")
    expect(page.frame_locator("iframe.ac-iframe").get_by_role("heading", name="Start a job")).to_be_visible()
    return page.frames[1]


def opened_in_space(stack: Stack, page: Page, key: str) -> Frame:
    """Open a space's Jobs screen; return the add-on's own frame."""
    page.goto(f"{stack.server.url}/wiki/spaces/{key}/settings/integrations/space-jobs")
    expect(page.frame_locator("iframe.ac-iframe").get_by_role("heading", name="Start a job")).to_be_visible()
    return page.frames[1]


def every_screen(stack: Stack, page: Page, executions: dict[str, str]) -> Iterator[tuple[str, Frame]]:
    """Yield every screen by name, each with its content there, and its dialogs."""
    frame = opened(stack, page)
    addresses = {
        "jobs": "/jobs",
        "audit log": "/audit-log",
        "audit log, nothing found": "/audit-log?status=cancelled",
        **{f"execution, {name}": f"/executions/{each}" for name, each in executions.items()},
        "unknown execution": "/executions/nothing",
        "overview": "/overview",
        **{f"policies{each}": f"/policies{each}" for each in POLICIES},
    }
    for name, address in addresses.items():
        yield name, turned_to(frame, address)
    for name, address, opener in (
        ("dialog of a job", "/jobs", "Start: Execute automations"),
        ("dialog of the hold", "/jobs", "Hold all schedules…"),
        ("dialog of a status", "/policies/statuses", "Edit Expired"),
        ("dialog that refuses", "/policies/statuses", "Delete Expired"),
    ):
        turned_to(frame, address).get_by_role("button", name=opener).click()
        expect(frame.get_by_role("dialog")).to_be_visible()
        yield name, frame
        page.keyboard.press("Escape")
    frame = opened_in_space(stack, page, "ENG")
    for address in ("/jobs", "/audit-log", "/overview"):
        yield f"space {address}", turned_to(frame, address)
    yield "a job at work", at_work(stack, page)
    yield "byline", opened_byline(stack, page, "Signature matrix")
    yield "byline of what the app cannot read", opened_byline(stack, page, "Restoring from a backup", hidden=True)
    page.goto(f"{stack.base_url}/jobs")
    yield "page of a problem", page.main_frame


def at_work(stack: Stack, page: Page) -> Frame:
    """Open the site's Jobs while a job is at work, which ends soon after."""
    stack.site.latency_ms = 600
    started = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
    frame = opened(stack, page)
    expect(frame.locator(".panel-running")).to_be_visible()
    stack.site.latency_ms = 0
    stack.ended(started["id"])
    return frame


def opened_byline(stack: Stack, page: Page, title: str, *, hidden: bool = False) -> Frame:
    """Open the dialog behind the byline of a page, which the app cannot read when `hidden`."""
    with stack.site.lock:
        content = next(each for each in stack.site.contents() if each.title == title)
        if hidden:
            stack.site.restrict(content.id, users=[ADMIN])
    eventually(lambda: bylines.items(stack.site, content), seconds=20)
    page.goto(f"{stack.server.url}/wiki/spaces/{stack.site.space_by_id(content.space_id).key}/pages/{content.id}")
    page.locator(".byline-item").click()
    expect(page.frame_locator("dialog iframe.ac-iframe").get_by_role("heading", level=1)).to_be_visible()
    return page.frames[-1]


def turned_to(frame: Frame, address: str) -> Frame:
    """Go to a screen and wait until it has all it shows."""
    frame.evaluate("address => { location.hash = `#${address}`; }", address)
    expect(frame.locator("main")).not_to_have_attribute("aria-busy", "true")
    expect(frame.locator(".skeleton")).to_have_count(0)
    expect(frame.locator("[aria-busy=true]")).to_have_count(0)
    return frame
