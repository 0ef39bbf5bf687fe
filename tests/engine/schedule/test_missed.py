"""Why a slot was missed: told from what is recorded, asked only when one was, and never more than is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.engine import Engine
from addon.engine.schedule.missed import Blocker, Blockers
from tests.engine.conftest import BOTH, Rig
from tests.engine.schedule.test_slots import DIGEST, REFRESH, at, give, hold, missed, remove
from tests.support.fakejob import Trouble


@BOTH
def test_slots_missed_behind_an_execution_name_it(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    rig.clock.set(at(22, 12, 50))
    manual = rig.start(engine)
    rig.clock.set(at(22, 15, 10))
    engine.run_due()
    assert engine.schedule_tick() == 1
    assert [(slot.scheduled_for, slot.outcome, slot.reason) for slot in missed(rig)] == [
        (at(22, 13), "coalesced", "busy"),
        (at(22, 14), "coalesced", "busy"),
    ]
    assert {(slot.blocked_by, slot.blocked_job) for slot in missed(rig)} == {(manual.id, rig.job.type)}
    assert [fire.reason for fire in rig.fires() if fire.outcome == "started"] == [None]


def test_a_run_that_came_shortly_after_the_slot_is_why_and_one_that_came_much_later_is_not(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    ran = []
    for hour, minute in ((13, 1), (14, 30)):
        rig.clock.set(at(22, hour, minute))
        ran.append(rig.start(engine).id)
        rig.clock.advance(timedelta(minutes=10))
        engine.run_due()
    rig.clock.set(at(22, 15))
    assert engine.schedule_tick() == 1
    assert [(slot.reason, slot.blocked_by) for slot in missed(rig)] == [("busy", ran[0]), ("unknown", None)]


def test_slots_missed_while_schedules_were_held_say_so(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    hold(rig, engine)
    rig.clock.set(at(22, 13, 30))
    hold(rig, engine, on=False)
    hold(rig, engine, until=at(22, 15, 30))
    rig.clock.set(at(22, 17))
    assert engine.schedule_tick() == 1
    assert [slot.reason for slot in missed(rig)] == ["hold", "hold", "hold", "unknown"], (
        "a hold ended at half past three"
    )


def test_slots_missed_before_the_first_run_and_while_the_app_was_away_say_so(rig: Rig) -> None:
    engine, tenant = rig.engine(), rig.new_tenant()
    rig.tenant = tenant
    rig.open(engine, first_run=True)
    give(rig, engine, DIGEST)

    def lane(hour: int, change: Callable[..., None], **more: Any) -> None:
        rig.clock.set(at(22, hour, 30))
        with rig.db.write(tenant) as session:
            change(session, tenant, **more)

    lane(13, engine.confirm_first_run)
    lane(13, engine.close_lane)
    lane(14, engine.open_lane, first_run=True)
    rig.clock.set(at(22, 16))
    assert engine.schedule_tick() == 1
    assert [slot.reason for slot in missed(rig)] == ["first_run", "closed", "unknown"]
    rig.tenant = rig.new_tenant()
    rig.open(engine, first_run=True)
    give(rig, engine, replace(DIGEST, cron="0 0 * * *"))
    rig.clock.advance(timedelta(hours=60))
    remove(rig, engine)
    assert {slot.reason for slot in missed(rig)} == {"first_run", "removed"}


EACH_MINUTE = replace(DIGEST, cron="* 13 * * *", max_lateness=timedelta(seconds=30))


def with_a_waiting_retry(rig: Rig) -> Engine:
    """The refresh of 13:00 fails for a reason that passes; the digest's slots wait for its retry."""
    engine = rig.engine()

    def trouble(run: Any, space: Any) -> Any:
        raise Trouble("503", transient=True)

    rig.job.call = trouble
    give(rig, engine, replace(REFRESH, cron="0 13 22 11 *"), EACH_MINUTE)
    rig.mails.refusal = "no mail transport is configured"
    rig.clock.set(at(22, 13))
    assert engine.schedule_tick() == 1
    engine.run_due()
    rig.job.call = lambda run, space: {}
    rig.mails.refusal = None
    rig.clock.set(at(22, 13, 4))
    assert engine.schedule_tick() == 0, "the retry is due in a minute, and goes first"
    return engine


