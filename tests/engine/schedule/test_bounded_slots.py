"""However long nothing ran, what pends is found and recorded in a bounded number of steps, and delays no other site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cronsim import CronSim

from addon.base import Database, ScheduleSpec, TenantId
from addon.engine import Engine, EngineSettings, queries
from addon.engine.models import JobSchedule, ScheduleFire
from addon.engine.schedule import cron
from tests.engine.conftest import BOTH, Rig

MAILS = "send-notifications"
REFRESH = ScheduleSpec("refresh-statuses", "", "Refresh", "0 */6 * * *", "UTC")
HOLD = timedelta(days=60)
A_DAY_OF_FIVES = 24 * 12
FIVES = 60 * A_DAY_OF_FIVES
"""Slots of five minutes in sixty days, the last one at their very end."""


def rules(number: int, crons: str = "*/5 * * * *", zone: str = "UTC") -> list[ScheduleSpec]:
    return [ScheduleSpec(MAILS, f"s/{n:03}", f"rule {n}", crons, zone) for n in range(number)]


def give(rig: Rig, engine: Engine, *specs: ScheduleSpec, tenant: TenantId | None = None) -> None:
    with rig.db.write(tenant or rig.tenant) as session:
        engine.replace_schedules(session, tenant or rig.tenant, specs)


def hold(rig: Rig, engine: Engine, *, on: bool) -> None:
    with rig.db.write(rig.tenant) as session:
        engine.set_hold(session, rig.tenant, on=on, reason="moving")


@contextmanager
def counted(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Count the statements that are sent and the times of crons that are looked at."""
    steps = {"statements": 0, "times": 0}

    class Counting(CronSim):
        def __next__(self) -> datetime:
            steps["times"] += 1
            return super().__next__()

    def note(*_: Any) -> None:
        steps["statements"] += 1

    monkeypatch.setattr(cron, "CronSim", Counting)
    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield steps
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


