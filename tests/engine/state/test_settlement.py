"""What was submitted to the site is read back before an execution ends, however long it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.engine import Abandon, Busy, Engine, ExecutionItem, Fatal, JobExecution, Pause, Run, RunSpace, live_progress
from addon.engine.state.settlement import MAX_TRIES
from addon.engine.state.table import MAX_LOSSES, TO_SETTLE
from tests.engine.conftest import BOTH, EVERYWHERE, Killed, Rig
from tests.support.fakejob import SubmittingJob, spaces

ARCHIVED = {"B": "done"}


@pytest.fixture
def job(rig: Rig, caplog: pytest.LogCaptureFixture) -> SubmittingJob:
    """A job whose space B is submitted to the site, which archives it whatever happens to the run."""
    caplog.set_level(logging.CRITICAL)
    made = SubmittingJob(submits={"B"})
    rig.job = made
    return made


def at_b(*acts: Callable[[Run], object]) -> Callable[[Run, RunSpace], dict[str, Any]]:
    """Return a call that does `acts` once B is submitted and not read back."""

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key == "B":
            for act in acts:
                act(run)
        return {}

    return call


def stop(run: Run) -> None:
    run.stop.set()  # type: ignore[attr-defined]
    run.check()


def kill(run: Run) -> None:
    raise Killed


def outcomes(rig: Rig, execution_id: str) -> dict[str, str]:
    """Return the item log: the outcome of each content that was submitted, and that each is there once."""
    with rig.db.read_all() as session:
        items = session.scalars(sa.select(ExecutionItem).where(ExecutionItem.execution_id == execution_id)).all()
    assert len({item.content_id for item in items}) == len(items)
    return {item.content_id.removeprefix("content-of-"): item.outcome for item in items if item.space_key == "B"}


def waits_to_be_settled(rig: Rig, execution_id: str) -> JobExecution:
    row = rig.row(execution_id)
    assert (row.status, row.owner) == ("cancelling", TO_SETTLE)
    assert outcomes(rig, execution_id) == {}
    return row


def ended(rig: Rig, execution_id: str, status: str, archived: int = 1) -> JobExecution:
    """Assert that an execution has ended so, with B's outcome in log and metrics."""
    row = rig.row(execution_id)
    assert row.status == status
    assert outcomes(rig, execution_id) == ARCHIVED
    assert row.metrics is not None
    with rig.db.read_all() as session:
        done = sa.select(sa.func.count()).where(ExecutionItem.execution_id == execution_id)
        assert row.metrics["contentsArchived"] == session.scalar(done.where(ExecutionItem.outcome == "done"))
    return row


@EVERYWHERE
def test_a_shutdown_while_cancelling_leaves_the_end_to_a_process_that_reads_back_first(
    rig: Rig, job: SubmittingJob
) -> None:
    engine, other = rig.engine(), rig.engine()
    job.call = at_b(lambda run: rig.cancel(other, run.execution_id), stop)
    started = rig.start(engine)
    rig.drive(engine)
    waiting = waits_to_be_settled(rig, started.id)
    with pytest.raises(Busy):
        rig.start(other)
    assert other.reaper_tick() == 0, "nobody is dead"
    assert rig.drive(other)
    row = ended(rig, started.id, "cancelled")
    assert rig.states(started.id) == {"A": "done", "B": "cancelled", "C": "cancelled"}
    assert (row.lease_losses, row.fence) == (0, waiting.fence + 1)
    assert rig.events(started.id)[2:] == ["cancel_requested", "left_to_settle", "claimed", "cancelled"]


@EVERYWHERE
def test_a_cancelling_run_of_a_killed_process_is_read_back_by_another(rig: Rig, job: SubmittingJob) -> None:
    engine, other = rig.engine(), rig.engine()
    job.call = at_b(lambda run: rig.cancel(other, run.execution_id), kill)
    started = rig.start(engine)
    rig.kill_during(engine)
    assert not rig.drive(other), "its lease still holds"
    rig.clock.advance(61)
    assert other.reaper_tick() == 1
    assert waits_to_be_settled(rig, started.id).lease_losses == 1
    assert rig.drive(other)
    ended(rig, started.id, "cancelled")


@BOTH
def test_a_runner_that_dies_again_and_again_while_it_reads_back_keeps_the_lane_not_for_ever(
    rig: Rig, job: SubmittingJob
) -> None:
    other = rig.engine()
    job.call = at_b(lambda run: rig.cancel(other, run.execution_id), kill)
    started = rig.start(other)
    rig.kill_during(rig.engine())
    job.settling = kill
    for _ in range(MAX_LOSSES):
        rig.clock.advance(61)
        other.reaper_tick()
        waits_to_be_settled(rig, started.id)
        rig.kill_during(rig.engine())
    rig.clock.advance(61)
    other.reaper_tick()
    assert rig.row(started.id).status == "cancelled"
    assert rig.event(started.id, "cancelled").detail["unsettled"] is True


