"""The world of the model's rules: two tenants, two workers, a clock, and what has been seen of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from addon.base import Database, ScheduleSpec, TenantId, new_id
from addon.connect.models import Tenant
from addon.engine import ACTIVE, Engine, EngineSettings
from addon.engine.worker.run import ActiveRun
from addon.engine.worker.runner import ExecutionRunner, run_next
from tests.engine.conftest import empty
from tests.engine.model.pictures import Picture, look, one_row, unread_spaces
from tests.engine.model.promises import RECORDED, Era, Memory, check
from tests.engine.model.settled import NOBODY
from tests.engine.model.site import Died, Site
from tests.engine.model.slots import DAYS, plain_slots
from tests.support.clock import VirtualClock
from tests.support.fakejob import FakeJob, SubmittingJob

TTL = 60
SETTINGS = EngineSettings(
    ttl=TTL, call_threads=1, runners=0, max_attempts=3, precedence_attempts=1, recorded_slots=RECORDED
)
"""Chains are short, so that the retry before which slots wait and the one that waits for slots both come up; records of
slots are few, so that some cover many."""
SUBMITS = "execute-automations"
"""The job that submits work to the site; the other does everything itself."""
SCHEDULES = (
    ("refresh-statuses", "", "30 */6 * * *", "America/New_York"),
    (SUBMITS, "one", "30 2 * * *", "America/New_York"),
    (SUBMITS, "two", "30 1 * * *", "America/New_York"),
    ("refresh-statuses", "", "15 2,8,14,20 * * *", "Europe/Berlin"),
)
OTHER_TIMES = ("45 */4 * * *", "Europe/Berlin")
"""What somebody may make of any of them: cron and time zone."""
OWN = ((0, 1, 2), (3, 1))
"""By tenant: which schedules it has."""

ROUNDS = 20
"""How often something may be taken before it has to have ended: more than all losses and tries together."""

pick = st.integers(0, 30)
tenants = st.integers(0, 1)


@dataclass
class Effort:
    """What an exploration has done so far."""

    examples: int = 0
    steps: int = 0
    rules: Counter[str] = field(default_factory=Counter)


@dataclass
class Hand:
    """An execution in the hands of a worker, which may be a zombie without knowing it."""

    engine: Engine
    run: ActiveRun
    drive: ExecutionRunner

    def owns(self, picture: Picture) -> bool:
        """Return whether the row still names this worker and this fence."""
        return self.owns_row(picture.executions[self.run.execution_id])

    def owns_row(self, row: Any) -> bool:
        return (row.owner, row.fence) == (self.run.lease.owner, self.run.lease.fence)


class World(RuleBasedStateMachine):
    """Subclassed with a database and an effort."""

    db: ClassVar[Database]
    effort: ClassVar[Effort]

    def set_up(self, start: datetime, last: str) -> None:
        """`last`: how the site is when everything comes to its end."""
        self.effort.examples += 1
        self.clock, self.born = VirtualClock(start), start
        self.memory, self.last = Memory(start), last
        self.site = Site(self.clock, self.memory, lambda: self.workers)
        self.submitting = SubmittingJob(SUBMITS, "Execute automations", submits={"A"}, reading=self.site.read)
        self.jobs: list[FakeJob] = [FakeJob(), self.submitting]
        self.workers = [self.new_worker() for _ in range(2)]
        self.hands: list[Hand] = []
        self.off: set[tuple[int, int]] = set()
        self.retimed: set[tuple[int, int]] = set()
        self.removed: set[tuple[int, int]] = set()
        self.tenants = [self.new_tenant(number) for number in range(2)]
        self.seen = look(self.db)
        found = {(each.tenant_id, each.job_type, each.rule_id): each.id for each in self.seen.schedules.values()}
        self.schedule_ids = {
            (tenant, n): found[(self.tenants[tenant], *SCHEDULES[n][:2])] for tenant in range(2) for n in OWN[tenant]
        }
        for key, schedule in self.schedule_ids.items():
            self.memory.eras[schedule] = [Era(*self.times(*key), start)]

    def new_worker(self) -> Engine:
        return Engine(self.db, self.clock, SETTINGS, {job.type: job for job in self.jobs})

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
        with self.db.write(tenant) as session:
            self.workers[0].open_lane(session, tenant, first_run=False)
            self.workers[0].replace_schedules(session, tenant, self.specs(number))
        return tenant

    def specs(self, tenant: int) -> list[ScheduleSpec]:
        """Return the schedules a tenant has now."""
        return [
            ScheduleSpec(*SCHEDULES[n][:2], "a", *self.times(tenant, n), enabled=(tenant, n) not in self.off)
            for n in OWN[tenant]
            if (tenant, n) not in self.removed
        ]

    def times(self, tenant: int, number: int) -> tuple[str, str]:
        """Return cron and time zone of a schedule, on or off."""
        cron, zone = SCHEDULES[number][2:] if (tenant, number) not in self.retimed else OTHER_TIMES
        return cron, zone

    def begin_anew(self, tenant: int, number: int, why: str) -> None:
        """The times of a schedule were taken from it, if it had any, and it has got those it has now, if any."""
        key, now = (tenant, number), self.clock.now()
        eras = self.memory.eras[self.schedule_ids[key]]
        if eras[-1].until is None:
            eras[-1].until, eras[-1].why = now, why
        if key not in self.off | self.removed:
            eras.append(Era(*self.times(*key), now))

    def look(self) -> Picture:
        """Look at everything, and compare it with the last look and with all that was promised since the beginning."""
        now = look(self.db)
        check(self.memory, self.seen, now)
        self.seen = now
        return now

    def teardown(self) -> None:
        if hasattr(self, "seen"):
            try:
                self.come_to_an_end()
            finally:
                empty(self.db)

    def come_to_an_end(self) -> None:
        """Whatever has happened: honest workers bring everything to an end, however the site behaves."""
        self.calm_jobs()
        self.site.answer, self.site.once = self.last, False
        engine = self.new_worker()
        self.workers.append(engine)
        for _ in range(ROUNDS):
            self.clock.advance(2 * 3600)
            engine.reaper_tick()
            for _ in range(ROUNDS):
                if not self.run_or_die(engine):
                    break
            if not self.look().all_active():
                break
        for each in self.workers:
            each._heartbeat._disconnect(broken=False)
        assert not self.look().all_active(), "no execution is left without an end"
        for execution in self.memory.cancels:
            assert self.seen.executions[execution].status == "cancelled"

    def run_or_die(self, engine: Engine) -> bool:
        """Let a runner take something; False when there is nothing."""
        try:
            return run_next(engine._context, engine._heartbeat)
        except Died:
            return True

    def calm_jobs(self) -> None:
        for job in self.jobs:
            job.call = lambda run, space: {"contentsChecked": 1}
            job.finalizing = lambda run: {}

    # Looking

    def row(self, execution: str) -> Any:
        """Return one execution as it is now, without looking at anything else."""
        return one_row(self.db, execution)

    def look_for_unread(self, execution: str) -> list[str]:
        """Return the spaces of an execution of which something is submitted and not read back."""
        return unread_spaces(self.db, execution)

    def slots(self, schedule: Any) -> tuple[datetime, ...]:
        return plain_slots(schedule.cron, schedule.time_zone, self.born)

    def worker(self, number: int) -> Engine:
        return self.workers[number % len(self.workers)]

    def claimable(self, row: Any) -> bool:
        due = row.not_before is None or row.not_before <= self.clock.now()
        free = row.owner is None or (row.status, row.owner) == ("cancelling", NOBODY)
        return bool(row.status in ACTIVE and free and due)

    def held(self, lane: Any) -> bool:
        return bool(lane.hold and (lane.hold_until is None or lane.hold_until > self.clock.now()))

    @property
    def young(self) -> bool:
        """Return whether the history may still take a long time more."""
        return self.clock.now() < self.born + timedelta(days=DAYS - 4)
