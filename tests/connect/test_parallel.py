"""Lifecycle calls of one site at the same instant: one tenant, and the newest call wins, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import responses

from addon.base import Database
from tests.connect.conftest import Host, make_host_on
from tests.support.clock import VirtualClock
from tests.support.connect import SECRET, install_claims, page_token


@pytest.fixture(params=["sqlite", "postgresql"])
def host(request: pytest.FixtureRequest, clock: VirtualClock, mocked: responses.RequestsMock) -> Host:
    db: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres_database")
    return make_host_on(db, clock, mocked)


def _at_once(*calls: Callable[[], int]) -> list[int]:
    """Make all calls from threads of their own that set off together; return their answers in the calls' order."""
    answers = [0] * len(calls)
    ready = threading.Barrier(len(calls))

    def make(number: int, call: Callable[[], int]) -> None:
        ready.wait(10)
        answers[number] = call()

    threads = [threading.Thread(target=make, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def test_parallel_installs_of_one_site_end_in_one_tenant(host: Host) -> None:
    host.keys.sign(install_claims())
    answers = _at_once(*[lambda: host.lifecycle("installed").status_code] * 8)

    assert answers == [204] * 8
    assert [heard[2] for heard in host.listener.heard].count(True) == 1
    row = host.row()
    assert row is not None
    assert row.secret_version == 8


def test_parallel_uninstalls_raise_the_generation_once(host: Host) -> None:
    host.lifecycle("installed")
    host.clock.advance(1)
    assert _at_once(*[lambda: host.lifecycle("uninstalled").status_code] * 6) == [204] * 6
    row = host.row()
    assert row is not None
    assert (row.state, row.generation) == ("uninstalled", 2)
    assert [heard[0] for heard in host.listener.heard].count("uninstalled") == 1


def test_disabled_and_uninstalled_in_parallel_end_uninstalled(host: Host) -> None:
    host.lifecycle("installed")
    for _ in range(5):
        host.clock.advance(2)
        assert host.lifecycle("installed").status_code == 204
        host.clock.advance(2)
        disabled, uninstalled = _at_once(
            lambda: host.switch("disabled").status_code, lambda: host.lifecycle("uninstalled").status_code
        )
        assert uninstalled == 204
        assert disabled in (204, 401)
        row = host.row()
        assert row is not None
        assert (row.state, row.enabled, row.secret) == ("uninstalled", False, None)


def test_a_storm_in_any_order_ends_where_the_newest_call_says(host: Host) -> None:
    host.lifecycle("installed")
    now = host.clock.now()
    events = [("installed", 1), ("uninstalled", 2), ("installed", 3), ("uninstalled", 4), ("installed", 5)]

    def lifecycle(event: str, minute: int) -> Callable[[], int]:
        token = host.keys.sign(install_claims(event, now=now + timedelta(seconds=minute)))
        return lambda: host.lifecycle(event, token=token).status_code

    def switch(event: str) -> Callable[[], int]:
        token = page_token(SECRET, account_id=None, method="POST", path=f"/connect/{event}", now=now)
        return lambda: host.switch(event, token=token).status_code

    answers = _at_once(*[lifecycle(*event) for event in events], switch("enabled"), switch("disabled"))

    assert answers[:5] == [204] * 5
    assert set(answers[5:]) <= {204, 401}
    row = host.row()
    assert row is not None
    assert (row.state, row.lifecycle_iat) == ("installed", int(now.timestamp()) + 5)
    assert row.enabled is True
