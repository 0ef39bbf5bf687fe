"""Hints on both databases: one row per subject, the newest time wins, each tenant sees its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from addon.base import Database, TenantId
from addon.confluence import forget_hints, hints_since, note_hint
from tests.support.clock import VirtualClock


def _note(db: Database, tenant_id: TenantId, event: str, at: datetime, space_key: str | None = None) -> None:
    with db.write(tenant_id) as session:
        note_hint(session, tenant_id, kind="page", subject_id="7", event=event, space_key=space_key, at=at)


def test_the_newest_hint_of_a_subject_stays_and_old_ones_go(
    db: Database, clock: VirtualClock, tenant_in: Callable[..., TenantId]
) -> None:
    mine, other, now = tenant_in(db), tenant_in(db), clock.now()
    _note(db, mine, "page_moved", now, "DOCS")
    _note(db, mine, "page_created", now - timedelta(seconds=1))
    _note(db, other, "page_removed", now)
    with db.read(mine) as session:
        [hint] = hints_since(session, mine, now)
        assert (hint.event, hint.space_key, hint.heard_at) == ("page_moved", "DOCS", now)
    _note(db, mine, "page_updated", now + timedelta(seconds=1))
    with db.read(mine) as session:
        [hint] = hints_since(session, mine, now)
        assert (hint.event, hint.space_key) == ("page_updated", "DOCS")
    with db.write_all() as session:
        forget_hints(session, now + timedelta(seconds=1))
    with db.read_all() as session:
        assert len(hints_since(session, mine, now)) == 1
        assert hints_since(session, other, now) == []
