"""The cost of an open screen in points of the site's hour, its polling played with a clock that the test turns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from addon.sandbox.access import ADMIN_ROLE, MEMBER_ROLE
from addon.sandbox.site import ADMIN, Site
from addon.screens.assets import STATIC
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.site import small_site

BUDGET = 2_500
"""Points an hour and tenant for an open space screen (docs/rules/quota.md 4.4)."""
HOUR = timedelta(hours=1)
SCREEN = "u-gus"
"""Administers DOCS through a group, which is the dearest way to find out."""


def _pause(name: str) -> timedelta:
    found = re.search(rf"^const {name} = (\d+);$", (STATIC / "poll.js").read_text(), re.MULTILINE)
    assert found, f"poll.js names no {name}"
    return timedelta(milliseconds=int(found[1]))


def many_permissions(site: Site, rows: int) -> None:
    """Fill DOCS with permission rows of people and groups that administer nothing, and a group that does."""
    docs = site.space("DOCS")
    for number in range(rows // 2):
        site.add_user(f"u-reader-{number}", f"Reader {number}")
        site.access.grant(docs.id, "user", f"u-reader-{number}", "read", "space")
        site.access.grant(docs.id, "group", f"g-readers-{number}", "read", "space")
    groups = tuple(f"g-of-gus-{number}" for number in range(30))
    site.add_user(SCREEN, "Gus Groupadmin", groups=groups)
    site.access.grant(docs.id, "group", groups[-1], "administer", "space")


class Screen:
    """An open Jobs screen of a space, as jobs.js plays it: quick looks while something runs, slow ones when idle."""

    def __init__(self, house: House, account: str, space_key: str) -> None:
        self._house, self._account, self._space_key = house, account, space_key
        self._revision: str | None = None
        self._before: str | None = None
        self.looks = 0

    def look(self) -> timedelta:
        """One round of polling; return the pause until the next."""
        self.looks += 1
        jobs = self._get("/api/jobs")
        current = jobs["current"]
        now = current["id"] if current else None
        gone = self._before is not None and now != self._before
        if gone and not current:
            self._get(f"/api/executions/{self._before}", missing=True)
        if self._revision != jobs["revision"]:
            self._get("/api/executions", limit=6)
            self._revision = jobs["revision"]
        self._before = now
        return _pause("RUNNING") if current else _pause("IDLE")

    def _get(self, path: str, *, missing: bool = False, **query: int) -> dict[str, Any]:
        params = {"spaceKey": self._space_key, **query}
        answer = self._house.api("GET", path, account=self._account, params=params)
        assert answer.ok or (missing and answer.status_code == 404), answer.text
        found: dict[str, Any] = answer.json()
        return found


def _hour(house: House, *screens: Screen, running: tuple[timedelta, timedelta]) -> int:
    """Leave the screens open for an hour in which a run is active between the two times; return the points used."""
    site, clock = house.site, house.clock
    opened = clock.now()
    due = dict.fromkeys(screens, opened)
    execution: str | None = None
    ended = False
    while (moment := min(due.values())) < opened + HOUR:
        since = moment - opened
        if execution is None and since >= running[0]:
            execution = _start(house)
        if execution is not None and not ended and since >= running[1]:
            _cancel(house, execution)
            ended = True
        clock.set(max(moment, clock.now()))
        screen = next(each for each, at in due.items() if at == moment)
        due[screen] = moment + screen.look()
    assert ended
    points: int = site.meter.points
    return points


def _start(house: House) -> str:
    started = house.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"})
    assert started.status_code == 201, started.text
    return str(started.json()["id"])


def _cancel(house: House, execution: str) -> None:
    assert house.api("POST", f"/api/executions/{execution}/cancel").status_code == 202


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = VirtualClock()
    site = small_site(clock)
    many_permissions(site, 400)
    with house_over(site, clock, tmp_path) as made:
        site.meter.reset()
        page = requests.get(site.host.page_url(SCREEN, "space-jobs", space_key="DOCS"), timeout=10)
        assert page.status_code == 200
        yield made


@pytest.mark.parametrize("mode", ["PRE_ROLES", "ROLES"])
def test_a_space_screen_left_open_for_an_hour_stays_within_its_points(house: House, mode: str) -> None:
    """For ten of its minutes a run over the site is active. The grant is the last of 426 rows, for one of 31 groups."""
    house.site.access.role_mode = mode  # type: ignore[assignment]
    if mode != "PRE_ROLES":
        docs = house.site.space("DOCS").id
        for number in range(200):
            house.site.access.assign_role(docs, "USER", f"u-reader-{number}", MEMBER_ROLE)
        house.site.access.assign_role(docs, "GROUP", "g-of-gus-29", ADMIN_ROLE)
    screen = Screen(house, SCREEN, "DOCS")
    points = _hour(house, screen, running=(timedelta(minutes=10), timedelta(minutes=20)))
    use = house.site.meter.usage()["byEndpoint"]
    told = f"{mode}: {points} points in {screen.looks} looks: {use}"
    assert screen.looks > 400, told
    assert 0 < points <= BUDGET, told


def test_two_people_with_their_screens_open_stay_within_it_too(house: House) -> None:
    screens = (Screen(house, SCREEN, "DOCS"), Screen(house, ADMIN, "DOCS"))
    points = _hour(house, *screens, running=(timedelta(minutes=50), timedelta(minutes=52)))
    assert points <= BUDGET, f"{points} points: {house.site.meter.usage()['byEndpoint']}"
