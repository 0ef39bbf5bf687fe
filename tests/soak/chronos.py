"""The judge of slots: each fired exactly once, in time, by the rows, a plain list of slots, and who did what."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from addon.base import Database, TenantId
from addon.engine import TERMINAL, ExecutionSpace, JobExecution, RetryDue
from addon.engine.models import JobSchedule, ScheduleFire
from tests.engine.model.slots import plain_slots
from tests.soak.clockwork import ATTEMPTS, PRECEDING, RETRY, TICK

Span = tuple[datetime, datetime]
AHEAD = timedelta(hours=28)
MINUTE = timedelta(minutes=1)


def end_of(row: JobExecution) -> datetime:
    """Return when an execution that has ended did so."""
    assert row.ended_at is not None
    return row.ended_at


@dataclass(frozen=True, slots=True)
class Hold:
    """Scheduled starts were held: asked for at `asked`, surely from `since` to `until`, surely no more from `free`."""

    tenant: TenantId
    asked: datetime
    since: datetime
    until: datetime
    free: datetime


@dataclass
class Diary:
    """What was done to the processes and the sites, on the compressed clock."""

    holds: list[Hold] = field(default_factory=list)
    reinstalled: list[tuple[TenantId, datetime]] = field(default_factory=list)
    dropped: dict[str, set[datetime]] = field(default_factory=dict)
    """By schedule: pending slots that a re-install let go: they are in the record as that."""
    again: dict[str, set[datetime]] = field(default_factory=dict)
    """By schedule: slots that had been dealt with and that a re-install made due again."""
    ended: set[str] = field(default_factory=set)
    """Failed executions whose waiting retry a re-install ended."""
    stops: list[Span] = field(default_factory=list)
    ticks: list[tuple[float, float, int]] = field(default_factory=list)
    """Each tick that came to its end: begin, end, how many executions it started."""
    left: dict[str, list[float]] = field(default_factory=dict)
    """By execution: when runs of it were over and that could be seen."""
    complaints: list[str] = field(default_factory=list)

    def note(self, kind: str, *what: Any) -> None:
        """Take down what a process has seen."""
        if kind == "tick":
            self.ticks.append((what[0], what[1], what[2]))
        elif kind == "left":
            self.left.setdefault(what[0], []).append(what[1])
        else:
            self.complaints.append(what[0])


def slots_after(born: datetime, schedule: JobSchedule) -> list[datetime]:
    """Return the slots of a schedule that was made at `born`, a full minute, up to that of the next day."""
    found = plain_slots(schedule.cron, schedule.time_zone, born, step=MINUTE, span=AHEAD)
    return [slot for slot in found if slot > born]


class Chronos:
    """The rows of all sites after the last process has ended, and what was promised about them."""

    def __init__(self, db: Database, diary: Diary, born: datetime, few: int) -> None:
        """`born`: when the schedules were made; `few`: whole ticks that may overlook what could start."""
        with db.read_all() as session:
            self.schedules = {row.id: row for row in session.scalars(sa.select(JobSchedule))}
            self.executions = list(session.scalars(sa.select(JobExecution).order_by(JobExecution.started_at)))
            fires = list(session.scalars(sa.select(ScheduleFire).order_by(ScheduleFire.scheduled_for)))
            self.waiting = {row.failed_execution_id: row for row in session.scalars(sa.select(RetryDue))}
            self.spaces: dict[str, list[ExecutionSpace]] = {}
            for space in session.scalars(sa.select(ExecutionSpace).order_by(ExecutionSpace.position)):
                self.spaces.setdefault(space.execution_id, []).append(space)
        self.fires: dict[str, list[ScheduleFire]] = {key: [] for key in self.schedules}
        self.fires_of: dict[str, list[ScheduleFire]] = {row.id: [] for row in self.executions}
        for fire in fires:
            self.fires[fire.schedule_id].append(fire)
            if fire.execution_id is not None:
                self.fires_of[fire.execution_id].append(fire)
        self.of_tenant: dict[TenantId, list[JobExecution]] = {}
        for row in self.executions:
            self.of_tenant.setdefault(row.tenant_id, []).append(row)
        self.diary, self.born, self.few = diary, born, few
        self.ticks = sorted(diary.ticks)
        self.tick_begins = [began for began, _, _ in self.ticks]
        self.slow = [(began, ended) for began, ended, _ in self.ticks if ended - began > TICK]
        self.overlooked: Counter[int] = Counter()
        self.worst, self.worst_free = timedelta(0), 0.0
        self.late = self.shared = 0
        self.in_stops: dict[Span, set[TenantId]] = {}

    def check(self, until: datetime) -> dict[str, object]:
        """Assert all that was promised; return what was counted. At `until` all schedules were held."""
        assert not self.diary.complaints, self.diary.complaints
        for schedule in self.schedules.values():
            self._each_slot_in_one_record(schedule)
        for row in self.executions:
            if row.trigger == "scheduled":
                self._start(row)
            else:
                assert not self.fires_of[row.id], "a retry fires no slot"
            self._retry_of(row)
        for tenant, rows in self.of_tenant.items():
            assert all(row.status in TERMINAL for row in rows)
            for one, other in pairwise(rows):
                assert end_of(one) <= other.started_at, f"two active at {other.started_at}: {one.id}, {other.id}"
            for hold in self.diary.holds:
                if hold.tenant == tenant:
                    assert not any(hold.since < row.started_at < hold.until for row in rows), "held"
        self._lateness(until)
        return self._figures()

    # Each slot once

    def slots(self, schedule: JobSchedule) -> list[datetime]:
        return slots_after(self.born, schedule)

    def _each_slot_in_one_record(self, schedule: JobSchedule) -> None:
        """Those before its next time have one, no other has; what is due then and has none is looked at as late."""
        following, fires = schedule.next_fire_at, self.fires[schedule.id]
        slots = self.slots(schedule)
        assert following in slots
        recorded = {slot for fire in fires for slot in self._covered(fire, slots)}
        passed = {slot for slot in slots if slot < following}
        wrong = recorded - passed - self.diary.again.get(schedule.id, set())
        assert not wrong, f"{schedule.name}: {sorted(wrong)} are no slots, or are due for ever"
        assert not passed - recorded, f"{schedule.name}: {sorted(passed - recorded)} are in no record"
        dropped = self.diary.dropped.get(schedule.id, set())
        for fire in fires:
            late = fire.at - fire.scheduled_for
            assert late >= timedelta(0), "no slot before its time"
            in_time = late <= timedelta(seconds=schedule.max_lateness_s)
            assert (fire.outcome == "skipped_late") == (not in_time)
            assert (fire.execution_id is None) == (fire.outcome in ("skipped_late", "withdrawn"))
            assert (fire.reason is None) == (fire.outcome == "started")
            if fire.outcome == "withdrawn":
                assert (fire.reason, fire.scheduled_for in dropped) == ("installed", True), "nobody took it back"
            if fire.outcome == "coalesced":
                self._coalesced(fire)

    def _covered(self, fire: ScheduleFire, slots: list[datetime]) -> list[datetime]:
        """Return the slots that a record covers: as many as it says, and all of one fate."""
        if not fire.earlier:
            assert fire.earlier_since is None
            return [fire.scheduled_for]
        assert fire.earlier_since is not None
        earlier = [slot for slot in slots if fire.earlier_since <= slot < fire.scheduled_for]
        assert len(earlier) == fire.earlier
        assert earlier[0] == fire.earlier_since
        longest = timedelta(seconds=self.schedules[fire.schedule_id].max_lateness_s)
        assert len({fire.at - slot <= longest for slot in (*earlier, fire.scheduled_for)}) == 1
        self.shared += fire.earlier
        return [*earlier, fire.scheduled_for]

    def _coalesced(self, fire: ScheduleFire) -> None:
        assert fire.execution_id is not None
        started = [each for each in self.fires_of[fire.execution_id] if each.outcome == "started"]
        (taker,) = [each for each in started if each.schedule_id == fire.schedule_id]
        assert (taker.at, taker.scheduled_for > fire.scheduled_for) == (fire.at, True), "the newest takes the older"

    def _start(self, row: JobExecution) -> None:
        fires = [fire for fire in self.fires_of[row.id] if fire.outcome == "started"]
        assert fires, f"{row.id} of {row.job_type} started without a slot of its own"
        mine = [self.schedules[fire.schedule_id] for fire in fires]
        assert len(mine) == len({schedule.id for schedule in mine}), "one slot of each schedule"
        assert {(each.job_type, each.tenant_id) for each in mine} == {(row.job_type, row.tenant_id)}
        assert sorted(row.params.get("rules", [])) == sorted(each.rule_id for each in mine if each.rule_id)
        (at,) = {fire.at for fire in fires}
        assert at <= row.started_at
        for fire in fires:
            newest = max(slot for slot in self.slots(self.schedules[fire.schedule_id]) if slot <= at)
            assert fire.scheduled_for == newest, "the newest of the missed ones starts"
        for schedule in self.schedules.values():
            if (schedule.job_type, schedule.tenant_id) == (row.job_type, row.tenant_id):
                pending = [each for each in self.fires[schedule.id] if each.scheduled_for <= at < each.at]
                assert not pending, "all that is due of a job starts together"

    # Retries

    def _retry_of(self, row: JobExecution) -> None:
        again = [each for each in self.of_tenant[row.tenant_id] if each.retry_of == row.id]
        assert len(again) + (row.id in self.waiting) <= 1, f"{row.id} is retried more than once"
        if row.status != "failed":
            assert not again
            assert row.id not in self.waiting
            return
        assert row.ended_at is not None
        spaces = self.spaces.get(row.id, [])
        passes = all(space.transient for space in spaces if space.state == "failed")
        wanted = row.attempt < ATTEMPTS and passes and (row.error is None or row.error_transient)
        ended = self._chain_ended(row)
        if not again:
            lost = wanted and ended is None and row.id not in self.waiting and not self._reinstalled_after(row)
            assert not lost, f"nobody retried {row.id}"
            return
        (retry,) = again
        assert wanted
        assert (retry.trigger, retry.attempt, retry.job_type) == ("retry", row.attempt + 1, row.job_type)
        assert retry.started_at >= row.ended_at + timedelta(seconds=RETRY)
        assert ended is retry, f"{retry.id} retries what another start has ended"
        assert row.id not in self.diary.ended
        assert retry.params["spaces"] == [space.space_id for space in spaces if space.state != "done"]

    def _chain_ended(self, failed: JobExecution) -> JobExecution | None:
        """Return the start after which `failed` is not retried: its retry, its job's own, or any when it waits last."""
        for row in self.of_tenant[failed.tenant_id]:
            if row.started_at < end_of(failed):
                continue
            if row.job_type == failed.job_type or (failed.attempt > PRECEDING and row.trigger == "scheduled"):
                return row
        return None

    def _reinstalled_after(self, row: JobExecution) -> bool:
        return any(tenant == row.tenant_id and at >= end_of(row) for tenant, at in self.diary.reinstalled)

    # Lateness

    def _lateness(self, until: datetime) -> None:
        """Whatever could start did so at once: no more than a few whole ticks came to their end in between."""
        for row in self.executions:
            ready, begin = row.started_at, self._begin(row)
            if row.trigger == "retry":
                failed = next(each for each in self.of_tenant[row.tenant_id] if each.id == row.retry_of)
                ready = end_of(failed) + timedelta(seconds=RETRY)
            for fire in self.fires_of[row.id]:
                if fire.outcome == "started":
                    ready = min(ready, fire.scheduled_for)
                    late = row.started_at - fire.scheduled_for
                    self.late += late > timedelta(seconds=2 * TICK)
                    self.worst = max(self.worst, late)
            gaps = self._at_once(row.tenant_id, row.job_type, ready, begin)
            if gaps == [(ready, begin)]:
                self._free_lane(row, ready)
        for schedule in self.schedules.values():
            counted = [at for tenant, at in self.diary.reinstalled if tenant == schedule.tenant_id]
            assert schedule.next_fire_at is not None
            due = max(schedule.next_fire_at, *counted, self.born)
            self._at_once(schedule.tenant_id, schedule.job_type, due, until)
        for retry in self.waiting.values():
            self._at_once(retry.tenant_id, retry.job_type, retry.due_at, until)
        for stop, tenants in self.in_stops.items():
            assert len(tenants) <= 1, f"a process stopped at {stop[0]} kept more sites waiting than it can lock"

    def _free_lane(self, row: JobExecution, ready: datetime) -> None:
        """Note how long it took from the first tick after a time at which nothing was in the way."""
        found = bisect_left(self.tick_begins, ready.timestamp())
        if found < len(self.ticks):
            took = row.started_at.timestamp() - self.tick_begins[found]
            self.worst_free = max(self.worst_free, took)

    def _at_once(self, tenant: TenantId, job_type: str, ready: datetime, end: datetime) -> list[Span]:
        """Assert that a start from `ready` on came at `end` or had to wait; return when nothing was in the way."""
        gaps = list(self._free(tenant, job_type, ready, end))
        for gap in gaps:
            self._overlooked(tenant, job_type, gap)
        return gaps

    def _overlooked(self, tenant: TenantId, job_type: str, gap: Span) -> None:
        start, end = (moment.timestamp() for moment in gap)
        within = self.ticks[bisect_left(self.tick_begins, start) : bisect_left(self.tick_begins, end)]
        count = sum(ended < end and not self._beside_a_slow_one(began, ended) for began, ended, _ in within)
        for stop in self.diary.stops:
            if count > self.few and gap[0] < stop[1] and stop[0] < gap[1]:
                self.in_stops.setdefault(stop, set()).add(tenant)
                return
        self.overlooked[count] += 1
        assert count <= self.few, f"{count} ticks from {gap[0]} to {gap[1]} did not start {job_type} of {tenant}"

    def _beside_a_slow_one(self, began: float, ended: float) -> bool:
        """Return whether a tick, here or elsewhere, stalled meanwhile: it may have had the site's lane locked."""
        return any(since < ended and began < until for since, until in self.slow)

    def _begin(self, row: JobExecution) -> datetime:
        """Return when the tick began that started this execution."""
        fires = self.fires_of[row.id]
        if fires:
            return fires[0].at
        started = row.started_at.timestamp()
        begins = [began for began, ended, number in self.ticks if number and began <= started <= ended]
        return datetime.fromtimestamp(min(begins), row.started_at.tzinfo) if begins else row.started_at

    def _seen_ended(self, row: JobExecution) -> datetime:
        """Return when the end of an execution could be seen: its time was taken before its commit."""
        assert row.ended_at is not None
        ended = row.ended_at.timestamp()
        seen = [when for when in self.diary.left.get(row.id, []) if when >= ended]
        return datetime.fromtimestamp(min(seen), row.ended_at.tzinfo) if seen else row.ended_at

    def _free(self, tenant: TenantId, job_type: str, ready: datetime, end: datetime) -> Iterator[Span]:
        """Yield the spans from `ready` to `end` in which nothing kept this job of this site from starting."""
        blocks = [(hold.asked, hold.free) for hold in self.diary.holds if hold.tenant == tenant]
        for other in self.of_tenant.get(tenant, []):
            if other.started_at < end:
                blocks.append((self._begin(other), self._seen_ended(other)))
                blocks.extend(self._preceding(other, job_type))
        for start, stop in sorted(blocks):
            if ready < min(start, end):
                yield ready, min(start, end)
            ready = max(ready, stop)
        if ready < end:
            yield ready, end

    def _preceding(self, failed: JobExecution, job_type: str) -> Iterator[Span]:
        """Yield the span in which the wait for the retry of another job kept this one waiting."""
        if failed.status != "failed" or failed.attempt > PRECEDING or failed.job_type == job_type:
            return
        ripe, ended = end_of(failed) + timedelta(seconds=RETRY), self._chain_ended(failed)
        if ended is not None:
            yield end_of(failed), min(ended.started_at, ripe)
        elif failed.id in self.waiting:
            yield end_of(failed), ripe

    def _figures(self) -> dict[str, object]:
        outcomes = Counter(fire.outcome for fires in self.fires.values() for fire in fires)
        triggers = Counter(row.trigger for row in self.executions)
        statuses = Counter(row.status for row in self.executions)
        ended = sum(row.status == "failed" for row in self.executions) - triggers["retry"] - len(self.waiting)
        return {
            "slots": sum(outcomes.values()),
            "slots in a record of others": self.shared,
            **outcomes,
            "executions": len(self.executions),
            **statuses,
            "retries": triggers["retry"],
            "chains ended": ended,
            "leases lost": sum(row.lease_losses for row in self.executions),
            "late starts": self.late,
            "worst lateness": round(self.worst.total_seconds()),
            "worst on a free lane from the first tick": round(self.worst_free, 1),
            "ticks": len(self.ticks),
            "slow ticks": len(self.slow),
            "overlooked": dict(sorted(self.overlooked.items())),
        }