@EVERYWHERE
def test_a_cancel_between_two_owners_waits_until_the_site_was_asked(rig: Rig, job: SubmittingJob) -> None:
    engine, other = rig.engine(), rig.engine()
    job.call = at_b(stop)
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.row(started.id).owner is None
    assert rig.cancel(other, started.id).status == "cancelling"
    assert rig.cancel(other, started.id).status == "cancelling", "twice is the same as once"
    waits_to_be_settled(rig, started.id)
    assert rig.drive(other)
    row = ended(rig, started.id, "cancelled")
    assert row.cancel_requested_by == "u-boss"


@BOTH
def test_a_paused_run_that_is_cancelled_waits_no_longer_to_read_back(rig: Rig, job: SubmittingJob) -> None:
    engine = rig.engine()

    def pausing(run: Run) -> None:
        raise Pause(rig.clock.now() + timedelta(hours=1), "quota")

    job.call = at_b(pausing)
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.row(started.id).not_before is not None
    rig.cancel(engine, started.id)
    assert rig.drive(engine)
    ended(rig, started.id, "cancelled")


@BOTH
def test_an_uninstall_ends_it_at_once_because_nothing_can_be_read_any_more(rig: Rig, job: SubmittingJob) -> None:
    engine = rig.engine()
    job.call = at_b(stop)
    started = rig.start(engine)
    rig.drive(engine)
    with rig.db.write(rig.tenant) as session:
        engine.cancel_active(session, rig.tenant, "uninstall")
    assert rig.row(started.id).status == "cancelled"


@BOTH
def test_a_run_that_lost_too_many_leases_is_read_back_before_it_fails_as_interrupted(
    rig: Rig, job: SubmittingJob
) -> None:
    other = rig.engine()
    job.call = at_b(kill)
    started = rig.start(other, trigger="scheduled")
    for _ in range(MAX_LOSSES + 1):
        rig.kill_during(rig.engine())
        job.settling = kill
        rig.clock.advance(61)
        other.reaper_tick()
    row = rig.row(started.id)
    assert (row.status, row.owner, row.lease_losses) == ("running", None, MAX_LOSSES + 1)
    job.settling = lambda run: None
    assert rig.drive(other)
    row = ended(rig, started.id, "failed")
    assert row.error is not None
    assert row.error.startswith("interrupted")
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "failed"}
    assert rig.retries() == []


@BOTH
def test_even_that_reading_back_may_not_stop_workers_for_ever(rig: Rig, job: SubmittingJob) -> None:
    other = rig.engine()
    job.call = at_b(kill)
    started = rig.start(other)
    for _ in range(20):
        if rig.row(started.id).status != "running":
            break
        rig.kill_during(rig.engine())
        job.settling = kill
        rig.clock.advance(61)
        other.reaper_tick()
    assert rig.row(started.id).status == "failed"
    assert rig.event(started.id, "interrupted").detail["unsettled"] is True
    assert rig.row(started.id).lease_losses == MAX_LOSSES + 3


def silent(rig: Rig, engine: Engine, job: SubmittingJob) -> JobExecution:
    """Cancel a run while the site does not answer."""

    def down(run: Run, space: RunSpace) -> None:
        raise Fatal("503 from the site", transient=True)

    job.reading = down
    job.call = at_b(lambda run: rig.cancel(engine, run.execution_id), stop)
    started = rig.start(engine)
    rig.drive(engine)
    rig.drive(engine)
    return rig.row(started.id)


@BOTH
def test_a_site_that_does_not_answer_is_asked_again_later_and_people_see_why_it_waits(
    rig: Rig, job: SubmittingJob
) -> None:
    engine = rig.engine()
    row = silent(rig, engine, job)
    assert (row.status, row.owner) == ("cancelling", TO_SETTLE)
    assert row.not_before == rig.clock.now() + timedelta(seconds=30)
    assert row.pause_reason == "waiting to read back what was submitted to the site: 503 from the site"
    assert not rig.drive(engine)
    rig.clock.advance(30)
    assert rig.drive(engine)
    assert rig.row(row.id).not_before == rig.clock.now() + timedelta(seconds=60)
    job.reading = lambda run, space: None
    rig.clock.advance(60)
    engine.reaper_tick()
    assert rig.drive(engine)
    ended(rig, row.id, "cancelled")
    assert live_progress(rig.row(row.id), rig.clock.now()).stalled_since is None


@BOTH
def test_a_site_that_stays_silent_leaves_an_unknown_outcome_in_the_log_in_the_end(rig: Rig, job: SubmittingJob) -> None:
    engine = rig.engine()
    row = silent(rig, engine, job)
    began, tried = rig.clock.now(), 1
    while rig.row(row.id).status == "cancelling":
        rig.clock.advance(601)
        tried += rig.drive(engine)
    assert rig.row(row.id).status == "cancelled"
    assert tried == MAX_TRIES + 1
    assert rig.clock.now() - began < timedelta(hours=3)
    assert outcomes(rig, row.id) == {"B": "failed"}


