"""A failed scheduled run is tried again after five minutes, over what is left, and not for ever."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from addon.base import ScheduleSpec
from addon.engine import Engine, JobExecution, Run, RunSpace, queries
from addon.engine.schedule.plan import precedes
from tests.engine.conftest import EVERYWHERE, Rig
from tests.support.fakejob import Trouble, spaces

FIVE_MINUTES = timedelta(minutes=5)


def failing(*keys: str, transient: bool = True, times: int = 100) -> Any:
    """Return a call that fails the spaces with these keys, so many times each."""
    left = dict.fromkeys(keys, times)

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if left.get(space.key, 0) > 0:
            left[space.key] -= 1
            raise Trouble(f"503 in {space.key}", transient=transient)
        return {"statusesChanged": 1}

    return call


def fail_scheduled(rig: Rig, engine: Engine, **options: Any) -> JobExecution:
    started = rig.start(engine, trigger="scheduled", **options)
    engine.run_due()
    assert rig.row(started.id).status == "failed"
    return rig.row(started.id)


@EVERYWHERE
def test_after_five_minutes_a_new_execution_does_the_spaces_that_were_not_done(rig: Rig) -> None:
    engine = rig.engine(policy_version=lambda session, tenant: 3)
    rig.job.call = failing("B", "C", times=1)
    failed = fail_scheduled(rig, engine, params={"rules": ["weekly"]})
    (waiting,) = rig.retries()
    assert (waiting.due_at, waiting.attempt) == (rig.clock.now() + FIVE_MINUTES, 2)
    with rig.db.read(rig.tenant) as session:
        assert [retry.job_type for retry in queries.pending_retries(session, rig.tenant)] == [rig.job.type]
    rig.clock.advance(FIVE_MINUTES - timedelta(seconds=1))
    assert engine.schedule_tick() == 0
    rig.clock.advance(1)
    later = rig.engine(policy_version=lambda session, tenant: 9)
    assert later.schedule_tick() == 1
    assert rig.retries() == []
    later.run_due()
    _, retry = rig.rows()
    assert (retry.trigger, retry.retry_of, retry.attempt, retry.status) == ("retry", failed.id, 2, "successful")
    assert retry.params == {"rules": ["weekly"], "spaces": ["id-B", "id-C"]}
    assert retry.policy_version == 3, "a retry keeps the policies of the first run"
    assert rig.states(retry.id) == {"B": "done", "C": "done"}
    assert rig.event(retry.id, "started").actor_type == "retry"


@EVERYWHERE
def test_a_chain_ends_after_four_attempts(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B")
    fail_scheduled(rig, engine)
    for attempt in (2, 3, 4):
        rig.clock.advance(FIVE_MINUTES)
        assert engine.schedule_tick() == 1
        engine.run_due()
        assert rig.rows()[-1].attempt == attempt
    assert rig.retries() == []
    assert [row.attempt for row in rig.rows()] == [1, 2, 3, 4]
    assert [row.retry_of for row in rig.rows()[1:]] == [row.id for row in rig.rows()[:-1]]
    rig.clock.advance(timedelta(days=1))
    assert engine.schedule_tick() == 0


@EVERYWHERE
@pytest.mark.parametrize("trigger", ["manual", "scheduled"])
def test_permanent_reasons_and_manual_runs_are_not_retried(rig: Rig, trigger: str) -> None:
    engine = rig.engine()
    rig.job.call = failing("B", transient=trigger == "manual")
    started = rig.start(engine, trigger=trigger)
    engine.run_due()
    assert rig.row(started.id).status == "failed"
    assert rig.retries() == []


def test_one_permanent_reason_among_transient_ones_ends_the_chain(rig: Rig) -> None:
    engine = rig.engine()

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        raise Trouble("no", transient=space.key != "B")

    rig.job.call = call
    fail_scheduled(rig, engine)
    assert rig.retries() == []


@EVERYWHERE
def test_a_space_of_the_retry_that_is_gone_now_is_reported_and_new_ones_take_no_part(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B", "C", times=1)
    fail_scheduled(rig, engine)
    rig.job.listing = lambda run: spaces("A", "C", "NEW")
    rig.clock.advance(FIVE_MINUTES)
    engine.schedule_tick()
    engine.run_due()
    retry = rig.rows()[-1]
    assert retry.status == "successful"
    assert rig.states(retry.id) == {"C": "done", "B": "skipped"}
    assert rig.reasons(retry.id) == {"B": "no longer visible or deleted"}


@EVERYWHERE
def test_a_manual_start_of_the_same_job_ends_the_chain_and_of_another_job_does_not(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B")
    failed = fail_scheduled(rig, engine)
    rig.start(engine, job_type=rig.mails.type)
    engine.run_due()
    assert len(rig.retries()) == 1
    manual = rig.start(engine)
    assert rig.retries() == []
    assert rig.event(manual.id, "started").detail["endedRetryOf"] == [failed.id]


@EVERYWHERE
def test_during_the_wait_other_types_slots_wait_and_the_jobs_own_slot_ends_the_chain(rig: Rig) -> None:
    engine = rig.engine()
    at_noon = ScheduleSpec(rig.mails.type, "weekly", "Weekly", "1 12 * * *", "UTC")
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, [at_noon])
    rig.job.call = failing("B", times=1)
    fail_scheduled(rig, engine)
    rig.clock.advance(timedelta(minutes=2))
    assert engine.schedule_tick() == 0, "the other type's slot waits"
    rig.clock.advance(timedelta(minutes=3))
    assert engine.schedule_tick() == 1
    engine.run_due()
    assert rig.rows()[-1].trigger == "retry"
    assert engine.schedule_tick() == 1, "and starts when the chain has ended"
    engine.run_due()
    assert rig.rows()[-1].job_type == rig.mails.type

    own = ScheduleSpec(rig.job.type, "", "Refresh", "10 12 * * *", "UTC")
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, [own])
    rig.job.call = failing("B", times=1)
    fail_scheduled(rig, engine)
    rig.clock.advance(timedelta(minutes=5))
    assert engine.schedule_tick() == 1
    assert (rig.rows()[-1].trigger, rig.rows()[-1].params) == ("scheduled", {})
    assert rig.retries() == []
    assert rig.event(rig.rows()[-1].id, "started").detail["endedRetryOf"] == [rig.rows()[-2].id]


def own_slot_at(rig: Rig, engine: Engine, cron: str, **options: Any) -> None:
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(
            session, rig.tenant, [ScheduleSpec(rig.job.type, "", "Refresh", cron, "UTC", **options)]
        )


@EVERYWHERE
def test_an_own_slot_that_is_skipped_as_late_ends_no_chain(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B", times=1)
    fail_scheduled(rig, engine)
    own_slot_at(rig, engine, "2 12 * * *", max_lateness=timedelta(minutes=30))
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=True, reason="", by="u-1")
    rig.clock.advance(timedelta(hours=1))
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=False)
    assert engine.schedule_tick() == 1
    engine.run_due()
    assert (rig.rows()[-1].trigger, rig.rows()[-1].status) == ("retry", "successful")
    assert engine.schedule_tick() == 0
    (fire,) = rig.fires()
    assert fire.outcome == "skipped_late"


@EVERYWHERE
def test_an_own_slot_that_is_refused_ends_no_chain_and_neither_is_lost(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B")
    fail_scheduled(rig, engine)
    own_slot_at(rig, engine, "5 12 * * *")
    rig.job.refusal = "no mail transport"
    rig.clock.advance(FIVE_MINUTES)
    assert engine.schedule_tick() == 0
    assert len(rig.retries()) == 1
    rig.job.refusal = None
    assert engine.schedule_tick() == 1, "the slot was pending"
    assert rig.rows()[-1].trigger == "scheduled"
    assert rig.retries() == []


@EVERYWHERE
def test_an_own_slot_whose_start_is_rolled_back_ends_no_chain(rig: Rig) -> None:
    engine, broken = rig.engine(), rig.engine(policy_version=lambda session, tenant: 1 // 0)
    rig.job.call = failing("B")
    fail_scheduled(rig, engine)
    own_slot_at(rig, engine, "5 12 * * *")
    rig.clock.advance(FIVE_MINUTES)
    logging.disable(logging.ERROR)
    try:
        assert broken.schedule_tick() == 0
    finally:
        logging.disable(logging.NOTSET)
    assert len(rig.retries()) == 1
    assert engine.schedule_tick() == 1


def test_late_in_a_longer_chain_other_types_go_first_and_end_it(rig: Rig) -> None:
    from addon.engine import EngineSettings

    engine = rig.engine(settings=EngineSettings(max_attempts=9, call_threads=2))
    other = ScheduleSpec(rig.mails.type, "weekly", "Weekly", "18 12 * * *", "UTC")
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, [other])
    rig.job.call = failing("B")
    fail_scheduled(rig, engine)
    for _ in range(3):
        rig.clock.advance(FIVE_MINUTES)
        assert engine.schedule_tick() == 1
        engine.run_due()
    (waiting,) = rig.retries()
    assert waiting.attempt == 5
    assert not precedes(waiting.attempt, engine.settings.precedence_attempts)
    rig.clock.advance(timedelta(minutes=3))
    rig.mails.refusal = "no mail transport"
    assert engine.schedule_tick() == 0
    assert len(rig.retries()) == 1, "a slot that does not start ends nothing"
    rig.mails.refusal = None
    assert engine.schedule_tick() == 1
    assert rig.rows()[-1].job_type == rig.mails.type
    assert rig.retries() == []


@EVERYWHERE
def test_a_cancelled_retry_ends_its_chain(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B")
    fail_scheduled(rig, engine)
    rig.clock.advance(FIVE_MINUTES)
    engine.schedule_tick()
    rig.cancel(engine, rig.rows()[-1].id)
    rig.clock.advance(timedelta(hours=1))
    assert engine.schedule_tick() == 0
    assert rig.retries() == []


def test_a_hold_keeps_retries_waiting_too(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B", times=1)
    fail_scheduled(rig, engine)
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=True, reason="", by="u-1")
    rig.clock.advance(timedelta(hours=1))
    assert engine.schedule_tick() == 0
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=False)
    assert engine.schedule_tick() == 1


@EVERYWHERE
def test_a_retry_that_its_job_refuses_waits_for_a_day_and_keeps_no_other_job_waiting(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B")
    failed = fail_scheduled(rig, engine)
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, [ScheduleSpec(rig.mails.type, "w", "W", "3 12 * * *", "UTC")])
    rig.job.refusal = "no mail transport"
    rig.clock.advance(FIVE_MINUTES)
    assert engine.schedule_tick() == 1
    engine.run_due()
    assert rig.rows()[-1].job_type == rig.mails.type
    assert [retry.failed_execution_id for retry in rig.retries()] == [failed.id]
    rig.job.refusal = None
    assert engine.schedule_tick() == 1
    assert (rig.rows()[-1].retry_of, rig.retries()) == (failed.id, [])


def test_a_retry_that_was_refused_for_more_than_a_day_ends_its_chain(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing("B")
    fail_scheduled(rig, engine)
    rig.job.refusal = "no mail transport"
    rig.clock.advance(FIVE_MINUTES + timedelta(days=1))
    assert engine.schedule_tick() == 0
    assert len(rig.retries()) == 1
    rig.clock.advance(1)
    assert engine.schedule_tick() == 0
    assert rig.retries() == []
    rig.job.refusal = None
    assert engine.schedule_tick() == 0


def test_a_listing_that_failed_is_retried_whole(rig: Rig) -> None:
    engine = rig.engine()
    listing = rig.job.listing
    answers = iter([Trouble("", transient=True)])

    def once_broken(run: Run) -> Any:
        from addon.engine import Fatal

        if next(answers, None) is not None:
            raise Fatal("the site is down", transient=True)
        return listing(run)

    rig.job.listing = once_broken
    fail_scheduled(rig, engine)
    rig.clock.advance(FIVE_MINUTES)
    engine.schedule_tick()
    engine.run_due()
    retry = rig.rows()[-1]
    assert (retry.status, retry.params) == ("successful", {})
    assert rig.states(retry.id) == {"A": "done", "B": "done", "C": "done"}
