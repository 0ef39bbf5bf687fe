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

from addon.engine import ACTIVE, TERMINAL, EngineSettings, JobExecution, NotCancellable
from addon.engine.transitions import BY_NAME, MAX_LOSSES
from tests.engine.conftest import Rig
from tests.engine.dying import SQL


@dataclass(frozen=True)
class Shape:
    """What an active row looks like. `lease`: seconds from now, None without an owner; `wait`: of not_before."""

    status: str
    lease: int | None
    wait: int | None
    losses: int

    def __str__(self) -> str:
        owner = "nobody" if self.lease is None else "dead" if self.lease < 0 else "owner"
        wait = {None: "", -30: "-due", 3600: "-waiting"}[self.wait]
        return f"{self.status}-{owner}{wait}-losses{self.losses}"

    @property
    def possible(self) -> bool:
        return self.status != "cancelling" or self.lease is not None


ALL = [Shape(*values) for values in itertools.product(ACTIVE, (None, 30, -30), (None, -30, 3600), (0, MAX_LOSSES))]
POSSIBLE = [shape for shape in ALL if shape.possible]
"""More than the engine makes: not_before is cleared by a claim. But nothing in the database keeps such a row out."""


def way_out(shape: Shape) -> list[str]:
    """Return the transitions that lead out when nobody but the reaper and an honest runner acts."""
    if shape.status == "cancelling":
        return ["reap_cancelling"]
    finalize = ["finalize"] if shape.status == "running" else []
    if shape.lease is None:
        return ["claim", *finalize, "succeed"]
    if shape.losses >= MAX_LOSSES:
        return ["interrupt"]
    return ["lose", "claim", *finalize, "succeed"]


def put(rig: Rig, shape: Shape) -> str:
    now = rig.clock.now()
    started = rig.start(rig.engine(settings=EngineSettings(runners=0)))
    values: dict[str, Any] = {
        "status": shape.status,
        "owner": None if shape.lease is None else "a worker that never comes back",
        "lease_until": None if shape.lease is None else now + timedelta(seconds=shape.lease),
        "not_before": None if shape.wait is None else now + timedelta(seconds=shape.wait),
        "losses": shape.losses,
        "fence": 7,
        "progress_at": now,
    }
    with rig.db.write_all() as session:
        session.execute(sa.update(JobExecution).where(JobExecution.id == started.id).values(values))
    return started.id


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
    if shape.lease is not None:
        assert rig.row(execution).status == "cancelling"
        rig.clock.advance(61)
        engine.reaper_tick()
    assert rig.row(execution).status == "cancelled", "without waiting for not_before"


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
