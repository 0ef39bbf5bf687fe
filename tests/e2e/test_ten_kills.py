"""Ten kills spread over one run of sixty spaces: it ends successful, every status is right, nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from addon.base import SystemClock
from addon.sandbox.faults import Fault
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks.model import DEFAULT, FRESHNESS, plain_status, shared
from tests.e2e.stack import Stack, stack_over
from tests.support.fleet import fleet_over, stamps
from tests.support.postgres import PostgresServer

SPACES, PAGES, KILLS, CALL_THREADS = 60, 900, 10, 8
STAMP = "steward-status"


def expected(site: Site) -> dict[str, str]:
    """Return the status of every content that is to be stamped, by the plain model."""
    with site.lock:
        statuses = {content.id: plain_status(site, content, FRESHNESS) for content in shared(site)}
    return {content: status for content, status in statuses.items() if status != DEFAULT}


def written(site: Site) -> dict[str, str]:
    """Return the status that every stamped content carries."""
    with site.lock:
        return {
            content.id: str(content.properties[STAMP].value["id"])
            for content in site.contents()
            if STAMP in content.properties
        }


@dataclass
class House:
    """The add-on over a site; `kill` ends the process that runs an execution, `replace` starts another."""

    stack: Stack
    kill: Callable[[str], None]
    replace: Callable[[], object]


@contextmanager
def on_sqlite(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    with stack_over(site, tmp_path) as stack:
        yield House(stack, lambda _execution: stack.kill(), stack.start)


@contextmanager
def on_postgresql(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with fleet_over(site, server, tmp_path, workers=2, STEWARD_LEASE_SECONDS="12") as fleet:

        def kill(execution: str) -> None:
            worker = fleet.owner_of(execution)
            worker.kill()
            worker.wait()

        yield House(fleet.stack, kill, fleet.add_worker)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("house_over", [on_sqlite, pytest.param(on_postgresql, marks=pytest.mark.long)])
def test_ten_kills_spread_over_a_run_of_sixty_spaces_end_it_successful(
    house_over: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    site = Site(SystemClock(), quota_points=10_000_000)
    seed_sized(site, spaces=SPACES, pages=PAGES)
    right = expected(site)
    # The calls that hang at a kill come to their end at the site later.
    between = len(right) // (KILLS + 1) - CALL_THREADS

    def hold() -> Fault:
        return site.faults.add("hang", method="POST", path="/properties$", skip=between)

    with house_over(site, tmp_path, request) as house:
        held = hold()
        started = house.stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
        for number in range(KILLS):
            assert held.reached.wait(60), f"kill {number}"
            house.kill(started["id"])
            site.faults.clear()
            # Before any other process continues, so that no more than a share of the run passes between two kills.
            held = hold()
            house.replace()
        site.faults.clear()
        ended = house.stack.ended(started["id"], seconds=120)
        failed = house.stack.api("GET", f"/api/executions/{started['id']}/spaces", params={"status": "failed"}).json()
        assert ended["status"] == "successful", (failed, ended["error"])
        metrics = ended["metrics"]
        assert (metrics["spacesProcessed"], metrics["spacesFailed"], metrics["spacesTotal"]) == (SPACES, 0, SPACES)
        assert written(site) == right, "every status is right"
        assert set(stamps(site).values()) == {1}, "nothing is written twice"
        assert sum(metrics["statusCounts"].values()) == metrics["contentsChecked"] == PAGES, "nothing counts twice"
