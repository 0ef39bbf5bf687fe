"""The slots of a schedule and what becomes of them. Each that is over has one record.

However many there are, they are found and recorded in a bounded number of steps: the latest ones one by one, all older
ones of the same fate as a number on the oldest of these (docs/adr/0028-bounded-slots.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from sqlalchemy.orm import Session

from addon.base import insert
from addon.engine.context import EngineContext
from addon.engine.models import JobExecution, JobSchedule, ScheduleFire
from addon.engine.schedule.cron import SECOND, fires_back, next_fire
from addon.engine.schedule.cron_count import count_fires
from addon.engine.schedule.missed import Blockers, find_blockers
from addon.engine.state.admission import active

LONGEST_LATENESS = timedelta(hours=24)
LONGEST_LOOK = timedelta(days=3652)
"""What was due longer ago leaves no record: no site is on hold for so long, but a clock may have been wrong by that."""


@dataclass(frozen=True, slots=True)
class PendingSlots:
    """One due schedule: `newest` is the slot to start, if it is not `too_late`; `older` others were missed before."""

    schedule: JobSchedule
    newest: datetime
    oldest: datetime
    older: int
    too_late: bool
    coalesce_from: datetime

    def in_time(self, slot: datetime) -> bool:
        """Return whether `slot` can still be started, or joined to the start of the newest."""
        return not self.too_late and slot >= self.coalesce_from


def pending_slots(schedule: JobSchedule, now: datetime) -> PendingSlots | None:
    """Look at the slots of a due schedule that have no record up to now; None when there are none.

    Raises ValueError when its cron or time zone cannot be read.
    """
    cron, zone = schedule.cron, schedule.time_zone
    oldest = _first_pending(schedule, now)
    if oldest is None or oldest > now:
        return None
    newest = next(fires_back(cron, zone, now), oldest)
    older = 0
    if newest > oldest:
        # The first one need not be a time of the cron: it was worked out by an earlier edition of the time zones.
        older = count_fires(cron, zone, oldest, newest - SECOND) + 1
    else:
        newest = oldest
    following = next_fire(cron, zone, newest)
    longest = min(LONGEST_LATENESS, timedelta(seconds=schedule.max_lateness_s))
    period = following - newest if following is not None else longest
    return PendingSlots(schedule, newest, oldest, older, now - newest > min(longest, period), now - longest)


def _first_pending(schedule: JobSchedule, now: datetime) -> datetime | None:
    """Return the first slot without a record.

    What lies before `recorded_until` has one. Only where that is far ahead, a clock was, and what is due now starts.
    """
    first, settled = schedule.next_fire_at, schedule.recorded_until
    assert first is not None
    if settled is not None and first < settled:
        following = next_fire(schedule.cron, schedule.time_zone, now)
        if following is None or settled <= following:
            return next_fire(schedule.cron, schedule.time_zone, settled - SECOND)
    if first < now - LONGEST_LOOK:
        return next_fire(schedule.cron, schedule.time_zone, now - LONGEST_LOOK)
    return first


def slot_records(
    pending: PendingSlots, execution: JobExecution | None, now: datetime, blockers: Blockers, most: int
) -> list[dict[str, object]]:
    """Return what became of the newest slot, for which `execution` was started if at all, and of those before it.

    There are at most `most` rows, or three where `most` is less.
    """
    starts = execution.id if execution is not None else None
    rows = []
    for each in _entries(pending, now, most):
        if starts is not None and each.slot == pending.newest:
            rows.append(_row(pending, each, now, "started", starts))
        elif starts is not None and pending.in_time(each.slot):
            rows.append(_row(pending, each, now, "coalesced", starts, *_why(blockers, pending, each)))
        else:
            rows.append(_row(pending, each, now, "skipped_late", None, *_why(blockers, pending, each)))
    return rows


def write_records(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """Write what `records` has returned, unless a slot has its record already."""
    # Without this, rows go into one statement only as long as the same columns have no value.
    one = {"render_nulls": True}
    session.execute(insert(session, ScheduleFire).on_conflict_do_nothing(), list(rows), execution_options=one)


def advance(schedule: JobSchedule, now: datetime) -> None:
    """Let a schedule whose slots up to `now` have their record be due at its next time. Raises as `next_fire` does."""
    schedule.next_fire_at = next_fire(schedule.cron, schedule.time_zone, now)
    if schedule.recorded_until is not None and schedule.recorded_until <= now:
        schedule.recorded_until = None


class Withdrawals:
    """What is recorded of a tenant's pending slots when its schedules are changed. The lane is locked meanwhile."""

    def __init__(self, context: EngineContext, session: Session, rows: Sequence[JobSchedule], now: datetime) -> None:
        """`rows`: the tenant's schedules as they were; those that are due share the records that are written."""
        self._context, self._session, self._now = context, session, now
        pending = [row.next_fire_at for row in rows if row.next_fire_at is not None and row.next_fire_at <= now]
        self._most = context.settings.recorded_slots // max(len(pending), 1)
        self._since = min(pending, default=now)
        self._blockers: Blockers | None = None

    def withdraw(self, schedule: JobSchedule, reason: str) -> None:
        """Write that its pending slots will not be started, because of what happens to it (`WITHDRAWN`).

        To be called before it happens. Those too late by now are skipped, as a tick would have done.
        """
        if schedule.next_fire_at is None or schedule.next_fire_at > self._now:
            return
        try:
            pending = pending_slots(schedule, self._now)
        except ValueError:
            withdraw_unread(self._session, schedule, self._now, reason)
            return
        if pending is None:
            return
        rows = []
        for each in _entries(pending, self._now, self._most):
            if pending.in_time(each.slot):
                rows.append(_row(pending, each, self._now, "withdrawn", None, reason))
            else:
                why = _why(self._find_blockers(schedule), pending, each)
                rows.append(_row(pending, each, self._now, "skipped_late", None, *why))
        write_records(self._session, rows)

    def _find_blockers(self, schedule: JobSchedule) -> Blockers:
        """Asked once for all schedules, and only where something was skipped."""
        if self._blockers is None:
            running = active(self._session, schedule.tenant_id)
            self._blockers = find_blockers(self._context, self._session, schedule.tenant_id, self._since, running)
        return self._blockers


