"""What screens read: pages, filters, cursors, and never another tenant's rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from addon.base import Space
from addon.engine import NotFound, live_progress, queries
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
        assert queries.get(session, rig.tenant, newest[0]).id == newest[0]
        assert queries.current(session, rig.tenant) is None
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


def test_another_tenants_rows_are_not_there(rig: Rig) -> None:
    engine = rig.engine()
    started = rig.start(engine)
    engine.run_due()
    other = rig.new_tenant()
    with rig.db.read(other) as session:
        with pytest.raises(NotFound):
            queries.get(session, other, started.id)
        with pytest.raises(NotFound):
            queries.get(session, rig.tenant, started.id)
        assert queries.history(session, rig.tenant) == ([], None)
        assert queries.spaces(session, started.id) == ([], None)
        assert queries.items(session, started.id) == ([], None)
        assert queries.events(session, started.id) == []
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
