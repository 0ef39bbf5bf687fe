"""One web process and two workers on one PostgreSQL: what a killed worker leaves, the other one ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from addon.base import SystemClock
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.support.fleet import Fleet, fleet_over, stamps
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually

EXPECTED = 48


@pytest.fixture
def fleet(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Fleet]:
    """A site of six spaces with 240 contents, every fifth of them old; a web process and two workers."""
    site = Site(SystemClock())
    seed_sized(site, spaces=6, pages=240)
    with fleet_over(site, postgres_server, tmp_path, workers=2) as running:
        yield running


def test_a_run_whose_worker_was_killed_is_ended_by_the_other_one_and_nothing_is_written_twice(fleet: Fleet) -> None:
    site = fleet.stack.site
    held = site.faults.add("hang", method="POST", path="/properties$", skip=20)
    started = fleet.start("refresh-statuses")
    assert held.reached.wait(30)
    killed = fleet.owner_of(started)
    killed.kill()
    killed.wait()
    site.faults.clear()
    assert 0 < len(stamps(site)) < EXPECTED

    ended = fleet.stack.ended(started, seconds=30)

    assert ended["status"] == "successful"
    assert ended["metrics"]["spacesProcessed"] == ended["metrics"]["spacesTotal"] == 6
    assert len(stamps(site)) == EXPECTED
    assert set(stamps(site).values()) == {1}
    assert fleet.events(started) == ["started", "claimed", "lease_lost", "claimed", "finalizing", "successful"]
    other = next(process for process in fleet.workers if process is not killed)
    assert other.poll() is None


def test_the_web_process_ticks_and_works_only_when_told_to(fleet: Fleet) -> None:
    for process in fleet.workers:
        assert fleet.end(process, signal.SIGTERM) == 0, fleet.log()
    started = fleet.start("refresh-statuses")
    web = fleet.stack.process
    assert web is not None
    eventually(lambda: fleet.stack.api("GET", "/api/jobs").ok)
    assert fleet.row(started).owner is None
    assert fleet.stack.stop() == 0
    assert fleet.row(started).status == "running"

    working = subprocess.Popen(
        [*fleet.stack.command, "serve", "--work", "--port", str(fleet.stack.port)],
        env=fleet.stack.environment(**fleet.settings),
        cwd=fleet.stack.folder,
    )
    fleet.workers.append(working)
    eventually(lambda: fleet.row(started).status == "successful", seconds=40)


def test_a_process_on_a_database_that_was_not_migrated_says_what_to_do(
    postgres_server: PostgresServer,
    tmp_path: Path,
) -> None:
    postgres_server.execute("CREATE DATABASE not_migrated")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("steward")), "worker"],
        env={
            "STEWARD_DATABASE_URL": postgres_server.url("not_migrated"),
            "STEWARD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Run: steward migrate" in done.stderr
