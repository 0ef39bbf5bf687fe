"""TERM, INT, TERM twice and KILL, sent to a worker and to the web while a job is at work: rows and processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from addon.base import SystemClock
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.support.fleet import Fleet, fleet_over
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually

HANDED_OVER = ["started", "claimed", "handed_over", "claimed", "finalizing", "successful"]
LEASE_LOST = ["started", "claimed", "lease_lost", "claimed", "finalizing", "successful"]
LATENCY_MS = 400


@pytest.fixture(scope="module")
def fleet(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    site = Site(SystemClock())
    seed_sized(site, spaces=6, pages=60)
    with fleet_over(site, postgres_server, tmp_path_factory.mktemp("signals"), workers=2) as running:
        yield running


@pytest.fixture
def at_work(fleet: Fleet) -> Iterator[str]:
    """Two workers, one of them in the middle of a refresh whose calls take a while; the execution's id."""
    fleet.workers = [process for process in fleet.workers if process.poll() is None]
    while len(fleet.workers) < 2:
        fleet.add_worker()
    if fleet.stack.process is None:
        fleet.stack.start(**fleet.settings)
    fleet.stack.site.latency_ms = LATENCY_MS
    started = fleet.start("refresh-statuses")
    eventually(lambda: fleet.row(started).calls > 0, seconds=30)
    yield started
    fleet.stack.site.latency_ms = 0


def test_term_hands_the_run_over_and_the_other_worker_goes_on_at_once(fleet: Fleet, at_work: str) -> None:
    owner = fleet.owner_of(at_work)
    assert fleet.end(owner, signal.SIGTERM) == 0
    assert "handed_over" in fleet.events(at_work)
    eventually(lambda: fleet.row(at_work).status == "successful", seconds=40)
    assert fleet.events(at_work) == HANDED_OVER


def test_int_is_the_same_as_term(fleet: Fleet, at_work: str) -> None:
    assert fleet.end(fleet.owner_of(at_work), signal.SIGINT) == 0
    eventually(lambda: fleet.row(at_work).status == "successful", seconds=40)
    assert fleet.events(at_work) == HANDED_OVER


def test_a_second_term_ends_the_process_at_once_and_the_lease_does_the_rest(fleet: Fleet, at_work: str) -> None:
    hanging = fleet.stack.site.faults.add("hang", seconds=6)
    assert hanging.reached.wait(10)
    owner = fleet.owner_of(at_work)
    owner.send_signal(signal.SIGTERM)
    eventually(lambda: fleet.draining(owner.pid))
    assert owner.poll() is None
    assert fleet.end(owner, signal.SIGTERM, seconds=5) == -signal.SIGTERM
    fleet.stack.site.faults.clear()
    fleet.stack.site.latency_ms = 0
    assert fleet.row(at_work).status == "running"
    eventually(lambda: fleet.row(at_work).status == "successful", seconds=40)
    assert fleet.events(at_work) == LEASE_LOST


def test_kill_leaves_the_run_to_its_lease(fleet: Fleet, at_work: str) -> None:
    assert fleet.end(fleet.owner_of(at_work), signal.SIGKILL) == -signal.SIGKILL
    row = fleet.row(at_work)
    assert (row.status, row.owner is not None) == ("running", True)
    eventually(lambda: fleet.row(at_work).status == "successful", seconds=40)
    assert fleet.events(at_work) == LEASE_LOST


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_webs_end_does_not_touch_a_run(fleet: Fleet, at_work: str, number: signal.Signals) -> None:
    web = fleet.stack.process
    assert web is not None
    assert fleet.end(web, number) == (-number if number == signal.SIGKILL else 0)
    fleet.stack.process = None
    assert fleet.row(at_work).status in ("running", "finalizing", "successful")
    eventually(lambda: fleet.row(at_work).status == "successful", seconds=40)
    assert fleet.events(at_work) == ["started", "claimed", "finalizing", "successful"]
    assert all(process.poll() is None for process in fleet.workers)
