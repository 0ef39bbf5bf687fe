"""What may people, workers, the reaper, the schedule and the clock do to executions, in any order?

A state machine for Hypothesis over the engine's own SQL. Workers act step by step with the engine's own parts, so that
one can die, sleep past its lease or come back between any two transactions. Time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from addon.base import Database, ScheduleSpec, TenantId, new_id
from addon.connect.models import Tenant
from addon.engine import (
    ACTIVE,
    TERMINAL,
    AuditEvent,
    Busy,
    CancelRequested,
    Engine,
    EngineSettings,
    ExecutionSpace,
    Fenced,
    Held,
    Interrupted,
    JobExecution,
    JobSchedule,
    Lane,
    NotCancellable,
    Pause,
    RetryDue,
)
from addon.engine.lease import claim
from addon.engine.models import ScheduleFire
from addon.engine.run import ActiveRun
from addon.engine.runner import _Drive, run_next
from addon.engine.spaces import listed
from addon.engine.transitions import TABLE
from tests.engine.conftest import empty
from tests.support.clock import VirtualClock
from tests.support.fakejob import FakeJob, Trouble

TERMINAL_TAGS = {f"job:execution:{row.event}" for row in TABLE if row.terminal}
DAYS = 24
STARTS = (
    datetime(2026, 3, 6, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 27, 23, 30, tzinfo=UTC),
    datetime(2026, 10, 24, 20, 0, tzinfo=UTC),
    datetime(2026, 10, 31, 3, 0, tzinfo=UTC),
)
"""Shortly before the clocks of New York and Berlin change, both ways."""
SCHEDULES = (
    ("refresh-statuses", "", "30 */6 * * *", "America/New_York"),
    ("send-notifications", "one", "30 2 * * *", "America/New_York"),
    ("send-notifications", "two", "30 1 * * *", "America/New_York"),
    ("refresh-statuses", "", "15 2,8,14,20 * * *", "Europe/Berlin"),
)
OWN = ((0, 1, 2), (3, 1))
"""By tenant: which schedules it has."""

pick = st.integers(0, 30)
tenants = st.integers(0, 1)


@lru_cache(maxsize=64)
def plain_slots(cron: str, zone: str, start: datetime) -> tuple[datetime, ...]:
    """Return the slots of a cron of minute and hours by looking at every minute: an oracle that shares no code."""
    minute, hours = cron.split()[:2]
    wanted = set(range(0, 24, 6)) if hours == "*/6" else {int(hour) for hour in hours.split(",")}
    latest: datetime | None = None
    found = []
    for number in range((DAYS + 3) * 1440):
        instant = start + timedelta(minutes=number)
        wall = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        walls = [wall]
        if latest is not None:
            walls = [latest + timedelta(minutes=n) for n in range(1, int((wall - latest).total_seconds() // 60) + 1)]
        if any(each.minute == int(minute) and each.hour in wanted for each in walls):
            found.append(instant)
        latest = max(latest or wall, wall)
    return tuple(found)


@dataclass
class Hand:
    """An execution in the hands of a worker, which may be a zombie without knowing it."""

    engine: Engine
    run: ActiveRun
    drive: _Drive
    listed: bool


class EngineModel(RuleBasedStateMachine):
    """Two tenants, two workers. Subclassed with a database."""

    db: ClassVar[Database]

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: datetime) -> None:
        self.clock, self.born = VirtualClock(start), start
        self.jobs = [FakeJob(), FakeJob("send-notifications", "Send notifications")]
        self.workers = [self.new_worker() for _ in range(2)]
        self.hands: list[Hand] = []
        self.known: list[Any] = []
        self.lanes: list[Any] = []
        self.fences: dict[str, int] = {}
        self.ended: dict[str, tuple[Any, ...]] = {}
        self.cancels: set[str] = set()
        self.since: dict[str, datetime] = {}
        self.tenants = [self.new_tenant(number) for number in range(2)]

    def new_worker(self) -> Engine:
        settings = EngineSettings(ttl=60.0, call_threads=1, runners=0)
        return Engine(self.db, self.clock, settings, {job.type: job for job in self.jobs})

    def new_tenant(self, number: int) -> TenantId:
        tenant, now = TenantId(new_id()), self.clock.now()
        with self.db.write_all() as session:
            session.add(
                Tenant(
                    id=tenant,
                    client_key=f"client-{tenant}",
                    base_url="https://one.atlassian.net/wiki",
                    state="installed",
                    secret=b"sealed",
                    installed_at=now,
                    updated_at=now,
                )
            )
        engine = self.workers[0]
        with self.db.write(tenant) as session:
            engine.open_lane(session, tenant, first_run=False)
            specs = [ScheduleSpec(SCHEDULES[n][0], SCHEDULES[n][1], "a", *SCHEDULES[n][2:]) for n in OWN[number]]
            engine.replace_schedules(session, tenant, specs)
        self.count_slots_from_now(tenant)
        return tenant

    def count_slots_from_now(self, tenant: TenantId) -> None:
        self.slots_moved = True
        with self.db.read(tenant) as session:
            for schedule in session.scalars(sa.select(JobSchedule.id)):
                self.since[schedule] = self.clock.now()

    # People

    @rule(tenant=tenants, job=tenants, worker=pick)
    def start(self, tenant: int, job: int, worker: int) -> None:
        tenant_id = self.tenants[tenant]
        active, lane = self.active(tenant_id), self.lane(tenant_id)
        try:
            with self.db.write(tenant_id) as session:
                self.worker(worker).start(
                    session, tenant_id=tenant_id, job_type=self.jobs[job].type, scope="site", started_by="u-ann"
                )
        except Busy as busy:
            holder: str | None = busy.active.id
        except Held:
            holder = None
            assert not lane.open
        else:
            holder = None
            assert active is None
            assert lane.open
        assert holder is None or (active is not None and holder == active.id)

    @precondition(lambda self: self.known)
    @rule(tenant=tenants, worker=pick)
    def cancel(self, tenant: int, worker: int) -> None:
        tenant_id = self.tenants[tenant]
        row = self.active(tenant_id)
        if row is None:
            return
        try:
            with self.db.write(tenant_id) as session:
                self.worker(worker).cancel(session, tenant_id=tenant_id, execution_id=row.id, actor_id="u-boss")
        except NotCancellable:
            assert row.status == "finalizing"
        else:
            assert row.status in ("running", "cancelling")
            assert (self.row(row.id).status == "cancelled") == (row.owner is None), "at once when nobody holds it"
            self.cancels.add(row.id)

    @precondition(lambda self: not self.calm)
    @rule(tenant=tenants, hours=st.sampled_from((None, 1, 30)))
    def hold(self, tenant: int, hours: int | None) -> None:
        tenant_id = self.tenants[tenant]
        until = None if hours is None else self.clock.now() + timedelta(hours=hours)
        with self.db.write(tenant_id) as session:
            self.worker(0).set_hold(session, tenant_id, on=True, reason="audit", by="u-boss", until=until)

    @precondition(lambda self: self.calm)
    @rule(tenant=tenants)
    def release(self, tenant: int) -> None:
        with self.db.write(self.tenants[tenant]) as session:
            self.worker(0).set_hold(session, self.tenants[tenant], on=False)

    @precondition(lambda self: not self.calm)
    @rule(tenant=tenants)
    def uninstall(self, tenant: int) -> None:
        tenant_id = self.tenants[tenant]
        row = self.active(tenant_id)
        with self.db.write(tenant_id) as session:
            self.worker(0).close_lane(session, tenant_id)
            self.worker(0).cancel_active(session, tenant_id, actor_type="uninstall")
        if row is not None and row.status != "finalizing":
            self.cancels.add(row.id)
        assert not self.retries(tenant_id)

    @precondition(lambda self: self.calm)
    @rule(tenant=tenants)
    def reinstall(self, tenant: int) -> None:
        tenant_id = self.tenants[tenant]
        if self.lane(tenant_id).open:
            return
        with self.db.write(tenant_id) as session:
            self.worker(0).open_lane(session, tenant_id, first_run=True)
            self.worker(0).restart_schedules(session, tenant_id)
        self.count_slots_from_now(tenant_id)

    # Time and ticks

    @rule(seconds=st.sampled_from((1, 14, 59, 61, 301, 1801, 3600, 5 * 3600, 25 * 3600)))
    def advance(self, seconds: int) -> None:
        if self.clock.now() + timedelta(seconds=seconds) < self.born + timedelta(days=DAYS):
            self.clock.advance(seconds)

    @rule(worker=pick)
    def reap(self, worker: int) -> None:
        self.worker(worker).reaper_tick()
        now = self.clock.now()
        late = [row.id for row in self.rows() if row.lease_until is not None and row.lease_until < now]
        assert not late, "no dead owner is left"

    @rule(worker=pick)
    def tick(self, worker: int) -> None:
        self.worker(worker).schedule_tick()
        self.slots_moved = True
        now = self.clock.now()
        for tenant_id in self.tenants:
            lane = self.lane(tenant_id)
            held = lane.hold and (lane.hold_until is None or lane.hold_until > now)
            if not lane.open or held or self.active(tenant_id) is not None:
                continue
            retries = self.retries(tenant_id)
            assert not [retry for retry in retries if retry.due_at <= now], "a due retry starts on a free lane"
            if not retries:
                assert not self.pending(tenant_id, now), "a due slot does not wait for a free lane"

    # Workers

    @precondition(lambda self: any(self.claimable(row, self.clock.now()) for row in self.known))
    @rule(worker=pick)
    def take(self, worker: int) -> None:
        engine, now = self.worker(worker), self.clock.now()
        free = {row.id: row for row in self.rows() if self.claimable(row, now)}
        began = self.clock.monotonic()
        lease = claim(engine._core)
        if lease is None:
            assert not free
            return
        row = self.row(lease.execution_id)
        assert (row.owner, row.fence) == (engine.worker_id, free[row.id].fence + 1)
        run = ActiveRun(engine._core, lease, row, began)
        engine._heart.register(run)
        self.hands.append(Hand(engine, run, _Drive(engine._core, run, row), row.listed))

    @precondition(lambda self: any(self.claimable(row, self.clock.now()) for row in self.known))
    @rule(worker=pick, fails=st.sampled_from((None, None, True, False)))
    def run_through(self, worker: int, fails: bool | None) -> None:
        """A whole run in one go: all spaces done, or one fails for now (True) or for good (False)."""

        def call(run: Any, space: Any) -> dict[str, Any]:
            if fails is not None and space.key == "B":
                raise Trouble("503", transient=fails)
            return {"contentsChecked": 1}

        for job in self.jobs:
            job.call = call
        free = [row for row in self.rows() if self.claimable(row, self.clock.now())]
        assert run_next(self.worker(worker)._core, self.worker(worker)._heart) == bool(free)

    @precondition(lambda self: self.hands)
    @rule(worker=pick)
    def beat(self, worker: int) -> None:
        engine = self.worker(worker)
        engine._heart.beat()
        for hand in self.hands:
            if hand.engine is engine and engine._heart.run_of(hand.run.execution_id) is hand.run:
                assert hand.run.lost.is_set() == (not self.owned(hand))
                if self.owned(hand):
                    assert self.row(hand.run.execution_id).lease_until == self.clock.now() + timedelta(seconds=60)

    @precondition(lambda self: any(not hand.listed for hand in self.hands))
    @rule(hand=pick)
    def list_spaces(self, hand: int) -> None:
        def once(it: Hand) -> None:
            if not it.listed:
                it.drive._list()
                it.listed = True

        self.act(hand, once)

    @precondition(lambda self: self.hands)
    @rule(hand=pick, end=st.sampled_from(("begin", "save", "done", "done", "failed", "transient", "skipped")))
    def outcome(self, hand: int, end: str) -> None:
        def record(it: Hand) -> None:
            run = it.run
            with run.read() as session:
                spaces = [space for space, _ in listed(session, run.execution_id)]
            with run.write() as session:
                run.used(points=1, calls=1)
                for space in spaces[:1] if end == "begin" else spaces[-1:]:
                    if end == "begin":
                        run.begin(session, spaces)
                    elif end == "save":
                        run.save(session, space, {"at": 1})
                    elif end in ("failed", "transient"):
                        run.failed(session, space, "no", transient=end == "transient")
                    elif end == "skipped":
                        run.skipped(session, space, "gone")
                for space in spaces if end == "done" else []:
                    run.done(session, space, {"contentsChecked": 1})
            run.safe_point()

        self.act(hand, record)

    @precondition(lambda self: self.hands)
    @rule(hand=pick, seconds=st.sampled_from((0, 300, 7200)))
    def pause(self, hand: int, seconds: int) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        self.act(hand, lambda it: it.drive._pause(Pause(until, "quota")))

    @precondition(lambda self: self.hands)
    @rule(hand=pick)
    def to_finalizing(self, hand: int) -> None:
        self.act(hand, lambda it: it.drive._to_finalizing())

    @precondition(lambda self: self.hands)
    @rule(hand=pick)
    def finish(self, hand: int) -> None:
        def finish(it: Hand) -> None:
            if self.row(it.run.execution_id).status == "finalizing" or it.drive._to_finalizing():
                it.drive._finalize()

        self.act(hand, finish)

    @precondition(lambda self: self.hands)
    @rule(hand=pick, transient=st.booleans())
    def fail(self, hand: int, transient: bool) -> None:
        if self.row(self.hand(hand).run.execution_id).status != "finalizing":
            self.act(hand, lambda it: it.drive._fail_open("the site said no", transient=transient))

    @precondition(lambda self: self.hands)
    @rule(hand=pick)
    def hand_over(self, hand: int) -> None:
        self.act(hand, lambda it: it.drive._give_back())

    @precondition(lambda self: self.hands)
    @rule(hand=pick, end=st.sampled_from(("begin", "done", "failed")))
    def oversleep(self, hand: int, end: str) -> None:
        """A worker sleeps past its lease and takes the same execution again: it is its own zombie now."""
        asleep = self.hand(hand)
        worker = self.workers.index(asleep.engine)
        self.clock.advance(61)
        self.reap(worker)
        self.take(worker)
        self.list_spaces(len(self.hands) - 1)
        if asleep in self.hands:
            self.outcome(self.hands.index(asleep), end)

    @precondition(lambda self: self.hands)
    @rule(hand=pick)
    def crash(self, hand: int) -> None:
        """The whole process is gone, with all that it held; another takes its place."""
        engine = self.hand(hand).engine
        self.hands = [each for each in self.hands if each.engine is not engine]
        engine._heart._disconnect(broken=True)
        self.workers[self.workers.index(engine)] = self.new_worker()

    def act(self, number: int, action: Callable[[Hand], object]) -> None:
        """Let a worker do something. Without its lease it must change nothing, however often it tries."""
        hand = self.hand(number)
        owned, before = self.owned(hand), self.picture(hand)
        with self.stopping(hand, owned=owned):
            action(hand)
        if not owned:
            assert self.picture(hand) == before, "a zombie writes nothing"
            hand.run.lost.clear()
            hand.run.stop.clear()
        elif not self.owned(hand):
            hand.engine._heart.unregister(hand.run)
            self.hands.remove(hand)

    @contextmanager
    def stopping(self, hand: Hand, *, owned: bool) -> Iterator[None]:
        """Translate how an action stops, as the runner does."""
        try:
            try:
                yield
            except CancelRequested:
                hand.drive._cancel()
        except Fenced:
            assert not owned, "who holds the lease is not fenced"
        except Interrupted:
            hand.drive._give_back()

    # What must hold after each step

    @invariant()
    def executions_are_sound(self) -> None:
        rows = self.rows(all_of_them=True)
        self.known = [row for row in rows if row.status in ACTIVE]
        self.lanes = self.all(sa.select(Lane.__table__))
        active = [row.tenant_id for row in self.known]
        assert len(active) == len(set(active)), "one active execution per tenant"
        for row in rows:
            assert row.fence >= self.fences.get(row.id, 0), "the fence never falls"
            self.fences[row.id] = row.fence
            if row.status in TERMINAL:
                assert self.ended.setdefault(row.id, tuple(row)) == tuple(row), "what has ended never changes"
                assert row.metrics is not None
            if row.id in self.cancels:
                assert row.status in ("cancelling", "cancelled"), "no cancel is lost"
        assert set(self.fences) == {row.id for row in rows}
        self.events_are_sound(rows)

    def events_are_sound(self, rows: list[Any]) -> None:
        found = self.all(
            sa.select(AuditEvent.execution_id, AuditEvent.seq, AuditEvent.tag)
            .where(AuditEvent.execution_id.is_not(None))
            .order_by(AuditEvent.seq)
        )
        events: dict[str, list[Any]] = {}
        for event in found:
            events.setdefault(event.execution_id, []).append(event)
        for row in rows:
            assert [event.seq for event in events[row.id]] == list(range(1, row.seq + 1))
            ends = [event.tag for event in events[row.id] if event.tag in TERMINAL_TAGS]
            assert len(ends) == (row.status in TERMINAL), "exactly one terminal event"

    @property
    def calm(self) -> bool:
        """Return whether some tenant is uninstalled or held: there is a way back to be taken, and no more to stop."""
        return any(lane.hold or not lane.open for lane in self.lanes)

    @precondition(lambda self: self.slots_moved)
    @invariant()
    def each_slot_has_one_record(self) -> None:
        self.slots_moved = False
        schedules, fires = self.all(sa.select(JobSchedule.__table__)), self.all(sa.select(ScheduleFire.__table__))
        scheduled = [row.id for row in self.all(sa.select(JobExecution.id).where(JobExecution.trigger == "scheduled"))]
        for schedule in schedules:
            mine = [fire.scheduled_for for fire in fires if fire.schedule_id == schedule.id]
            slots = plain_slots(schedule.cron, schedule.time_zone, self.born)
            due = [slot for slot in slots if slot > self.since[schedule.id]]
            assert schedule.next_fire_at in due
            passed = [slot for slot in due if slot < schedule.next_fire_at]
            assert sorted(when for when in mine if when > self.since[schedule.id]) == passed
            assert set(mine) <= set(slots)
        started = {fire.execution_id for fire in fires if fire.outcome == "started"}
        assert started == set(scheduled), "every scheduled execution is that of a slot"

    def teardown(self) -> None:
        """Whatever has happened: honest workers bring everything to an end."""
        if not hasattr(self, "tenants"):
            return
        for job in self.jobs:
            job.call = lambda run, space: {"contentsChecked": 1}
        engine = self.new_worker()
        for _ in range(8):
            self.clock.advance(2 * 3600)
            engine.reaper_tick()
            while run_next(engine._core, engine._heart):
                pass
        assert not self.rows(), "no execution is left without an end"
        self.executions_are_sound()
        for each in (*self.workers, engine):
            each._heart._disconnect(broken=False)
        empty(self.db)

    # Looking

    def worker(self, number: int) -> Engine:
        return self.workers[number % len(self.workers)]

    def hand(self, number: int) -> Hand:
        return self.hands[number % len(self.hands)]

    def owned(self, hand: Hand) -> bool:
        row = self.row(hand.run.execution_id)
        return (row.owner, row.fence) == (hand.run.lease.owner, hand.run.lease.fence)

    def claimable(self, row: Any, now: datetime) -> bool:
        due = row.not_before is None or row.not_before <= now
        return bool(row.status in ("running", "finalizing") and row.owner is None and due)

    def rows(self, *, all_of_them: bool = False) -> list[Any]:
        statement = sa.select(JobExecution.__table__)
        if not all_of_them:
            statement = statement.where(JobExecution.status.in_(ACTIVE))
        return self.all(statement)

    def all(self, statement: Any) -> list[Any]:
        with self.db.engine.connect() as connection:
            return list(connection.execute(statement))

    def row(self, execution_id: str) -> JobExecution:
        with self.db.read_all() as session:
            return session.get_one(JobExecution, execution_id)

    def active(self, tenant_id: TenantId) -> Any:
        return next((row for row in self.rows() if row.tenant_id == tenant_id), None)

    def lane(self, tenant_id: TenantId) -> Any:
        return self.all(sa.select(Lane.__table__).where(Lane.tenant_id == tenant_id))[0]

    def retries(self, tenant_id: TenantId) -> list[Any]:
        return self.all(sa.select(RetryDue.__table__).where(RetryDue.tenant_id == tenant_id))

    def pending(self, tenant_id: TenantId, now: datetime) -> list[Any]:
        due = (JobSchedule.tenant_id == tenant_id, JobSchedule.next_fire_at <= now)
        return self.all(sa.select(JobSchedule.__table__).where(*due))

    def picture(self, hand: Hand) -> tuple[Any, ...]:
        """Return all that is stored of a hand's execution."""
        key = hand.run.execution_id
        row = self.all(sa.select(JobExecution.__table__).where(JobExecution.id == key))
        spaces = sa.select(ExecutionSpace.__table__).where(ExecutionSpace.execution_id == key)
        return tuple(row), tuple(self.all(spaces.order_by(ExecutionSpace.position)))
