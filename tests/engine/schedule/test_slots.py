"""The record of slots: what is kept when a schedule is changed, switched off or removed, and who gets a slot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Database, ScheduleSpec
from addon.engine import Engine, queries
from addon.engine.models import JobSchedule
from addon.engine.schedule.schedules import forget_removed
from tests.engine.conftest import BOTH, Rig

REFRESH = ScheduleSpec("refresh-statuses", "", "Refresh", "0 */6 * * *", "UTC")
DIGEST = ScheduleSpec("send-notifications", "default/digest", "Digest", "0 * * * *", "UTC")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a time after the rig's clock was set: 22 November, noon."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def give(rig: Rig, engine: Engine, *specs: ScheduleSpec) -> None:
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, specs)


def missed(rig: Rig) -> list[queries.Slot]:
    """Return the missed slots, the oldest first."""
    with rig.db.read(rig.tenant) as session:
        found, _ = queries.missed(session, rig.tenant, limit=500)
    return found[::-1]


def told(rig: Rig) -> list[tuple[datetime, str, str | None]]:
    return [(slot.scheduled_for, slot.outcome, slot.reason) for slot in missed(rig)]


def hold(rig: Rig, engine: Engine, *, on: bool = True, until: datetime | None = None) -> None:
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=on, reason="moving", until=until)


# What a change leaves behind


def remove(rig: Rig, engine: Engine) -> None:
    give(rig, engine)


def switch_off(rig: Rig, engine: Engine) -> None:
    give(rig, engine, replace(DIGEST, enabled=False, cron="5 * * * *"))


def change(rig: Rig, engine: Engine) -> None:
    give(rig, engine, replace(DIGEST, cron="30 * * * *"))


def change_zone(rig: Rig, engine: Engine) -> None:
    give(rig, engine, replace(DIGEST, time_zone="Asia/Kolkata"))


def install_again(rig: Rig, engine: Engine) -> None:
    with rig.db.write(rig.tenant) as session:
        engine.restart_schedules(session, rig.tenant)


CHANGES = pytest.mark.parametrize(
    ("change", "reason"),
    [
        (remove, "removed"),
        (switch_off, "switched_off"),
        (change, "changed"),
        (change_zone, "changed"),
        (install_again, "installed"),
    ],
)


@CHANGES
def test_what_is_pending_when_a_schedule_is_changed_is_recorded_as_withdrawn(
    rig: Rig, change: Callable[[Rig, Engine], None], reason: str
) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    rig.clock.set(at(22, 15))
    change(rig, engine)
    assert told(rig) == [(at(22, hour), "withdrawn", reason) for hour in (13, 14, 15)]
    assert {(slot.execution_id, slot.at) for slot in missed(rig)} == {(None, at(22, 15))}
    assert engine.schedule_tick() == 0, "what was withdrawn is not started"
    assert rig.rows() == []


def test_what_is_too_late_at_a_change_is_skipped_as_by_a_tick(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, replace(DIGEST, cron="0 */6 * * *"))
    hold(rig, engine)
    rig.clock.set(at(24, 7))
    remove(rig, engine)
    assert told(rig) == [
        *[(at(22, 18) + n * timedelta(hours=6), "skipped_late", "hold") for n in range(3)],
        *[(at(23, 12) + n * timedelta(hours=6), "withdrawn", "removed") for n in range(4)],
    ]


def test_a_change_records_no_slot_where_nothing_was_pending(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    rig.clock.set(at(22, 13))
    assert engine.schedule_tick() == 1
    rig.clock.set(at(22, 13, 59))
    for spec in (replace(DIGEST, name="Renamed"), replace(DIGEST, cron="5 * * * *"), replace(DIGEST, enabled=False)):
        give(rig, engine, spec)
    give(rig, engine)
    assert missed(rig) == []


def test_a_schedule_whose_zone_nobody_knows_any_more_can_be_replaced(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    with rig.db.write(rig.tenant) as session:
        session.execute(sa.update(JobSchedule).values(time_zone="Atlantis/Main_Square"))
    rig.clock.set(at(22, 15))
    give(rig, engine, DIGEST)
    assert told(rig) == [(at(22, 13), "withdrawn", "changed")]
    rig.clock.set(at(22, 16))
    assert engine.schedule_tick() == 1


# What is left of a removed one


def test_a_removed_rule_leaves_the_record_of_its_slots_under_its_last_name(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    rig.clock.set(at(22, 15, 30))
    assert engine.schedule_tick() == 1
    give(rig, engine, replace(DIGEST, name="Morning digest"))
    give(rig, engine)
    assert [(slot.name, slot.rule_id, slot.outcome) for slot in missed(rig)] == [
        ("Morning digest", "default/digest", "coalesced")
    ] * 2
    with rig.db.read(rig.tenant) as session:
        found, _ = queries.slots(session, rig.rows()[0].id)
        assert [slot.outcome for slot in found] == ["started", "coalesced", "coalesced"]
        assert queries.next_fires(session, rig.tenant) == {}, "it is listed nowhere"
        assert engine.waiting(session, rig.tenant) == []
    engine.run_due()
    rig.clock.set(at(23, 15))
    assert engine.schedule_tick() == 0
    install_again(rig, engine)
    assert len(missed(rig)) == 2, "neither a tick nor a new installation finds anything pending"


@BOTH
def test_a_removed_rule_comes_back_with_a_fresh_next_time_and_its_old_record(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST)
    rig.clock.set(at(22, 14))
    give(rig, engine)
    rig.clock.set(at(22, 20, 30))
    give(rig, engine, DIGEST)
    with rig.db.read(rig.tenant) as session:
        assert queries.next_fires(session, rig.tenant) == {DIGEST.job_type: at(22, 21)}
        assert len(session.scalars(sa.select(JobSchedule)).all()) == 1
    rig.clock.set(at(22, 21))
    assert engine.schedule_tick() == 1
    assert told(rig) == [(at(22, 13), "withdrawn", "removed"), (at(22, 14), "withdrawn", "removed")]


def test_a_removed_rule_is_forgotten_with_the_last_record_and_not_before(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, DIGEST, REFRESH)
    rig.clock.set(at(22, 13))
    give(rig, engine)

    def forget() -> int:
        with rig.db.write(rig.tenant) as session:
            return forget_removed(session, rig.tenant, 10)

    assert forget() == 1, "no slot of the refresh was ever due"
    assert forget() == 0
    with rig.db.write(rig.tenant) as session:
        session.execute(sa.text("DELETE FROM schedule_fire"))
    assert forget() == 1
    give(rig, engine, DIGEST)
    assert forget() == 0, "who is back stays"


# Two processes


RACES = pytest.mark.parametrize("change", [change_zone, install_again])


def outcomes(rig: Rig) -> set[tuple[str, bool]]:
    """Return what was recorded, and whether an execution hangs on it, and check that they fit together."""
    fires = rig.fires()
    assert [fire.execution_id for fire in fires if fire.execution_id] == [row.id for row in rig.rows()]
    return {(fire.outcome, fire.execution_id is not None) for fire in fires}


@BOTH
@RACES
def test_a_slot_that_is_just_being_started_is_not_withdrawn_as_well(
    rig: Rig, change: Callable[[Rig, Engine], None]
) -> None:
    ticking, changing = rig.engine(), rig.engine()
    give(rig, ticking, DIGEST)
    rig.clock.set(at(22, 13))
    other = threading.Thread(target=change, args=(rig, changing))
    asked = threading.Event()

    def note(*_: Any) -> None:
        if threading.current_thread() is other:
            asked.set()

    def admit(session: Session, tenant_id: str) -> None:
        """The tick has the lane by now, and has seen that the slot is due."""
        other.start()
        asked.wait(30)

    rig.mails.admit = admit  # type: ignore[method-assign]
    sa.event.listen(rig.db.engine, "before_cursor_execute", note)
    try:
        assert ticking.schedule_tick() == 1
        other.join(30)
    finally:
        sa.event.remove(rig.db.engine, "before_cursor_execute", note)
    assert not other.is_alive()
    assert outcomes(rig) == {("started", True)}
    with rig.db.read(rig.tenant) as session:
        due = session.scalars(sa.select(JobSchedule.next_fire_at)).one()
    assert due is None or due > at(22, 13), "the tick has not written its own next time over that of the change"
    assert due != at(22, 14) or change is install_again


@BOTH
@RACES
def test_a_slot_that_is_just_being_withdrawn_is_not_started_as_well(
    rig: Rig, change: Callable[[Rig, Engine], None]
) -> None:
    ticking, changing = rig.engine(), rig.engine()
    give(rig, ticking, DIGEST)
    rig.clock.set(at(22, 13))
    started: list[int] = []
    other = threading.Thread(target=lambda: started.append(ticking.schedule_tick()))

    def tick_now(session: Session) -> None:
        """On SQLite the tick waits for the whole transaction, on PostgreSQL it passes over the site."""
        other.start()
        if not rig.db.is_sqlite:
            other.join(30)

    with at_commit(rig.db, tick_now):
        change(rig, changing)
    other.join(30)
    assert started == [0]
    assert outcomes(rig) == {("withdrawn", False)}
    assert ticking.schedule_tick() == 0


class at_commit:
    """Call something within the next transaction that commits, before it does."""

    def __init__(self, db: Database, call: Callable[[Session], None]) -> None:
        self.calls = [call]
        self.of = db._writers

    def __enter__(self) -> None:
        sa.event.listen(self.of, "before_commit", self._once)

    def __exit__(self, *_: object) -> None:
        sa.event.remove(self.of, "before_commit", self._once)

    def _once(self, session: Session) -> None:
        if self.calls:
            self.calls.pop()(session)


@BOTH
def test_whoever_comes_first_a_slot_that_is_started_and_removed_at_once_has_one_record(rig: Rig) -> None:
    ticking, changing = rig.engine(), rig.engine()
    together = threading.Barrier(2)

    def at_once(what: Callable[..., object], *args: object) -> threading.Thread:
        thread = threading.Thread(target=lambda: (together.wait(30), what(*args)))
        thread.start()
        return thread

    for day in range(22, 27):
        rig.clock.set(at(day, 12, 30))
        give(rig, ticking, DIGEST)
        rig.clock.set(at(day, 13))
        before, rows = len(rig.fires()), len(rig.rows())
        for thread in (at_once(ticking.schedule_tick), at_once(remove, rig, changing)):
            thread.join(60)
        fire = rig.fires()[-1]
        assert (len(rig.fires()) - before, fire.scheduled_for) == (1, at(day, 13))
        assert len(rig.rows()) - rows == (fire.outcome == "started") == (fire.execution_id is not None)
        ticking.run_due()
