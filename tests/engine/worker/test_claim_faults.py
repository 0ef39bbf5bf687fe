"""The database fails at or right after a claim: the execution is handed back or taken again, and no loss is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from addon.base import Database
from addon.engine import failpoints
from tests.engine.conftest import BOTH, Rig
from tests.support.clock import VirtualClock

STATEMENTS = 12
"""How many statements after the claim's own are tried, one by one: more than come before the first space."""


def away() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("SELECT", {}, Exception("the server went away"), connection_invalidated=True)


@pytest.fixture
def clock() -> VirtualClock:
    class Brisk(VirtualClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            self.advance(seconds)
            return event.is_set()

    return Brisk()


@contextmanager
def failing(db: Database, at: int) -> Iterator[list[str]]:
    """Fail one statement, the one that comes as number `at` from the claim's UPDATE on; yield the words that failed."""
    counted: list[str] = []
    failed: list[str] = []

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE job_execution") or counted:
            counted.append(statement)
        if len(counted) == at + 1 and not failed:
            failed.append(statement)
            raise away()

    event.listen(db.engine, "before_cursor_execute", fail)
    try:
        yield failed
    finally:
        event.remove(db.engine, "before_cursor_execute", fail)


def goes_on(rig: Rig, execution_id: str) -> None:
    """Let runners and reapers work for less than a lease, and see that the run ends well without a loss."""
    for _ in range(5):
        engine = rig.engine()
        engine.reaper_tick()
        rig.drive(engine)
    row = rig.row(execution_id)
    assert (row.status, row.lease_losses) == ("successful", 0)
    assert "lease_lost" not in rig.events(execution_id)
    assert row.metrics is not None
    assert row.metrics["contentsChecked"] == 30, "each space counts once"


@BOTH
@pytest.mark.parametrize("at", range(STATEMENTS))
def test_a_statement_that_fails_at_the_claim_or_after_it_costs_no_loss(rig: Rig, at: int) -> None:
    started = rig.start(rig.engine())
    with failing(rig.db, at) as failed:
        try:
            rig.drive(rig.engine())
        except sa.exc.OperationalError:
            assert rig.row(started.id).owner is None, "an error leaves the runner only where nothing was claimed"
    assert failed
    goes_on(rig, started.id)


def _before(point: str) -> bool:
    return point == "claim:before"


def _after(point: str) -> bool:
    return point == "claim:after"


@BOTH
@pytest.mark.parametrize("where", [_before, _after])
def test_a_claim_whose_commit_gets_no_answer_is_handed_back_if_it_was_made(
    rig: Rig, where: Callable[[str], bool]
) -> None:
    started = rig.start(rig.engine())
    engine = rig.engine()
    lost: list[object] = []

    def no_answer(point: str) -> None:
        if where(point) and not lost:
            lost.append(point)
            raise away()

    with failpoints.armed(no_answer):
        assert rig.drive(engine)
    assert lost
    row = rig.row(started.id)
    assert (row.status, row.owner, row.lease_losses) == ("running", None, 0)
    assert engine.active_runs() == 0
    goes_on(rig, started.id)
