"""No active state without an exit: every shape an active row can have is put into the database and led out of it."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from addon.engine import ACTIVE, TERMINAL, EngineSettings, ExecutionItem, ExecutionSpace, JobExecution, NotCancellable
from addon.engine.models import AuditEvent
from addon.engine.state.table import BY_NAME, MAX_LOSSES, TO_SETTLE
from tests.engine.conftest import Rig
from tests.engine.dying import SQL
from tests.support.fakejob import SubmittingJob

LEASES = {"nobody": None, "owner": 30, "dead": -30, "unsettled": 0}
"""By who owns the row: its lease, in seconds from now."""
UNSETTLED_LOSSES = MAX_LOSSES + 3
"""Leases after which nobody settles a run any more."""


@dataclass(frozen=True)
class Shape:
    """What an active row looks like. `wait`: of not_before, in seconds; `unread`: something is submitted."""

    status: str
    owner: str
    wait: int | None
    losses: int
    unread: bool = False

    def __str__(self) -> str:
        wait = {None: "", -30: "-due", 3600: "-waiting"}[self.wait]
        return f"{self.status}-{self.owner}{wait}-losses{self.losses}{'-unread' if self.unread else ''}"

    @property
    def possible(self) -> bool:
        return self.status != "cancelling" or self.owner != "nobody"

    @property
    def made(self) -> bool:
        """Return whether only what is cancelling waits to be settled, and a result is compiled with all known."""
        return (self.owner != "unsettled" or self.status == "cancelling") and not (
            self.unread and self.status == "finalizing"
        )


ALL = [Shape(*values) for values in itertools.product(ACTIVE, LEASES, (None, -30, 3600), (0, MAX_LOSSES))]
UNREAD = itertools.product(ACTIVE, LEASES, (None, 3600), (0, MAX_LOSSES, UNSETTLED_LOSSES), (True,))
POSSIBLE = [shape for shape in (*ALL, *(Shape(*values) for values in UNREAD)) if shape.possible and shape.made]
"""More than the engine makes: not_before is cleared by a claim. But nothing in the database keeps such a row out."""


def way_out(shape: Shape) -> list[str]:
    """Return the transitions that lead out when nobody but the reaper and an honest runner acts."""
    if shape.status == "cancelling":
        if shape.owner == "unsettled":
            return ["claim", "cancelled"]
        read_back = shape.unread and shape.losses < MAX_LOSSES
        return ["expire_cancelling", "claim", "cancelled"] if read_back else ["finish_cancelling"]
    finalize = ["finalize"] if shape.status == "running" else []
    if shape.owner == "nobody":
        return ["claim", *finalize, "succeed"]
    if shape.losses >= MAX_LOSSES:
        read_back = shape.unread and shape.losses < UNSETTLED_LOSSES
        return ["expire_unsettled", "claim", "finalize", "fail"] if read_back else ["interrupt"]
    return ["expire_lease", "claim", *finalize, "succeed"]


def put(rig: Rig, shape: Shape) -> str:
    now, lease = rig.clock.now(), LEASES[shape.owner]
    started = rig.start(rig.engine(settings=EngineSettings(runners=0)))
    owners = {"nobody": None, "unsettled": TO_SETTLE}
    values: dict[str, Any] = {
        "status": shape.status,
        "owner": owners.get(shape.owner, "a worker that never comes back"),
        "lease_until": None if lease is None else now + timedelta(seconds=lease),
        "not_before": None if shape.wait is None else now + timedelta(seconds=shape.wait),
        "lease_losses": shape.losses,
        "listed": shape.unread,
        "fence": 7,
        "progress_at": now,
    }
    with rig.db.write_all() as session:
        session.execute(sa.update(JobExecution).where(JobExecution.id == started.id).values(values))
        if shape.unread:
            what = {"execution_id": started.id, "tenant_id": rig.tenant, "space_id": "id-A", "space_key": "A"}
            session.add(ExecutionSpace(**what, name="Space A", position=0, checkpoint={"submitted": True}))
    return started.id


def assert_read_back(rig: Rig, execution: str, *, known: bool = True) -> None:
    """Assert that the log has the outcome of what was submitted, or that the last event says that nobody knows it."""
    with rig.db.read_all() as session:
        items = session.scalars(sa.select(ExecutionItem).where(ExecutionItem.execution_id == execution)).all()
        events = session.scalars(sa.select(AuditEvent).where(AuditEvent.execution_id == execution)).all()
    assert [item.outcome for item in items] == (["done"] if known else [])
    assert bool(max(events, key=lambda event: event.seq).detail.get("unsettled")) is not known


@pytest.fixture(autouse=True)
def _submitting(rig: Rig) -> None:
    rig.job = SubmittingJob(submits=set())


@SQL
@pytest.mark.parametrize("shape", POSSIBLE, ids=str)
def test_every_active_row_is_led_to_an_end_by_the_reaper_and_a_runner(
    rig: Rig, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    execution = put(rig, shape)
    engine = rig.engine()
    for seconds in (61, 61, 3600, 61):
        engine.reaper_tick()
        rig.drive(engine)
        if rig.row(execution).status not in ACTIVE:
            break
        rig.clock.advance(seconds)
    row = rig.row(execution)
    assert row.status in TERMINAL, f"{shape} has no exit"
    assert rig.events(execution)[1:] == [BY_NAME[name].event for name in way_out(shape)]
    assert (row.owner, row.lease_until, row.not_before) == (None, None, None)
    assert row.fence >= 7
    if shape.unread:
        assert_read_back(rig, execution, known="claim" in way_out(shape))
    rig.start(engine)


@SQL
@pytest.mark.parametrize("shape", [shape for shape in POSSIBLE if not shape.losses], ids=str)
def test_a_person_who_cancels_any_active_row_is_obeyed_or_told_that_it_is_too_late(
    rig: Rig, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    execution = put(rig, shape)
    engine = rig.engine()
    if shape.status == "finalizing":
        with pytest.raises(NotCancellable):
            rig.cancel(engine, execution)
        return
    rig.cancel(engine, execution)
    if shape.owner != "nobody":
        assert rig.row(execution).status == "cancelling"
        rig.clock.advance(3601 if shape.owner == "unsettled" else 61)
        engine.reaper_tick()
    if shape.unread or shape.owner == "unsettled":
        assert rig.row(execution).owner == TO_SETTLE
        assert rig.drive(engine)
    assert rig.row(execution).status == "cancelled", "without waiting for not_before"
    if shape.unread:
        assert_read_back(rig, execution)


@SQL
def test_the_database_refuses_the_shapes_without_an_exit(rig: Rig) -> None:
    """Somebody must own what is cancelled; an owner has a lease; an end has a time, and nothing active has one."""
    engine = rig.engine()
    for shape in (shape for shape in ALL if not shape.possible):
        with pytest.raises(IntegrityError):
            put(rig, shape)
        with rig.db.write_all() as session:
            session.execute(sa.delete(JobExecution))
    started = rig.start(engine)
    impossible: list[dict[str, Any]] = [
        {"owner": "w-1"},
        {"lease_until": rig.clock.now()},
        {"ended_at": rig.clock.now()},
        {"status": "waiting"},
        *({"status": status} for status in TERMINAL),
    ]
    for values in impossible:
        with pytest.raises(IntegrityError), rig.db.write_all() as session:
            session.execute(sa.update(JobExecution).where(JobExecution.id == started.id).values(values))
