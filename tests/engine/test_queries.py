"""What screens read: pages, filters, cursors, and never another tenant's rows."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from addon.base import ScheduleSpec, Space
from addon.engine import Engine, NotFound, live_progress, queries
from tests.engine.conftest import BOTH, Rig
from tests.support.fakejob import Trouble, spaces


@BOTH
def test_history_comes_newest_first_in_pages_with_filters(rig: Rig) -> None:
    engine = rig.engine()
    docs = Space(id="9", key="DOCS", name="", type="global")
    rig.job.listing = lambda run: spaces("A", "DOCS")
    for number in range(5):
        options = {"scope": "space", "space": docs} if number == 3 else {}
        rig.start(engine, job_type=(rig.mails if number % 2 else rig.job).type, **options)
        engine.run_due()
    newest = [row.id for row in reversed(rig.rows())]
    with rig.db.read(rig.tenant) as session:
        first, cursor = queries.history(session, rig.tenant, limit=2)
        second, cursor2 = queries.history(session, rig.tenant, limit=2, cursor=cursor)
        third, end = queries.history(session, rig.tenant, limit=2, cursor=cursor2)
        mails, _ = queries.history(session, rig.tenant, job=rig.mails.type, limit=10)
        none, _ = queries.history(session, rig.tenant, status="failed", limit=10)
        of_space, _ = queries.history(session, rig.tenant, space_key="DOCS", limit=10)
        assert queries.find(session, rig.tenant, newest[0]).id == newest[0]
        assert queries.active(session, rig.tenant) is None
    assert [row.id for row in (*first, *second, *third)] == newest
    assert end is None
    assert [row.job_type for row in mails] == [rig.mails.type] * 2
    assert none == []
    assert [row.id for row in of_space] == [newest[0], newest[1], newest[2], newest[4]]


def test_a_malformed_cursor_is_refused(rig: Rig) -> None:
    engine = rig.engine()
    started = rig.start(engine)
    engine.run_due()
    with rig.db.read(rig.tenant) as session:
        for cursor in ("", "x", "!!!", "bm90IGpzb24", "W10", "WzFd", "WyJhIiwxXQ", "\u00e4", "WzEsMl0"):
            with pytest.raises(ValueError, match="cursor"):
                queries.history(session, rig.tenant, cursor=cursor)
        for cursor in ("", "WyJhIl0", "W3RydWVd"):
            with pytest.raises(ValueError, match="cursor"):
                queries.spaces(session, started.id, cursor=cursor)
            with pytest.raises(ValueError, match="cursor"):
                queries.items(session, started.id, cursor=cursor)
        with pytest.raises(ValueError, match="page"):
            queries.history(session, rig.tenant, limit=0)


def test_spaces_come_in_their_order_in_pages(rig: Rig) -> None:
    engine = rig.engine()
    rig.job.listing = lambda run: spaces(*"FEDCBA")

    def call(run, space):  # type: ignore[no-untyped-def]
        if space.key in "DB":
            raise Trouble("no", transient=False)
        return {"statusesChanged": 1}

    rig.job.call = call
    started = rig.start(engine)
    engine.run_due()
    with rig.db.read(rig.tenant) as session:
        page, cursor = queries.spaces(session, started.id, limit=4)
        rest, end = queries.spaces(session, started.id, limit=4, cursor=cursor)
        failed, _ = queries.spaces(session, started.id, state="failed")
    assert [space.space_key for space in (*page, *rest)] == list("FEDCBA")
    assert end is None
    assert [(space.space_key, space.reason) for space in failed] == [("D", "no"), ("B", "no")]


HOURLY = ScheduleSpec("send-notifications", "default/stale", "Stale pages", "0 * * * *", "UTC")
MORNINGS = ScheduleSpec("send-notifications", "default/weekly", "Weekly digest", "0 8 * * *", "Europe/Berlin")


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def away_until(rig: Rig, engine: Engine, now: datetime, *specs: ScheduleSpec) -> str:
    """Give the tenant `specs`, let nobody look before `now`, and return the execution that starts then."""
    with rig.db.write(rig.tenant) as session:
        engine.replace_schedules(session, rig.tenant, specs)
    rig.clock.set(now)
    assert engine.schedule_tick() == 1
    return rig.rows()[-1].id


@BOTH
def test_an_execution_names_what_it_was_started_for_before_what_it_covers_as_well(rig: Rig) -> None:
    engine = rig.engine()
    execution = away_until(rig, engine, at(23, 10), HOURLY, MORNINGS)
    with rig.db.read(rig.tenant) as session:
        found, more = queries.slots(session, execution)
    named = [(slot.name, slot.rule_id, slot.scheduled_for, slot.outcome) for slot in found]
    assert named[:4] == [
        ("Stale pages", "default/stale", at(23, 10), "started"),
        ("Weekly digest", "default/weekly", at(23, 7), "started"),
        ("Stale pages", "default/stale", at(23, 9), "coalesced"),
        ("Stale pages", "default/stale", at(23, 8), "coalesced"),
    ]
    assert {(slot.job_type, slot.execution_id, slot.at) for slot in found} == {
        ("send-notifications", execution, at(23, 10))
    }
    # 13:00 to 10:00 are 22 slots of the one schedule, and there is one of the other.
    assert (len(found), more) == (20, 3)


@BOTH
def test_missed_slots_come_the_latest_first_in_pages_and_those_that_started_do_not(rig: Rig) -> None:
    engine = rig.engine()
    execution = away_until(rig, engine, at(24, 14), HOURLY, MORNINGS)
    with rig.db.read(rig.tenant) as session:
        found, cursor = queries.missed(session, rig.tenant, limit=31)
        pages = 1
        while cursor is not None:
            page, cursor = queries.missed(session, rig.tenant, limit=31, cursor=cursor)
            found, pages = found + page, pages + 1
    # All of 50 hours but the last, and the first of two mornings: that hour's two slots are on different pages.
    assert (len(found), pages) == (50, 2)
    assert found[30].scheduled_for == found[31].scheduled_for == at(23, 7)
    assert [slot.scheduled_for for slot in found] == sorted((slot.scheduled_for for slot in found), reverse=True)
    assert len({(slot.name, slot.scheduled_for) for slot in found}) == 50
    both = [(slot.name, slot.outcome) for slot in found if slot.scheduled_for == at(23, 7)]
    assert sorted(both) == [("Stale pages", "skipped_late"), ("Weekly digest", "skipped_late")]
    assert {slot.execution_id for slot in found if slot.outcome == "coalesced"} == {execution}
    assert {slot.execution_id for slot in found if slot.outcome == "skipped_late"} == {None}
    assert {at(24, 14) - slot.scheduled_for <= timedelta(hours=24) for slot in found if slot.execution_id} == {True}


BAD_KEYS = [
    ["2026-11-22T12:00:00", "x"],
    ["yesterday", "x"],
    ["0001-01-01T00:00:00+23:00", "x"],
    ["2026-11-22T12:00:00+00:00", "a\u0000b"],
    ["2026-11-22T12:00:00+00:00", "\ud800"],
    ["2026-11-22T12:00:00+00:00"],
]


@BOTH
def test_no_cursor_reaches_the_database_with_what_it_cannot_hold(rig: Rig) -> None:
    def cursor(*key: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()

    with rig.db.read(rig.tenant) as session:
        for key in BAD_KEYS:
            with pytest.raises(ValueError, match="cursor"):
                queries.missed(session, rig.tenant, cursor=cursor(*key))
        with pytest.raises(ValueError, match="cursor"):
            queries.history(session, rig.tenant, cursor=cursor("\u0000"))
        for number in (2**31, -1, 10**30):
            with pytest.raises(ValueError, match="cursor"):
                queries.spaces(session, "x", cursor=cursor(number))
            with pytest.raises(ValueError, match="cursor"):
                queries.items(session, "x", cursor=cursor(number))


def test_another_tenants_rows_are_not_there(rig: Rig) -> None:
    engine = rig.engine()
    started = rig.start(engine)
    engine.run_due()
    scheduled = away_until(rig, engine, at(24, 14), HOURLY)
    other = rig.new_tenant()
    with rig.db.read(other) as session:
        with pytest.raises(NotFound):
            queries.find(session, other, started.id)
        with pytest.raises(NotFound):
            queries.find(session, rig.tenant, started.id)
        assert queries.history(session, rig.tenant) == ([], None)
        assert queries.spaces(session, started.id) == ([], None)
        assert queries.items(session, started.id) == ([], None)
        assert queries.events(session, started.id) == []
        assert queries.slots(session, scheduled) == ([], 0)
        assert queries.missed(session, rig.tenant) == ([], None)
        assert queries.missed(session, other) == ([], None)
        assert queries.next_fires(session, rig.tenant) == {}
        assert queries.pending_retries(session, rig.tenant) == []
        assert queries.lane(session, rig.tenant) is None


def test_a_run_that_stands_still_is_shown_as_such(rig: Rig) -> None:
    engine = rig.engine()
    seen = []

    def call(run, space):  # type: ignore[no-untyped-def]
        now = rig.clock.now()
        seen.append(live_progress(rig.row(run.execution_id), now + timedelta(minutes=9)).stalled_since)
        seen.append(live_progress(rig.row(run.execution_id), now + timedelta(minutes=11)).stalled_since)
        return {}

    rig.job.listing = lambda run: spaces("A")
    rig.job.call = call
    started = rig.start(engine)
    waiting = live_progress(rig.row(started.id), rig.clock.now() + timedelta(hours=1))
    assert waiting.stalled_since is None
    engine.run_due()
    assert seen == [None, rig.clock.now()]
    ended = live_progress(rig.row(started.id), rig.clock.now() + timedelta(hours=1))
    assert (ended.percent, ended.seconds_left, ended.stalled_since) == (100, None, None)
