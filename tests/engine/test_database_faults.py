"""The database dies, hangs, locks or fills up under a running engine: nothing is lost, doubled, or stuck for ever."""

# ruff: noqa: F811  (imported fixtures)

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId
from addon.engine import JobExecution, Run, RunSpace
from addon.engine.lease.lease import OUTAGE_REASON, OUTAGES_AT_ONCE
from tests.support.fakejob import spaces
from tests.support.process import TTL, Process, run_processes, tenant  # noqa: F401  (fixtures)
from tests.support.proxy import Proxy, proxy_before
from tests.support.servers import eventually


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    assert database.url.port is not None
    with proxy_before(database.url.port) as proxy:
        yield proxy


@pytest.fixture
def reach(database: Database, proxy: Proxy) -> Iterator[Callable[[float], Database]]:
    """A function that returns the same database reached through the proxy; it waits so many seconds for an answer."""
    url = database.url.set(port=proxy.port).render_as_string(hide_password=False)
    made: list[Database] = []

    def reached(patience: float) -> Database:
        made.append(Database(url, pool_size=8, patience=patience))
        return made[-1]

    yield reached
    for db in made:
        db.dispose()


@pytest.fixture
def behind_proxy(reach: Callable[[float], Database]) -> Database:
    """The same database, reached through the proxy by a process that waits a few seconds for an answer."""
    return reach(TTL)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_worker_that_hears_nothing_of_the_database_stops_by_itself_and_another_takes_over(
    database: Database,
    behind_proxy: Database,
    proxy: Proxy,
    tenant: TenantId,
    run_processes: Callable[..., Process],
) -> None:
    cut_off = run_processes(behind_proxy, ttl=TTL, calls_of_a_space=100_000)
    started = cut_off.start(tenant)
    eventually(lambda: len(cut_off.job.calls) > 5)
    assert proxy.swallow(new=True) > 0
    other = run_processes(database)
    eventually(lambda: other.ended(started))
    assert max(cut_off.job.calls) < min(other.job.calls)
    assert other.events(started) == ["started", "claimed", "lease_lost", "claimed", "finalizing", "successful"]
    assert other.row(started).spaces_done == 3
    proxy.heal()
    # It hung no longer than its patience, and is a worker like any other again.
    eventually(lambda: cut_off.engine.active_runs() == 0)
    other.stop()
    cut_off.job.calls_of_a_space = 1
    again = cut_off.start(tenant)
    eventually(lambda: cut_off.ended(again))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_half_open_connections_are_given_up_and_the_run_goes_on_over_new_ones(
    reach: Callable[[float], Database], proxy: Proxy, tenant: TenantId, run_processes: Callable[..., Process]
) -> None:
    worker = run_processes(reach(1.5))
    swallowed: list[int] = []

    def swallow_in_the_middle(run: Run, space: RunSpace) -> dict[str, Any]:
        with run.read() as session:
            session.execute(sa.select(1))
            if not swallowed:
                swallowed.append(proxy.swallow())
            session.execute(sa.select(1))
        return {"contentsChecked": 1}

    worker.job.call = swallow_in_the_middle
    started = worker.start(tenant)
    eventually(lambda: worker.ended(started))
    assert swallowed[0] > 0
    assert worker.events(started)[:4] == ["started", "claimed", "handed_over", "claimed"]
    assert (worker.row(started).lease_losses, worker.row(started).spaces_done) == (0, 3)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_run_that_loses_its_connection_is_given_back_at_once_and_no_space_is_to_blame(
    behind_proxy: Database, proxy: Proxy, tenant: TenantId, run_processes: Callable[..., Process]
) -> None:
    worker = run_processes(behind_proxy)
    cuts: list[str] = []

    def cut_in_the_middle(run: Run, space: RunSpace) -> dict[str, Any]:
        with run.read() as session:
            session.execute(sa.select(1))
            if len(cuts) < 3:
                cuts.append(space.key)
                proxy.cut()
            session.execute(sa.select(1))
        return {"contentsChecked": 1}

    worker.job.call = cut_in_the_middle
    started = worker.start(tenant)
    eventually(lambda: worker.ended(started))
    assert cuts == ["A", "A", "A"]
    assert worker.events(started) == ["started", *["claimed", "handed_over"] * 3, "claimed", "finalizing", "successful"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_run_that_waits_in_vain_for_a_locked_row_is_given_back_and_no_space_is_to_blame(
    behind_proxy: Database,
    database: Database,
    tenant: TenantId,
    run_processes: Callable[..., Process],
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = run_processes(behind_proxy)
    locks = threading.Event()

    def somebody_locks_the_row(run: Run, space: RunSpace) -> dict[str, Any]:
        if not locks.is_set():
            locks.set()
            locked.wait(60)
        return {}

    locked = threading.Event()
    worker.job.call = somebody_locks_the_row
    started = worker.start(tenant)
    assert locks.wait(60)
    with database.write_all() as session:
        session.execute(sa.select(JobExecution).where(JobExecution.id == started).with_for_update())
        locked.set()
        eventually(lambda: "the database failed while running" in caplog.text)
    eventually(lambda: worker.ended(started))
    assert worker.events(started) == ["started", "claimed", "handed_over", "claimed", "finalizing", "successful"]
    assert (worker.row(started).lease_losses, worker.row(started).spaces_done) == (0, 3)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_run_that_loses_its_connection_again_and_again_waits_longer_and_goes_on_by_itself(
    behind_proxy: Database, proxy: Proxy, tenant: TenantId, run_processes: Callable[..., Process]
) -> None:
    worker = run_processes(behind_proxy)
    cuts = 0

    def cut_seven_times(run: Run, space: RunSpace) -> dict[str, Any]:
        nonlocal cuts
        with run.read() as session:
            session.execute(sa.select(1))
            if cuts < OUTAGES_AT_ONCE + 2:
                cuts += 1
                proxy.cut()
            session.execute(sa.select(1))
        return {}

    worker.job.call = cut_seven_times
    started = worker.start(tenant)
    for number in (1, 2):
        eventually(lambda number=number: len(worker.waits(started)) == number)  # type: ignore[misc]
        assert worker.row(started).pause_reason == OUTAGE_REASON
        worker.wait_no_longer(started)
    eventually(lambda: worker.ended(started))
    events = worker.events(started)
    first, second = worker.waits(started)
    assert second > 1.5 * first > 0
    assert (events.count("handed_over"), events.count("paused")) == (OUTAGES_AT_ONCE, 2)
    assert (worker.row(started).lease_losses, worker.row(started).spaces_done) == (0, 3)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_connections_that_are_cut_at_any_moment_cost_time_and_nothing_else(
    behind_proxy: Database, proxy: Proxy, tenant: TenantId, run_processes: Callable[..., Process]
) -> None:
    chance, waiting = random.Random(4), threading.Event()
    # Who is cut off while it claims does not know that it owns the run: that lease has to end.
    worker = run_processes(behind_proxy, ttl=TTL, calls_of_a_space=2, pace=0.005)
    worker.job.listing = lambda run: spaces(*(f"S{number}" for number in range(40)))
    started = worker.start(tenant)
    for _ in range(30):
        waiting.wait(chance.uniform(0.02, 0.1))
        proxy.cut()

    def ended() -> bool:
        worker.wait_no_longer(started)
        return worker.ended(started)

    eventually(ended)
    row = worker.row(started)
    assert (row.spaces_done, row.spaces_failed, (row.metrics or {})["contentsChecked"]) == (40, 0, 40)
