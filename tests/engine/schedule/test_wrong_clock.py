"""A clock that was wrong for a while stops nothing: what it has set too late is set right by the next tick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import ScheduleSpec, TenantId
from addon.engine import Engine, JobExecution, Pause, Run, RunSpace, queries
from addon.engine.models import JobSchedule
from addon.engine.schedule import wrong_clock
from tests.engine.conftest import BOTH, Rig
from tests.support.fakejob import Trouble

REFRESH = ScheduleSpec("refresh-statuses", "", "Refresh", "17 2,8,14,20 * * *", "UTC")
YEARLY = ScheduleSpec("send-notifications", "s/yearly", "Yearly", "0 8 2 1 *", "Europe/Berlin")
TEN_YEARS = timedelta(days=3653)
RIGHT = pytest.mark.parametrize("off", [TEN_YEARS, timedelta(hours=7), -TEN_YEARS, -timedelta(hours=7)], ids=str)


def give(rig: Rig, engine: Engine, *specs: ScheduleSpec, tenant: TenantId | None = None) -> None:
    with rig.db.write(tenant or rig.tenant) as session:
        engine.replace_schedules(session, tenant or rig.tenant, specs)


def due(rig: Rig, tenant: TenantId | None = None) -> dict[str, datetime | None]:
    with rig.db.read(tenant or rig.tenant) as session:
        return queries.next_fires(session, tenant or rig.tenant)


def wrong_for_a_tick(rig: Rig, engine: Engine, off: timedelta) -> int:
    right = rig.clock.now()
    rig.clock.set(right + off)
    started = engine.schedule_tick()
    engine.run_due()
    rig.clock.set(right)
    return started


@BOTH
@RIGHT
def test_after_a_tick_of_a_wrong_clock_the_next_tick_is_right(rig: Rig, off: timedelta) -> None:
    engine = rig.engine()
    give(rig, engine, REFRESH, YEARLY)
    wrong_for_a_tick(rig, engine, off)
    before, recorded = len(rig.rows()), {(fire.schedule_id, fire.scheduled_for) for fire in rig.fires()}
    assert engine.schedule_tick() == 0
    assert due(rig) == {
        "refresh-statuses": datetime(2026, 11, 22, 14, 17, tzinfo=UTC),
        "send-notifications": datetime(2027, 1, 2, 7, tzinfo=UTC),
    }
    slots = [datetime(2026, 11, 22, hour, 17, tzinfo=UTC) for hour in (14, 20)]
    if off == timedelta(hours=7):
        slots.pop(0)
    for slot in slots:
        rig.clock.set(slot)
        assert engine.schedule_tick() == 1, "what started early by the wrong clock does not start again, all else does"
        engine.run_due()
    assert len(rig.rows()) == before + len(slots)
    new = [fire for fire in rig.fires() if (fire.schedule_id, fire.scheduled_for) not in recorded]
    found = [(fire.outcome, fire.scheduled_for, fire.earlier) for fire in new]
    assert found == [("started", slot, 0) for slot in slots], "nothing counts as missed that was not"


@BOTH
def test_a_next_time_that_nobody_can_have_meant_is_worked_out_again_on_every_site(rig: Rig) -> None:
    engine = rig.engine()
    others = [rig.new_tenant() for _ in range(3)]
    for tenant in others:
        rig.open(engine, tenant)
    for tenant in (rig.tenant, *others):
        give(rig, engine, REFRESH, YEARLY, tenant=tenant)
    expected = due(rig)
    with rig.db.write_all() as session:
        session.execute(sa.update(JobSchedule).values(next_fire_at=datetime(2036, 1, 1, tzinfo=UTC)))
    engine.schedule_tick()
    assert [due(rig, tenant) for tenant in (rig.tenant, *others)] == [expected] * 4


def test_more_schedules_than_a_portion_are_compared_one_portion_after_the_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_clock, "PORTION", 10)
    engine = rig.engine()
    give(rig, engine, *(ScheduleSpec("send-notifications", f"s/{n}", "", "0 * * * *", "UTC") for n in range(35)))
    with rig.db.write(rig.tenant) as session:
        rows = session.scalars(sa.select(JobSchedule).order_by(JobSchedule.id)).all()
        rows[27].next_fire_at = rows[34].next_fire_at = datetime(2036, 1, 1, tzinfo=UTC)
    assert wrong(rig) == 2
    for left in (2, 2, 0):
        engine.schedule_tick()
        assert wrong(rig) == left, "two portions are right, with the third all that follow are compared"


def wrong(rig: Rig) -> int:
    with rig.db.read(rig.tenant) as session:
        late = sa.select(sa.func.count()).select_from(JobSchedule).where(JobSchedule.next_fire_at > rig.clock.now())
        return session.scalar(late.where(JobSchedule.next_fire_at >= datetime(2030, 1, 1, tzinfo=UTC))) or 0


@BOTH
def test_a_retry_that_was_noted_by_a_clock_ahead_comes_after_its_wait(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.call = failing
    right = rig.clock.now()
    rig.start(engine, trigger="scheduled")
    rig.clock.set(right + TEN_YEARS)
    engine.run_due()
    rig.clock.set(right)
    assert engine.schedule_tick() == 0
    (retry,) = rig.retries()
    assert retry.due_at == right + timedelta(minutes=5)
    rig.clock.advance(300)
    assert engine.schedule_tick() == 1


@BOTH
def test_a_run_that_was_paused_by_a_clock_ahead_goes_on(rig: Rig) -> None:
    engine = rig.engine()
    pauses = [rig.clock.now() + TEN_YEARS + timedelta(minutes=30), rig.clock.now() + timedelta(minutes=30)]

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if pauses:
            raise Pause(pauses.pop(0), "the quota is used up")
        return {}

    rig.job.call = call
    started = rig.start(engine)
    engine.run_due()
    assert engine.run_due() == 0
    engine.schedule_tick()
    assert engine.run_due() == 1, "it begins again, and pauses as long as is right"
    assert rig.row(started.id).not_before == rig.clock.now() + timedelta(minutes=30)
    engine.schedule_tick()
    assert engine.run_due() == 0, "a pause that can be meant is left alone"
    rig.clock.advance(timedelta(minutes=30))
    engine.run_due()
    ended: JobExecution = rig.row(started.id)
    assert ended.status == "successful"


def failing(run: Run, space: RunSpace) -> dict[str, Any]:
    raise Trouble("503", transient=True)