@pytest.mark.parametrize("stop_for_good", [Fatal("401", transient=False), Abandon("uninstalled"), ValueError("a bug")])
def test_what_can_never_be_read_back_is_recorded_as_unknown_at_once(
    rig: Rig, job: SubmittingJob, stop_for_good: Exception
) -> None:
    engine = rig.engine()

    def never(run: Run, space: RunSpace) -> None:
        raise stop_for_good

    job.reading = never
    job.call = at_b(stop)
    started = rig.start(engine)
    rig.drive(engine)
    rig.cancel(engine, started.id)
    rig.drive(engine)
    assert rig.row(started.id).status == "cancelled"
    assert outcomes(rig, started.id) == {"B": "failed"}


@BOTH
def test_a_run_that_fails_as_a_whole_waits_for_what_it_submitted_too(rig: Rig, job: SubmittingJob) -> None:
    engine = rig.engine()
    answers = iter([Pause(rig.clock.now() + timedelta(minutes=20), "quota")])

    def fatal(run: Run) -> None:
        raise Fatal("the site is read-only", transient=False)

    def quota(run: Run, space: RunSpace) -> None:
        for error in answers:
            raise error

    job.call, job.reading = at_b(fatal), quota
    started = rig.start(engine)
    rig.drive(engine)
    row = rig.row(started.id)
    assert (row.status, row.owner, row.error) == ("running", None, "the site is read-only")
    assert not rig.drive(engine)
    rig.clock.advance(1201)
    assert rig.drive(engine)
    assert ended(rig, started.id, "failed").error == "the site is read-only"
    assert rig.states(started.id) == {"A": "done", "B": "failed", "C": "failed"}


@BOTH
def test_a_run_that_hangs_while_it_reads_back_is_taken_over(rig: Rig, job: SubmittingJob) -> None:
    engine, other = rig.engine(), rig.engine()
    left = [True]

    def hang(run: Run) -> None:
        if left:
            left.clear()
            for _ in range(31):
                rig.clock.advance(59)
                engine._heartbeat.beat()
                other.reaper_tick()
            run.check()

    job.call = at_b(lambda run: rig.cancel(other, run.execution_id), stop)
    started = rig.start(engine)
    rig.drive(engine)
    job.settling = hang
    rig.drive(engine)
    assert waits_to_be_settled(rig, started.id).lease_losses == 0, "no lease has expired"
    assert rig.drive(other)
    ended(rig, started.id, "cancelled")


@BOTH
def test_a_run_whose_last_space_was_taken_as_stuck_is_read_back_before_its_result_is_compiled(
    rig: Rig, job: SubmittingJob
) -> None:
    engine, other = rig.engine(), rig.engine()
    job.listing = lambda run: spaces("A", "B")
    job.call = at_b(lambda run: hang(rig, engine, other, run))
    started = rig.start(engine)
    rig.drive(engine)
    assert rig.states(started.id) == {"A": "done", "B": "failed"}
    assert outcomes(rig, started.id) == {}
    assert rig.drive(other)
    ended(rig, started.id, "failed")


def hang(rig: Rig, engine: Engine, other: Engine, run: Run) -> None:
    """Pass no safe point for half an hour while the heart beats, until somebody else takes the run."""
    rig.clock.advance(1801)
    engine._heartbeat.beat()
    assert other.reaper_tick() == 1
    engine._heartbeat.beat()
    run.check()


@BOTH
def test_a_failed_run_that_hangs_whenever_it_is_settled_keeps_the_lane_not_for_ever(
    rig: Rig, job: SubmittingJob
) -> None:
    engine, other = rig.engine(), rig.engine()

    def fatal(run: Run) -> None:
        raise Fatal("the site is read-only", transient=False)

    job.call = at_b(fatal)
    job.reading = lambda run, space: hang(rig, engine, other, run)
    started = rig.start(engine)
    taken = 0
    while rig.row(started.id).status == "running" and taken < 3 * MAX_TRIES:
        taken += rig.drive(engine)
    assert rig.row(started.id).status == "failed"
    assert taken == MAX_TRIES + 1
    assert rig.event(started.id, "interrupted").detail["unsettled"] is True


@pytest.mark.parametrize("where", ["listing", "finalizing"])
def test_a_run_that_hangs_where_no_space_is_to_blame_fails_as_stuck(
    rig: Rig, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    engine, other = rig.engine(), rig.engine()

    def hang(run: Run) -> Any:
        for _ in range(31):
            rig.clock.advance(59)
            engine._heartbeat.beat()
        assert other.reaper_tick() == 1
        run.check()

    setattr(rig.job, where, hang)
    started = rig.start(engine)
    rig.drive(engine)
    setattr(rig.job, where, lambda run: {})
    other.run_due()
    row = rig.row(started.id)
    assert (row.status, row.error, row.lease_losses) == ("failed", "stuck: no progress for 30 minutes", 0)
