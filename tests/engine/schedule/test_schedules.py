"""Slots: which start, which are coalesced, which are too late, and that none is lost or fired twice."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from addon.base import ScheduleSpec
from addon.engine import Engine, queries
from addon.engine.models import AuditEvent, JobSchedule
from tests.engine.conftest import EVERYWHERE, Rig

EVERY_SIX_HOURS = ScheduleSpec("refresh-statuses", "", "Refresh", "17 2,8,14,20 * * *", "UTC")
MONDAYS = ScheduleSpec("send-notifications", "default/weekly", "Weekly", "0 8 * * mon", "Europe/Berlin")


def give(rig: Rig, engine: Engine, *specs: ScheduleSpec) -> None:
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, specs)


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@EVERYWHERE
def test_a_slot_starts_a_site_execution_once_and_moves_on(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS, MONDAYS)
    with rig.db.read(rig.tenant) as session:
        due = queries.next_fires(session, rig.tenant)
    assert due == {"refresh-statuses": at(22, 14, 17), "send-notifications": at(23, 7)}
    rig.clock.set(at(22, 14, 16))
    assert engine.schedule_tick() == 0
    rig.clock.set(at(22, 14, 17))
    assert engine.schedule_tick() == 1
    assert engine.schedule_tick() == 0
    (row,) = rig.rows()
    assert (row.trigger, row.scope, row.started_by, row.params) == ("scheduled", "site", None, {})
    (fire,) = rig.fires()
    assert (fire.outcome, fire.execution_id, fire.scheduled_for) == ("started", row.id, at(22, 14, 17))
    with rig.db.read(rig.tenant) as session:
        assert queries.next_fires(session, rig.tenant)["refresh-statuses"] == at(22, 20, 17)
    assert rig.event(row.id, "started").actor_type == "schedule"


@EVERYWHERE
def test_of_two_processes_ticking_at_once_one_fires_the_slot(rig: Rig) -> None:
    engines = [rig.engine(), rig.engine()]
    give(rig, engines[0], EVERY_SIX_HOURS)
    rig.clock.set(at(22, 14, 17))
    together = threading.Barrier(2)
    started: list[int] = []

    def tick(engine: Engine) -> None:
        together.wait()
        started.append(engine.schedule_tick())

    threads = [threading.Thread(target=tick, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [0, 1]
    assert len(rig.rows()) == len(rig.fires()) == 1


@EVERYWHERE
def test_a_slot_that_meets_a_busy_lane_writes_nothing_and_starts_when_it_is_free(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS)
    manual = rig.start(engine, job_type=rig.mails.type)
    rig.clock.set(at(22, 14, 30))
    assert engine.schedule_tick() == 0
    assert rig.fires() == []
    rig.cancel(engine, manual.id)
    assert engine.schedule_tick() == 1
    (fire,) = rig.fires()
    assert (fire.scheduled_for, fire.at) == (at(22, 14, 17), at(22, 14, 30))


@EVERYWHERE
def test_missed_slots_collapse_into_one_start_and_are_all_accounted_for(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS)
    rig.clock.set(at(24, 9))
    assert engine.schedule_tick() == 1
    outcomes = {fire.scheduled_for: fire.outcome for fire in rig.fires()}
    assert outcomes == {
        at(22, 14, 17): "skipped_late",
        at(22, 20, 17): "skipped_late",
        at(23, 2, 17): "skipped_late",
        at(23, 8, 17): "skipped_late",
        at(23, 14, 17): "coalesced",
        at(23, 20, 17): "coalesced",
        at(24, 2, 17): "coalesced",
        at(24, 8, 17): "started",
    }
    engine.run_due()
    assert engine.schedule_tick() == 0


@EVERYWHERE
def test_a_slot_too_late_to_make_sense_is_skipped_and_said_so(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, MONDAYS)
    rig.clock.set(at(24, 7, 1))
    assert engine.schedule_tick() == 0
    (fire,) = rig.fires()
    assert (fire.outcome, fire.execution_id, fire.scheduled_for) == ("skipped_late", None, at(23, 7))
    assert rig.rows() == []
    with rig.db.read(rig.tenant) as session:
        assert queries.next_fires(session, rig.tenant) == {"send-notifications": at(30, 7)}


@EVERYWHERE
def test_all_due_rules_of_a_job_share_one_execution_and_the_oldest_job_goes_first(rig: Rig) -> None:
    engine = rig.engine()
    rules = [ScheduleSpec("send-notifications", name, name, "0 8 * * *", "UTC") for name in ("s/a", "s/b")]
    later = ScheduleSpec("send-notifications", "s/later", "later", "0 20 * * *", "UTC")
    refresh = ScheduleSpec("refresh-statuses", "", "Refresh", "30 19 * * *", "UTC")
    give(rig, engine, *rules, later, refresh)
    rig.clock.set(at(23, 8))
    engine.schedule_tick()
    engine.run_due()
    engine.schedule_tick()
    engine.run_due()
    first, second = rig.rows()
    assert first.job_type == "refresh-statuses"
    assert second.job_type == "send-notifications"
    assert set(second.params["rules"]) == {"s/a", "s/b", "s/later"}, "yesterday evening's slot is still in time"
    assert {fire.execution_id for fire in rig.fires()} == {first.id, second.id}
    rig.clock.set(at(23, 20))
    engine.schedule_tick()
    engine.run_due()
    engine.schedule_tick()
    assert rig.rows()[-1].params["rules"] == ["s/later"], "a scheduled run takes only the rules that are due"


def test_manual_runs_neither_shift_nor_replace_a_slot(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS)
    rig.clock.set(at(22, 14))
    rig.start(engine)
    engine.run_due()
    rig.clock.set(at(22, 14, 17))
    assert engine.schedule_tick() == 1


def test_unchanged_schedules_keep_their_pending_slot_and_changed_ones_begin_anew(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS, MONDAYS)
    rig.clock.set(at(23, 9))
    changed = ScheduleSpec(MONDAYS.job_type, MONDAYS.rule_id, "Renamed", "0 9 * * tue", "Europe/Berlin")
    give(rig, engine, EVERY_SIX_HOURS, changed)
    with rig.db.read(rig.tenant) as session:
        due = queries.next_fires(session, rig.tenant)
    assert due == {"refresh-statuses": at(22, 14, 17), "send-notifications": at(24, 8)}
    off = ScheduleSpec(MONDAYS.job_type, MONDAYS.rule_id, "Renamed", "0 9 * * tue", "Europe/Berlin", enabled=False)
    give(rig, engine, off)
    with rig.db.read(rig.tenant) as session:
        assert queries.next_fires(session, rig.tenant) == {"send-notifications": None}
    rig.clock.set(at(25, 9))
    assert engine.schedule_tick() == 0
    give(rig, engine, changed)
    with rig.db.read(rig.tenant) as session:
        assert queries.next_fires(session, rig.tenant) == {"send-notifications": at(1, 8, month=12)}


def test_a_bad_schedule_is_refused(rig: Rig) -> None:
    engine = rig.engine()
    for cron, zone in (("* * * *", "UTC"), ("0 25 * * *", "UTC"), ("0 8 * * *", "Mars/Olympus"), ("x", "UTC")):
        with pytest.raises(ValueError, match=r"cron|zone"):
            give(rig, engine, ScheduleSpec("refresh-statuses", "", "", cron, zone))
    with pytest.raises(ValueError, match="same rule id"):
        give(rig, engine, EVERY_SIX_HOURS, EVERY_SIX_HOURS)


def test_after_a_reinstall_every_next_time_is_counted_from_now(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS)
    rig.clock.set(at(25, 9))
    with rig.db.write(rig.tenant) as session:
        engine.restart_schedules(session, rig.tenant)
    assert engine.schedule_tick() == 0
    with rig.db.read(rig.tenant) as session:
        assert queries.next_fires(session, rig.tenant) == {"refresh-statuses": at(25, 14, 17)}


def test_a_refused_slot_stays_pending_and_keeps_no_other_job_waiting(rig: Rig) -> None:
    engine = rig.engine()
    daily = ScheduleSpec("send-notifications", "s/a", "a", "0 8 * * *", "UTC")
    refresh = ScheduleSpec("refresh-statuses", "", "Refresh", "30 8 * * *", "UTC")
    give(rig, engine, daily, refresh)
    rig.mails.refusal = "no mail transport is configured"
    rig.clock.set(at(23, 9))
    assert engine.schedule_tick() == 1
    engine.run_due()
    assert [row.job_type for row in rig.rows()] == ["refresh-statuses"]
    rig.mails.refusal = None
    assert engine.schedule_tick() == 1
    assert rig.rows()[-1].params == {"rules": ["s/a"]}


@EVERYWHERE
@pytest.mark.parametrize("why", ["first_run", "hold", "closed"])
def test_a_tenant_on_hold_starts_and_writes_nothing_for_thirty_days_and_then_at_most_one_each(
    rig: Rig, why: str
) -> None:
    engine = rig.engine()
    tenant = rig.new_tenant()
    with rig.db.write(tenant) as session:
        engine.open_lane(session, tenant, first_run=why == "first_run")
        engine.replace_schedules(session, tenant, [EVERY_SIX_HOURS, MONDAYS])
        if why == "hold":
            engine.set_hold(session, tenant, on=True, reason="moving house", by="u-1")
        if why == "closed":
            engine.close_lane(session, tenant)
    with rig.db.read_all() as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(AuditEvent))
    for _ in range(30):
        rig.clock.advance(timedelta(hours=24))
        assert engine.schedule_tick() == 0
        engine.reaper_tick()
    assert engine.run_due() == 0
    assert rig.rows() == []
    assert rig.fires() == []
    with rig.db.read_all() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditEvent)) == before
    with rig.db.write(tenant) as session:
        engine.open_lane(session, tenant, first_run=False)
        engine.set_hold(session, tenant, on=False)
        engine.confirm_first_run(session, tenant)
    for _ in range(5):
        engine.schedule_tick()
        engine.run_due()
    assert [row.job_type for row in rig.rows()] == ["refresh-statuses"], "Monday's mails are five days late"
    outcomes = [fire.outcome for fire in rig.fires()]
    assert (outcomes.count("started"), outcomes.count("coalesced")) == (1, 3)
    assert len(outcomes) == 30 * 4 + 5


def test_one_tenants_broken_schedule_keeps_no_other_tenant_waiting(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    engine = rig.engine()
    give(rig, engine, EVERY_SIX_HOURS)
    other = rig.new_tenant()
    rig.open(engine, other)
    with rig.db.write(other) as session:
        engine.replace_schedules(session, other, [EVERY_SIX_HOURS])
        session.execute(sa.update(JobSchedule).values(time_zone="Atlantis/Main_Square"))
    rig.clock.set(at(22, 15))
    assert engine.schedule_tick() == 1
    assert rig.rows()[0].tenant_id == rig.tenant


def test_slots_of_a_month_of_minutes_are_accounted_for_within_reason(rig: Rig) -> None:
    engine = rig.engine()
    give(rig, engine, ScheduleSpec("refresh-statuses", "", "Refresh", "* * * * *", "UTC"))
    rig.clock.advance(timedelta(days=30))
    assert engine.schedule_tick() == 1
    assert len(rig.fires()) == 1000
