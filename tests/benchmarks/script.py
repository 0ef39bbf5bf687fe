"""The usual script, as a baseline: it lists every content, reads its status property and writes what differs.

No worse than it has to be: lists of 250, one session, properties read by key, nothing written that is right already,
personal spaces left out. It asks a pretend site over HTTP like the add-on, and the site counts its points.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import requests

from addon.base import Clock
from addon.sandbox.seed import seed_sized
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.benchmarks.changes import change_some
from tests.benchmarks.model import DEFAULT, FRESHNESS, STAMP, compare
from tests.benchmarks.profile import Profile
from tests.support.clock import VirtualClock
from tests.support.site import ADDON_KEY, CLIENT_KEY, DESCRIPTOR, SECRET, SandboxAuth

V2 = "/wiki/api/v2"


class UsualScript:
    """The script on one site."""

    def __init__(self, site: Site) -> None:
        self._origin = site.origin
        self._clock: Clock = site.clock
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = SandboxAuth(site.clock)

    def run(self) -> None:
        """Give every content of every shared space its status."""
        for space in self._list(f"{V2}/spaces?limit=250"):
            if space["type"] == "personal":
                continue
            for kind in ("pages", "blogposts"):
                for content in self._list(f"{V2}/spaces/{space['id']}/{kind}?limit=250&status=current"):
                    self._content(f"{V2}/{kind}/{content['id']}/properties", content)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _content(self, address: str, content: dict[str, Any]) -> None:
        found = self._call("GET", f"{address}?key={STAMP}")["results"]
        age = self._clock.now() - datetime.fromisoformat(content["version"]["createdAt"])
        wanted = DEFAULT
        if age > timedelta(days=365):
            wanted = "expired" if age > timedelta(days=730) else "not-updated"
        if (found[0]["value"]["id"] if found else DEFAULT) == wanted:
            return
        value = {"key": STAMP, "value": {"id": wanted}}
        if found:
            value["version"] = {"number": found[0]["version"]["number"] + 1}
            self._call("PUT", f"{address}/{found[0]['id']}", value)
        else:
            self._call("POST", address, value)

    def _list(self, path: str | None) -> Iterator[dict[str, Any]]:
        while path is not None:
            page = self._call("GET", path)
            yield from page["results"]
            path = page["_links"].get("next")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._session.request(method, self._origin + path, json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def usual_points(profile: Profile) -> dict[str, float]:
    """Measure the script; return its points per item, first run, idle run and one with 1 % changed.

    Of the site with personal spaces: the points per item of that whole site, idle.
    """
    contents, spaces = profile.usual
    total, common, personal = profile.crowd
    per = {case: points / contents for case, points in _measured(contents, spaces).items()}
    small = -(-personal // 30)
    crowd = _measured(total // 30, max(1, common // 30), small)
    return per | {"crowd": crowd["idle"] / (total // 30)}


def _measured(contents: int, spaces: int, personal: int = 0) -> dict[str, int]:
    clock = VirtualClock()
    site = Site(clock, quota_points=10**9)
    site.register_addon(ADDON_KEY, CLIENT_KEY, SECRET, DESCRIPTOR)
    seed_sized(site, spaces=spaces + personal, pages=contents, personal=personal)
    points: dict[str, int] = {}
    with SandboxServer(site):
        script = UsualScript(site)
        for case in ("first", "idle", "changed"):
            if case == "changed":
                change_some(site, max(1, contents // 100))
            site.meter.reset()
            script.run()
            points[case] = site.meter.points
            compare(site, FRESHNESS, f"the usual script, {case}")
        script.close()
    return points
