"""SQLite's file is locked by somebody else or cannot grow: the run waits, people are told, nothing is half done."""

# ruff: noqa: F811  (imported fixtures)

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from addon.base import Database, TenantId
from addon.engine import JobExecution
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.process import CLOCK, TTL, Process, run_processes, tenant  # noqa: F401  (fixtures)
from tests.support.servers import eventually
from tests.support.site import small_site

AWAY = "urn:content-steward:problem:database-unavailable"
HOLD = (
    "import sqlite3, sys\n"
    "connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n"
    "connection.execute('BEGIN IMMEDIATE'); print('held', flush=True)\n"
    "sys.stdin.readline(); connection.execute('ROLLBACK'); print('released', flush=True)"
)


class Holder:
    """Another process that holds the write lock, as a backup or somebody's shell does."""

    def __init__(self, db: Database) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(db.url.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._says("held")

    def release(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._says("released")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _says(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n"


@contextmanager
def locked(db: Database) -> Iterator[Holder]:
    holder = Holder(db)
    try:
        yield holder
    finally:
        holder.close()


@pytest.fixture
def pragmas() -> dict[str, int]:
    """What every connection of the house is told when it is taken from the pool; tests change it at any time."""
    return {"busy_timeout": 300}


def tell_connections(db: Database, pragmas: dict[str, int]) -> None:
    def tell(connection: Any, _record: Any, _proxy: Any) -> None:
        for name, value in list(pragmas.items()):
            connection.execute(f"PRAGMA {name}={value}")

    event.listen(db.engine, "checkout", tell)


@pytest.fixture
def house(tmp_path: Path, clock: VirtualClock, pragmas: dict[str, int]) -> Iterator[House]:
    """The add-on on a small site, which waits for SQLite's lock a third of a second only."""
    site: Site = small_site(clock)
    with house_over(site, clock, tmp_path) as house:
        tell_connections(house.parts.db, pragmas)
        yield house


def start(house: House) -> Any:
    return house.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"})


def put_policies(house: House) -> Any:
    """Store the policies once more, with another description: unchanged ones need no room."""
    now = house.api("GET", "/api/policies")
    policies = now.json()
    policies["statuses"][0]["description"] = f"Changed in version {policies['version']}."
    return house.api("PUT", "/api/policies", json=policies, headers={"If-Match": now.headers["ETag"]})


def claimed(house: House, execution_id: str) -> bool:
    with house.parts.db.read_all() as session:
        return session.get_one(JobExecution, execution_id).owner is not None


def test_a_start_while_the_database_is_locked_is_told_to_come_back(house: House) -> None:
    assert house.api("GET", "/api/executions").ok
    with locked(house.parts.db) as holder:
        refused = start(house)
        looked = house.api("GET", "/api/executions")
        holder.release()
    assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
    assert refused.json()["type"] == AWAY
    assert int(refused.headers["Retry-After"]) > 0
    assert (looked.status_code, looked.json()["items"]) == (200, [])
    assert start(house).status_code == 201


def test_a_start_waits_for_a_lock_that_is_held_for_a_moment(house: House, pragmas: dict[str, int]) -> None:
    pragmas["busy_timeout"] = 60_000
    with locked(house.parts.db) as holder:
        timer = threading.Timer(0.1, holder.release)
        timer.start()
        assert start(house).status_code == 201
        timer.join()


def test_a_lock_held_for_longer_than_a_lease_costs_time_and_nothing_else(
    database: Database,
    tenant: TenantId,
    run_processes: Callable[..., Process],
) -> None:
    worker = run_processes(Database(str(database.url), patience=0.4), ttl=TTL, calls_of_a_space=100_000)
    started = worker.start(tenant)
    eventually(lambda: len(worker.job.calls) > 5)
    with locked(database) as holder:
        since = CLOCK.monotonic()
        eventually(lambda: CLOCK.monotonic() > since + TTL + 0.5)
        # The heart could not beat: no call that changes something begins when the lease may be over.
        assert max(worker.job.calls) < since + TTL
        holder.release()
    worker.job.calls_of_a_space = 1
    eventually(lambda: worker.ended(started))
    row = worker.row(started)
    assert (row.spaces_done, row.spaces_failed, (row.metrics or {})["contentsChecked"]) == (3, 0, 3)


def test_a_full_disk_stops_a_refresh_half_way_and_room_lets_it_end_with_nothing_lost(
    house: House, pragmas: dict[str, int]
) -> None:
    db, site = house.parts.db, house.site
    for number in range(300):
        site.add_page("ENG", f"Old page {number}", created_at=house.clock.now() - timedelta(days=900))
    started = start(house).json()["id"]
    with db.read_all() as session:
        pages = session.scalar(sa.text("PRAGMA page_count"))
    pragmas["max_page_count"] = pages + 4
    working = threading.Thread(target=house.work)
    working.start()
    eventually(lambda: claimed(house, started))
    eventually(lambda: put_policies(house).json().get("type") == AWAY)
    looked = house.api("GET", f"/api/executions/{started}").json()
    assert (looked["status"], working.is_alive()) == ("running", True)
    with db.read_all() as session:
        assert session.scalar(sa.text("PRAGMA integrity_check")) == "ok"
    pragmas["max_page_count"] = 1_073_741_823
    working.join(60)
    execution = house.api("GET", f"/api/executions/{started}").json()
    assert execution["status"] == "successful"
    stamped = [content for content in site.contents() if "steward-status" in content.properties]
    assert execution["metrics"]["statusesChanged"] == len(stamped)
    assert {content.properties["steward-status"].version for content in stamped} == {1}