@BOTH
def test_after_sixty_days_three_hundred_rules_of_five_minutes_start_at_once_and_so_does_the_other_site(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig.engine()
    give(rig, engine, *rules(300))
    hold(rig, engine, on=True)
    other = rig.new_tenant()
    rig.open(engine, other)
    rig.clock.advance(HOLD)
    give(rig, engine, REFRESH, tenant=other)
    hold(rig, engine, on=False)
    rig.clock.set(rig.clock.now().replace(hour=18))
    with counted(rig.db, monkeypatch) as steps:
        assert engine.schedule_tick() == 2
    assert {row.tenant_id for row in rig.rows()} == {rig.tenant, other}
    run = next(row for row in rig.rows() if row.tenant_id == rig.tenant)
    assert len(run.params["rules"]) == 300, "all that is due of a job starts together"
    assert steps["statements"] < 50, "statements do not grow with rules or slots"
    assert steps["times"] < 300 * 20, "of each rule a few times are looked at"
    fires = [fire for fire in rig.fires() if fire.tenant_id == rig.tenant]
    assert len(fires) <= 1000
    assert {fire.outcome for fire in fires if fire.execution_id is None} == {"skipped_late"}
    slots = FIVES + 6 * 12
    assert sum(1 + fire.earlier for fire in fires) == 300 * slots, "none is left out"
    joined = [fire for fire in fires if fire.outcome == "coalesced"]
    assert sum(1 + fire.earlier for fire in joined) == 300 * A_DAY_OF_FIVES
    late = [fire for fire in fires if fire.outcome == "skipped_late"]
    assert {(fire.reason, fire.earlier_since) for fire in late} == {
        ("hold", datetime(2026, 11, 22, 12, 5, tzinfo=UTC)),
    }


@pytest.mark.parametrize("days", [1, 60, 900, 3000])
def test_finding_what_pends_takes_as_many_steps_after_years_as_after_a_day(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    engine = rig.engine(settings=EngineSettings(recorded_slots=10))
    give(rig, engine, *rules(2, "*/7 1-22 * * *", "Europe/Berlin"))
    rig.clock.advance(timedelta(days=days))
    with counted(rig.db, monkeypatch) as steps:
        assert engine.schedule_tick() == 1
    assert steps["times"] < 60
    assert steps["statements"] < 30
    assert len(rig.fires()) == 10


@BOTH
@pytest.mark.parametrize("recorded", [1, 3, 4, 30, 400])
def test_the_record_has_each_slot_once_however_few_records_there_may_be(rig: Rig, recorded: int) -> None:
    engine = rig.engine(settings=EngineSettings(recorded_slots=recorded))
    give(rig, engine, *rules(1, "*/20 * * * *", "Europe/Berlin"))
    hold(rig, engine, on=True)
    rig.clock.advance(timedelta(days=2, hours=1))
    hold(rig, engine, on=False)
    assert engine.schedule_tick() == 1
    now, fires = rig.clock.now(), rig.fires()
    assert len(fires) <= max(recorded, 3)
    slots = [rig.clock.now() - n * timedelta(minutes=20) for n in range(49 * 3)]
    shared: list[datetime] = []
    for fire in fires:
        if fire.earlier:
            assert fire.earlier_since is not None
            covered = [slot for slot in slots if fire.earlier_since <= slot < fire.scheduled_for]
            assert len(covered) == fire.earlier
            shared += covered
        in_time = now - fire.scheduled_for <= timedelta(hours=24)
        expected = "started" if fire.scheduled_for == now else "coalesced" if in_time else "skipped_late"
        assert (fire.outcome, fire.reason is None) == (expected, expected == "started")
        since = fire.earlier_since
        assert since is None or (now - since <= timedelta(hours=24)) == in_time, "of one fate"
    assert sorted([*shared, *(fire.scheduled_for for fire in fires)]) == sorted(slots)


def switch_off(specs: list[ScheduleSpec]) -> list[ScheduleSpec]:
    return [replace(spec, enabled=False) for spec in specs]


def remove(specs: list[ScheduleSpec]) -> list[ScheduleSpec]:
    return []


@BOTH
@pytest.mark.parametrize("change", [switch_off, remove])
def test_a_change_of_what_has_pended_for_long_is_bounded_as_well(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, change: Callable[[list[ScheduleSpec]], list[ScheduleSpec]]
) -> None:
    engine, specs = rig.engine(), rules(100)
    give(rig, engine, *specs)
    hold(rig, engine, on=True)
    rig.clock.advance(HOLD)
    with counted(rig.db, monkeypatch) as steps:
        give(rig, engine, *change(specs))
    assert steps["times"] < 100 * 40
    assert steps["statements"] < 250, "two for each rule at most, and what was in the way is asked once"
    fires = rig.fires()
    assert len(fires) <= 1000
    assert sum(1 + fire.earlier for fire in fires if fire.outcome == "withdrawn") == 100 * (A_DAY_OF_FIVES + 1)
    assert sum(1 + fire.earlier for fire in fires) == 100 * FIVES


def test_a_schedule_that_pended_for_more_than_ten_years_still_starts(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, *rules(1))
    with rig.db.write(rig.tenant) as session:
        long_ago = datetime(1, 1, 2, tzinfo=UTC)
        session.execute(sa.update(JobSchedule).values(next_fire_at=long_ago, recorded_until=None))
    assert engine.schedule_tick() == 1
    assert sum(1 + fire.earlier for fire in rig.fires()) == 3652 * A_DAY_OF_FIVES


def test_a_slot_that_has_a_record_does_not_start_again_when_its_schedule_is_taken_back(rig: Rig) -> None:
    """As by a new installation on a host whose clock is behind."""
    engine = rig.engine()
    give(rig, engine, *rules(1))
    rig.clock.advance(600)
    assert engine.schedule_tick() == 1
    engine.run_due()
    with rig.db.write(rig.tenant) as session:
        session.execute(sa.update(JobSchedule).values(next_fire_at=datetime(2026, 11, 22, 12, 5, tzinfo=UTC)))
    assert engine.schedule_tick() == 0
    rig.clock.advance(299)
    assert engine.schedule_tick() == 0
    rig.clock.advance(1)
    assert engine.schedule_tick() == 1
    fires = rig.fires()
    assert [(fire.scheduled_for.minute, fire.outcome, fire.earlier) for fire in fires] == [
        (5, "coalesced", 0),
        (10, "started", 0),
        (15, "started", 0),
    ]


def test_an_execution_names_a_few_slots_and_counts_all_that_it_covers(rig: Rig) -> None:
    engine = rig.engine(settings=EngineSettings(recorded_slots=30))
    give(rig, engine, *rules(1))
    rig.clock.advance(timedelta(hours=20))
    assert engine.schedule_tick() == 1
    with rig.db.read(rig.tenant) as session:
        named, more = queries.slots(session, rig.rows()[0].id)
        missed, _ = queries.missed(session, rig.tenant, limit=100)
        stored = session.scalar(sa.select(sa.func.count()).select_from(ScheduleFire))
    assert (len(named), more, stored) == (20, 20 * 12 - 20, 30)
    assert sum(1 + slot.earlier for slot in missed) == 20 * 12 - 1
    assert missed[-1].earlier_since == datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