def withdraw_unread(session: Session, schedule: JobSchedule, now: datetime, reason: str) -> None:
    """Write that the one pending slot that is known of a schedule that cannot be read will not be started."""
    slot = schedule.next_fire_at
    assert slot is not None
    pending = PendingSlots(schedule, slot, slot, 0, False, slot)
    write_records(session, [_row(pending, _Entry(slot, now), now, "withdrawn", None, reason)])


@dataclass(frozen=True, slots=True)
class _Entry:
    """A slot that gets a record, the newest one until `until`; `earlier` others from `since` on share it."""

    slot: datetime
    until: datetime
    earlier: int = 0
    since: datetime | None = None


def _entries(pending: PendingSlots, now: datetime, most: int) -> Iterator[_Entry]:
    """Yield the slots that get a record, the latest first: all, or the latest and a number of the others by fate."""
    cron, zone = pending.schedule.cron, pending.schedule.time_zone
    yield _Entry(pending.newest, now)
    border = max(pending.oldest, pending.coalesce_from)
    late, in_time = pending.older, 0
    if pending.older and not pending.too_late and border < pending.newest:
        if border > pending.oldest:
            border = next_fire(cron, zone, border - timedelta(microseconds=1)) or pending.newest
            in_time = count_fires(cron, zone, border - SECOND, pending.newest - SECOND)
        else:
            in_time = pending.older
        late -= in_time
    room = max(most - 1, 1)
    if in_time:
        yield from _latest(pending, pending.newest, border, in_time, max(room - bool(late), 1))
        room -= min(in_time, room - bool(late))
    if late:
        yield from _latest(pending, border if in_time else pending.newest, pending.oldest, late, max(room, 1))


def _latest(pending: PendingSlots, before: datetime, oldest: datetime, count: int, most: int) -> Iterator[_Entry]:
    """Yield the latest `most` of `count` slots from `oldest` on and before `before`; the rest goes with the last."""
    back = fires_back(pending.schedule.cron, pending.schedule.time_zone, before - SECOND)
    slots = [*takewhile(lambda slot: slot > oldest, islice(back, most)), oldest][: min(count, most)]
    for position, slot in enumerate(slots):
        until = slots[position - 1] if position else before
        earlier = count - len(slots) if position == len(slots) - 1 else 0
        yield _Entry(slot, until, earlier, oldest if earlier else None)


def _why(blockers: Blockers, pending: PendingSlots, each: _Entry) -> tuple[str, str | None]:
    if each.since is not None:
        return blockers.over(each.since, each.until, pending.schedule.job_type)
    return blockers.at(each.slot, each.until, pending.schedule.job_type)


def _row(
    pending: PendingSlots,
    each: _Entry,
    now: datetime,
    outcome: str,
    execution_id: str | None,
    reason: str | None = None,
    blocked_by: str | None = None,
) -> dict[str, object]:
    return {
        "schedule_id": pending.schedule.id,
        "scheduled_for": each.slot,
        "tenant_id": pending.schedule.tenant_id,
        "outcome": outcome,
        "execution_id": execution_id,
        "at": now,
        "reason": reason,
        "blocked_by": blocked_by,
        "earlier": each.earlier,
        "earlier_since": each.since,
    }