def test_slots_that_waited_for_another_jobs_retry_name_it(rig: Rig) -> None:
    engine = with_a_waiting_retry(rig)
    rig.clock.set(at(22, 13, 5))
    assert engine.schedule_tick() == 1
    engine.run_due()
    assert engine.schedule_tick() == 1
    (_, retry, _) = rig.rows()
    assert [(slot.reason, slot.blocked_by) for slot in missed(rig)] == [("retry_waiting", retry.id)] * 5


def test_slots_that_still_wait_for_another_jobs_retry_name_the_run_that_failed(rig: Rig) -> None:
    engine = with_a_waiting_retry(rig)
    rig.clock.advance(40)
    give(rig, engine, replace(REFRESH, cron="0 13 22 11 *"))
    (failed,) = rig.rows()
    assert {(slot.outcome, slot.reason, slot.blocked_by) for slot in missed(rig)} == {
        ("skipped_late", "retry_waiting", failed.id)
    }
    assert len(missed(rig)) == 5


def test_a_tick_that_starts_what_is_due_in_time_asks_nothing_more(rig: Rig) -> None:
    """What was missed costs three statements more, for a whole site."""
    engine = rig.engine()
    give(rig, engine, DIGEST, REFRESH)
    costs = []
    for now in (at(22, 13), at(22, 14), at(22, 17)):
        rig.clock.set(now)
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any, seen: list[str] = seen) -> None:
            seen.append(statement)

        sa.event.listen(rig.db.engine, "before_cursor_execute", note)
        assert engine.schedule_tick() == 1
        sa.event.remove(rig.db.engine, "before_cursor_execute", note)
        engine.run_due()
        costs.append(len(seen))
        asked = [statement for statement in seen if "FROM audit_event" in statement]
        assert len(asked) == (now == at(22, 17))
    assert costs == [costs[0], costs[0], costs[0] + 3]


RUN = Blocker("busy", at(22, 13), at(22, 14), "run")
WAIT = Blocker("retry_waiting", at(22, 12, 58), at(22, 13, 3), "retry", except_for="refresh-statuses")
HOLD = Blocker("hold", at(22, 13, 50), at(22, 18))


@pytest.mark.parametrize(
    ("slot", "until", "expected"),
    [
        (at(22, 12), at(22, 13), "unknown"),
        (at(22, 12, 56), at(22, 13, 56), "busy"),
        (at(22, 12, 59), at(22, 13), "retry_waiting"),
        (at(22, 13), at(22, 14), "busy"),
        (at(22, 13, 55), at(22, 14, 55), "hold"),
        (at(22, 13, 40), at(22, 13, 45), "busy"),
        (at(22, 18), at(22, 19), "unknown"),
        (at(22, 13, 30), at(22, 13, 30), "busy"),
    ],
)
def test_of_several_things_in_the_way_the_one_that_lasted_longest_is_named(
    slot: datetime, until: datetime, expected: str
) -> None:
    assert reasons([RUN, WAIT, HOLD], slot, until) == reasons([HOLD, WAIT, RUN], slot, until) == expected


def test_a_retry_is_not_in_the_way_of_its_own_job(rig: Rig) -> None:
    assert Blockers([WAIT]).at(at(22, 13), at(22, 14), "refresh-statuses") == ("unknown", None)
    assert Blockers([WAIT]).at(at(22, 13), at(22, 14), "send-notifications") == ("retry_waiting", "retry")


def reasons(found: Sequence[Blocker], slot: datetime, until: datetime) -> str:
    return Blockers(found).at(slot, until, "send-notifications")[0]
