"""A site of any size with the add-on on it: the cost of one run, and whether everything is right after it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from addon.jobs.models import ContentStamp
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks.model import FRESHNESS, Scheme, Wrong, compare, shared
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over

JOB = "refresh-statuses"
QUOTA = 50_000_000
"""Points an hour that no run comes near: a bench counts what a run costs, it does not wait for the next hour."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run: contents whose status changed, what it cost, and how long it took by the wall clock."""

    changed: int
    points: int
    calls: int
    seconds: float


class World:
    """The pretend site, the add-on on it in this process, and the scheme that is in force."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.site = house.site
        self.scheme: Scheme = FRESHNESS
        self.read_only: Collection[str] = ()

    def refresh(self, case: str, *, later: timedelta = timedelta(hours=1)) -> Ran:
        """Run a refresh of the whole site, `later` than what was before, and look at every content afterwards.

        Raises Wrong when it did not end successful, when the add-on counted other points or calls than the site, when
        a status differs from the plain model's or the run's own numbers from what is on the site.
        """
        house, meter = self.house, self.site.meter
        house.clock.advance(later)
        started = house.api("POST", "/api/executions", json={"job": JOB, "scope": "site"})
        if started.status_code != 201:
            raise Wrong(f"{case}: was not started: {started.text}")
        # What the start itself asked, who the person is, is on the site's bill and on no execution's.
        meter.reset()
        began = time.monotonic()
        house.work()
        seconds = time.monotonic() - began
        counted = (meter.points, meter.calls)
        execution = house.api("GET", f"/api/executions/{started.json()['id']}").json()
        metrics: dict[str, Any] = execution["metrics"]
        if execution["status"] != "successful":
            spaces = house.api("GET", f"/api/executions/{execution['id']}/spaces").json()
            reasons = {entry.get("reason") for entry in spaces["items"]}
            raise Wrong(f"{case}: ended {execution['status']}: {reasons}")
        if counted != (metrics["points"], metrics["calls"]):
            own = (metrics["points"], metrics["calls"])
            raise Wrong(f"{case}: the site counted {counted} points and calls, the add-on {own}")
        self._compare(case, metrics)
        return Ran(metrics["statusesChanged"], *counted, round(seconds, 1))

    def _compare(self, case: str, metrics: dict[str, Any]) -> None:
        with self.house.parts.db.read_all() as session:
            rows = session.execute(sa.select(ContentStamp.content_id, ContentStamp.slug))
            ledger = {content_id: slug for content_id, slug in rows}  # noqa: C416  (rows are no pairs to dict)
        counts = compare(self.site, self.scheme, case, ledger=ledger, read_only=self.read_only)
        if metrics["contentsChecked"] != counts.total():
            raise Wrong(f"{case}: {metrics['contentsChecked']} contents checked, there are {counts.total()}")
        shown = {slug: number for slug, number in metrics["statusCounts"].items() if number}
        if shown != dict(counts):
            raise Wrong(f"{case}: the run counted {shown}, there are {dict(counts)}")

    def contents(self) -> list[str]:
        """Return the ids of all contents in shared spaces, in the order they were made."""
        with self.site.lock:
            return [content.id for content in shared(self.site)]

    def change_policies(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Load the policies, change them in place and store them, as an administrator does."""
        loaded = self.house.api("GET", "/api/policies")
        document = loaded.json()
        change(document)
        stored = self.house.api("PUT", "/api/policies", json=document, headers={"If-Match": loaded.headers["ETag"]})
        if not stored.ok:
            raise Wrong(f"the policies were not stored: {stored.text}")


@contextmanager
def world_of(contents: int, spaces: int, *, personal: int = 0) -> Iterator[World]:
    """Make a site of equal spaces, `personal` more of them personal ones, and install the add-on on it."""
    clock = VirtualClock()
    site = Site(clock, quota_points=QUOTA)
    seed_sized(site, spaces=spaces + personal, pages=contents, personal=personal)
    with (
        tempfile.TemporaryDirectory() as folder,
        house_over(site, clock, Path(folder), quota_points=QUOTA) as house,
    ):
        yield World(house)
