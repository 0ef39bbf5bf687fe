"""The transition table is what the document says, what the events name, and what the database holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from addon.base import Database, metadata
from addon.engine import TERMINAL, TRIGGER_DDL, JobExecution, Pause, Run, RunSpace, StartRequest
from addon.engine.models import ACTIVE
from addon.engine.state.statedoc import document
from addon.engine.state.table import BY_NAME, MAX_LOSSES, TABLE, TO_SETTLE, Guard
from addon.engine.state.transitions import Actor, Lease, move
from tests.engine.conftest import BOTH, Killed, Rig
from tests.support.fakejob import SubmittingJob

OWNED = {"owner": "w-1", "lease_until": "soon"}


def test_the_document_is_the_table() -> None:
    stored = Path(__file__).parents[3] / "docs" / "state_machine.md"
    assert stored.read_text(encoding="utf-8") == document(), "run: python -m addon.engine.state.statedoc"


def test_no_transition_leaves_a_terminal_status_and_names_are_unique() -> None:
    assert len(BY_NAME) == len(TABLE)
    for transition in TABLE:
        assert not set(transition.sources) & set(TERMINAL)
        assert transition.name == "start" or set(transition.sources) <= set(ACTIVE)


def put(rig: Rig, execution_id: str, values: Mapping[str, Any]) -> None:
    change = dict(values)
    if change.get("lease_until") == "soon":
        change["lease_until"] = rig.clock.now() + timedelta(seconds=60)
    with rig.db.write_all() as session:
        session.execute(sa.update(JobExecution).where(JobExecution.id == execution_id).values(change))


@BOTH
@pytest.mark.parametrize("transition", [row for row in TABLE if row.guard is not Guard.NEW], ids=lambda row: row.name)
def test_each_transition_happens_from_its_statuses_under_its_guard_only_and_leaves_one_event(
    rig: Rig, transition: Any
) -> None:
    engine = rig.engine()
    now = rig.clock.now()
    needs_owner = transition.guard not in (Guard.CLAIMABLE, Guard.OWNERLESS)
    losses = MAX_LOSSES if transition.guard is Guard.DEAD_LOSSES_SPENT else 0
    for status in ACTIVE:
        for owned in (True, False):
            if status == "cancelling" and not owned:
                continue
            started = rig.start(engine)
            owner = OWNED if owned else {"owner": None}
            put(rig, started.id, {"status": status, "lease_losses": losses, "fence": 7, **owner})
            lease = Lease(started.id, rig.tenant, "w-1", 7)
            claims = {"owner": "w-2", "lease_until": now} if transition.name == "claim" else {}
            with rig.db.write(rig.tenant) as session:
                moved = move(
                    session,
                    transition.name,
                    started.id,
                    at=now,
                    actor=Actor("test"),
                    lease=lease,
                    dead=JobExecution.owner == "w-1",
                    values=claims,
                )
            allowed = status in transition.sources and owned == needs_owner
            row = rig.row(started.id)
            assert (moved is not None) == allowed, (status, owned)
            assert row.status == ((transition.target or status) if allowed else status)
            assert rig.events(started.id) == ["started", *([transition.event] if allowed else [])]
            if allowed and (transition.releases or transition.name == "claim"):
                assert row.fence == 8, "a later owner is distinguished from an earlier one"
            if allowed and transition.releases:
                assert (row.owner, row.lease_until) == (None, None)
            if allowed and transition.to_settle:
                assert (row.owner, row.fence) == (TO_SETTLE, 8)
            with rig.db.write_all() as session:
                session.execute(sa.delete(JobExecution))


@BOTH
def test_a_wrong_fence_or_owner_moves_nothing(rig: Rig) -> None:
    started = rig.start(rig.engine())
    put(rig, started.id, {"fence": 7, **OWNED})
    for lease in (Lease(started.id, rig.tenant, "w-1", 6), Lease(started.id, rig.tenant, "w-2", 7)):
        with rig.db.write(rig.tenant) as session:
            moved = move(session, "finalize", started.id, at=rig.clock.now(), actor=Actor("test"), lease=lease)
        assert moved is None
    assert rig.row(started.id).status == "running"
    with rig.db.write(rig.tenant) as session, pytest.raises(ValueError, match="lease"):
        move(session, "finalize", started.id, at=rig.clock.now(), actor=Actor("test"))


@BOTH
def test_a_row_that_has_ended_never_changes_but_can_be_deleted(rig: Rig) -> None:
    engine = rig.engine()
    first = rig.start(engine)
    engine.run_due()
    second = rig.start(engine)
    put(rig, second.id, {"retry_of": first.id})
    engine.run_due()
    changes: list[dict[str, Any]] = [
        {"status": "running", "ended_at": None},
        {"status": "failed"},
        {"metrics": {"spacesProcessed": 99}},
        {"metrics": None},
        {"ended_at": rig.clock.now() + timedelta(days=1)},
        {"error": "no"},
        {"seq": 50},
        {"started_by": "somebody else"},
        {"retry_of": second.id},
    ]
    for change in changes:
        with pytest.raises(DBAPIError, match="never changes"):
            put(rig, second.id, change)
    assert rig.row(second.id).metrics == rig.row(first.id).metrics
    with rig.db.write_all() as session:
        session.execute(sa.delete(JobExecution).where(JobExecution.id == first.id))
    assert rig.row(second.id).retry_of is None, "retention may forget the predecessor"


@BOTH
def test_the_trigger_can_be_dropped_and_made_again_as_a_migration_does(own_database: Database, backend: str) -> None:
    create, drop = TRIGGER_DDL[own_database.engine.dialect.name]
    with own_database.engine.begin() as connection:
        connection.exec_driver_sql(drop)
        connection.exec_driver_sql(create)
    with own_database.engine.begin() as connection:
        connection.exec_driver_sql(drop)
    metadata.drop_all(own_database.engine)
    metadata.create_all(own_database.engine)


def test_every_event_of_the_table_is_written_by_the_running_engine(  # noqa: C901
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Walks each transition the way people, runners and the reaper make it, and looks at what is left."""
    caplog.set_level(logging.CRITICAL)
    rig.job = SubmittingJob()
    engine = rig.engine()
    seen: set[str] = set()

    def run(call: Any, *, cancel_first: bool = False, kill: bool = False, reap: int = 0, times: int = 1) -> None:
        rig.job.call = call
        started = rig.start(engine)
        if cancel_first:
            rig.cancel(engine, started.id)
        for _ in range(times):
            if kill:
                rig.kill_during(engine)
            else:
                rig.drive(engine)
            for _ in range(reap):
                rig.clock.advance(61)
                engine.reaper_tick()
        if rig.row(started.id).status in ACTIVE:
            rig.cancel(engine, started.id)
        seen.update(rig.events(started.id))

    def good(run: Run, space: RunSpace) -> dict[str, Any]:
        return {}

    def bad(run: Run, space: RunSpace) -> dict[str, Any]:
        raise ValueError

    def pausing(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Pause(rig.clock.now() + timedelta(hours=1), "quota")

    def deadly(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Killed

    def handing_over(run: Run, space: RunSpace) -> dict[str, Any]:
        engine._heartbeat.run_of(run.execution_id).stop.set()  # type: ignore[union-attr]
        run.check()
        return {}

    def cancelling(run: Run, space: RunSpace) -> dict[str, Any]:
        rig.cancel(engine, run.execution_id)
        return {}

    run(good)
    run(bad)
    run(pausing)
    run(handing_over)
    run(cancelling)
    run(good, cancel_first=True)
    run(deadly, kill=True, reap=1)
    listing = rig.job.listing

    def deadly_listing(run: Run) -> Any:
        raise Killed

    rig.job.listing = deadly_listing
    run(good, kill=True, reap=1, times=MAX_LOSSES + 1)
    rig.job.listing = listing

    def hanging(run: Run, space: RunSpace) -> dict[str, Any]:
        for _ in range(31):
            rig.clock.advance(59)
            engine._heartbeat.beat()
        engine.reaper_tick()
        return {}

    def stopping(run: Run, space: RunSpace) -> dict[str, Any]:
        return cancelling(run, space) | handing_over(run, space)

    run(hanging)
    rig.job.submits = {"A"}
    run(stopping)
    assert seen == {row.event for row in TABLE}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    fields = [vars(record) for record in caplog.records]
    return [str(line["audit"]) for line in fields if line.get("action") == "audited"]


def test_operators_read_in_the_log_what_was_committed_and_nothing_else(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    engine = rig.engine()

    def failing() -> None:
        with rig.db.write(rig.tenant) as session:
            engine.start(session, StartRequest(tenant_id=rig.tenant, job_type=rig.job.type, scope="site"))
            raise LookupError("the caller fails after the start")

    with pytest.raises(LookupError):
        failing()
    assert said(caplog) == []
    rig.start(engine)
    engine.run_due()
    assert said(caplog) == [f"job:execution:{event}" for event in ("started", "claimed", "finalizing", "successful")]
