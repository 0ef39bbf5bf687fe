"""What becomes of a schedule's slots? Each that is over has one record: started, joined, skipped or withdrawn."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from addon.base.database import insert
from addon.engine.core import Core
from addon.engine.cron import fires_until, next_fire
from addon.engine.lane import active
from addon.engine.models import JobExecution, JobSchedule, ScheduleFire
from addon.engine.obstacles import NONE, Obstacles, in_the_way

RECORDED_SLOTS = 1000
"""Missed slots of one schedule that are recorded one by one; a hold over many more leaves the oldest without a row."""

LONGEST_LATENESS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Due:
    """One due schedule: `newest` is the slot to start, if it is not `too_late`; `older` ones were missed."""

    schedule: JobSchedule
    newest: datetime
    older: tuple[datetime, ...]
    too_late: bool
    coalesce_from: datetime

    @property
    def oldest(self) -> datetime:
        """Return the first slot that is not recorded yet."""
        return self.older[0] if self.older else self.newest

    def in_time(self, slot: datetime) -> bool:
        """Return whether `slot` can still be started, or joined to the start of the newest."""
        return not self.too_late and slot >= self.coalesce_from


def look(schedule: JobSchedule, now: datetime) -> Due:
    """Look at the slots of a due schedule from its next time up to now. Raises ValueError as `next_fire` does."""
    assert schedule.next_fire_at is not None
    slots: deque[datetime] = deque([schedule.next_fire_at], maxlen=RECORDED_SLOTS)
    slots.extend(fires_until(schedule.cron, schedule.time_zone, schedule.next_fire_at, now))
    following = next_fire(schedule.cron, schedule.time_zone, slots[-1])
    longest = min(LONGEST_LATENESS, timedelta(seconds=schedule.max_lateness_s))
    period = following - slots[-1] if following is not None else longest
    newest = slots[-1]
    return Due(
        schedule=schedule,
        newest=newest,
        older=tuple(slots)[:-1],
        too_late=now - newest > min(longest, period),
        coalesce_from=now - longest,
    )


def record(session: Session, due: Due, execution: JobExecution | None, now: datetime, obstacles: Obstacles) -> None:
    """Write what became of the newest slot, for which `execution` was started if at all, and of those before it."""
    starts = execution.id if execution is not None else None
    rows = []
    for slot, until in _spans(due, now):
        if starts is not None and slot == due.newest:
            rows.append(_row(due, slot, now, "started", starts))
        elif starts is not None and due.in_time(slot):
            rows.append(_row(due, slot, now, "coalesced", starts, *_why(obstacles, due, slot, until)))
        else:
            rows.append(_row(due, slot, now, "skipped_late", None, *_why(obstacles, due, slot, until)))
    _insert(session, rows)


def withdraw(core: Core, session: Session, schedule: JobSchedule, now: datetime, reason: str) -> None:
    """Write that the pending slots of a schedule will not be started, because of what happens to it (`WITHDRAWN`).

    To be called before it happens, with the lane locked. Those too late by now are skipped, as a tick would have done.
    """
    if schedule.next_fire_at is None or schedule.next_fire_at > now:
        return
    due = _look_anyway(schedule, now)
    obstacles = NONE
    if not due.in_time(due.oldest):
        running = active(session, schedule.tenant_id)
        obstacles = in_the_way(core, session, schedule.tenant_id, due.oldest, running)
    rows = []
    for slot, until in _spans(due, now):
        if due.in_time(slot):
            rows.append(_row(due, slot, now, "withdrawn", None, reason))
        else:
            rows.append(_row(due, slot, now, "skipped_late", None, *_why(obstacles, due, slot, until)))
    _insert(session, rows)


def _look_anyway(schedule: JobSchedule, now: datetime) -> Due:
    """Look also at a schedule whose cron or zone nobody can read any more: its one pending slot is known."""
    try:
        return look(schedule, now)
    except ValueError:
        assert schedule.next_fire_at is not None
        late = now - schedule.next_fire_at > LONGEST_LATENESS
        return Due(schedule, schedule.next_fire_at, (), late, now - LONGEST_LATENESS)


def _spans(due: Due, now: datetime) -> list[tuple[datetime, datetime]]:
    """Return each slot with the time up to which it was the newest."""
    slots = [*due.older, due.newest]
    return list(zip(slots, [*slots[1:], now], strict=True))


def _why(obstacles: Obstacles, due: Due, slot: datetime, until: datetime) -> tuple[str, str | None]:
    return obstacles.at(slot, until, due.schedule.job_type)


def _row(
    due: Due,
    slot: datetime,
    now: datetime,
    outcome: str,
    execution_id: str | None,
    reason: str | None = None,
    blocked_by: str | None = None,
) -> dict[str, object]:
    return {
        "schedule_id": due.schedule.id,
        "scheduled_for": slot,
        "tenant_id": due.schedule.tenant_id,
        "outcome": outcome,
        "execution_id": execution_id,
        "at": now,
        "reason": reason,
        "blocked_by": blocked_by,
    }


def _insert(session: Session, rows: list[dict[str, object]]) -> None:
    # Without this, rows go into one statement only as long as the same columns have no value.
    one = {"render_nulls": True}
    session.execute(insert(session, ScheduleFire).on_conflict_do_nothing(), rows, execution_options=one)
