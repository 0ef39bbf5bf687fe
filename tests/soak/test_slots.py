"""Every slot fires exactly once, whatever the processes do: many tick at once, are killed, are stopped, come back.

Time is compressed, and the hours chosen are those of 6 April 2025, when Morocco put its clocks forward at 02:00 UTC and
Chile put its back at 03:00 UTC. The short profile runs with every `pytest`, the long one by `make soak`.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from addon.base import Database, ScheduleSpec, TenantId
from addon.engine import RetryDue
from addon.engine.context import LeaseTime
from addon.engine.models import JobSchedule, Lane
from addon.engine.schedule import scheduler
from tests.soak.chronos import Chronos, Diary, Hold, slots_after
from tests.soak.clockwork import MAILS, REFRESH, Pace, engine_on, longer_rounds, note_ends, reaping, tick_together
from tests.soak.conftest import Arena
from tests.soak.test_soak import POSTGRESQL, SQLITE, tell
from tests.support.clock import VirtualClock
from tests.support.servers import eventually

FORWARD, BACK = "Africa/Casablanca", "America/Santiago"
BEFORE_BOTH = datetime(2025, 4, 6, 1, 57, tzinfo=UTC)
BEFORE_BACK = datetime(2025, 4, 6, 2, 57, tzinfo=UTC)
SCHEDULES = (
    (ScheduleSpec(REFRESH, "", "each minute", "* * * * *", "UTC"),),
    (
        ScheduleSpec(REFRESH, "", "each third minute", "*/3 * * * *", FORWARD),
        ScheduleSpec(MAILS, "s/a", "together a", "*/5 * * * *", FORWARD),
        ScheduleSpec(MAILS, "s/b", "together b", "*/5 * * * *", FORWARD),
    ),
    (
        ScheduleSpec(REFRESH, "", "each minute where clocks go back", "* * * * *", BACK),
        ScheduleSpec(MAILS, "s/daily", "daily, at a time that comes twice", "58 23 * * *", BACK),
    ),
    (
        ScheduleSpec(REFRESH, "", "soon too late", "*/4 * * * *", "UTC", max_lateness=timedelta(minutes=2)),
        ScheduleSpec(MAILS, "s/daily", "daily, at a time that is left out", "30 2 * * *", FORWARD),
        ScheduleSpec(MAILS, "s/fives", "each fifth minute", "*/5 * * * *", BACK),
    ),
    (ScheduleSpec(REFRESH, "", "each other minute, counted again", "*/2 * * * *", "UTC"),),
)
HELD, REINSTALLED = 3, 4
FEW = 3
"""Whole ticks of each process that may overlook what could start: a process that has the site's lane locked keeps the
others away, may be killed before its commit, and what a hold or a re-install does takes effect at its commit."""
LOOK = 0.02
BREATH = timedelta(seconds=6)


class Town:
    """The sites with their schedules, the processes, and what befalls them. Times are those of the compressed clock."""

    def __init__(self, arena: Arena, base: datetime, factor: float, folder: Path, seed: int) -> None:
        self.arena, self.db, self.folder = arena, arena.db, folder
        self.random, self.diary = random.Random(seed), Diary()
        self.counts: Counter[str] = Counter()
        self.living: list[int] = []
        self.stopped: list[int] = []
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = count()
        self.born = self.until = base
        maker = engine_on(self.db, arena.ttl, VirtualClock(base))  # type: ignore[arg-type]
        for tenant, specs in zip(arena.tenants, SCHEDULES, strict=True):
            with self.db.write(tenant) as session:
                maker.replace_schedules(session, tenant, specs)
        self.clock = Pace(base, time.monotonic(), factor)
        assert not LeaseTime(self.db, self.clock).of_database, "leases go by the compressed clock as well"
        self.engine = engine_on(self.db, arena.ttl, self.clock)
        self.slow_host = engine_on(self.db, arena.ttl, self.clock.behind(150))

    # What people do

    def hold(self, minutes: float, *, until: bool) -> None:
        """Hold the schedules of a site, for a time said before or until somebody ends it."""
        tenant, asked = self.arena.tenants[HELD], self.clock.now()
        if self.stopped:
            self.later(lambda: self.hold(minutes, until=until))
            return
        end = asked + timedelta(minutes=minutes)
        with self.db.write(tenant) as session:
            self.engine.set_hold(session, tenant, on=True, reason="moving", until=end if until else None)
        since = self.clock.now()
        self.counts["holds"] += 1

        def release() -> None:
            begin = self.clock.now()
            with self.db.write(tenant) as session:
                self.engine.set_hold(session, tenant, on=False)
            self.diary.holds.append(Hold(tenant, asked, since, begin, self.clock.now()))

        if until:
            self.diary.holds.append(Hold(tenant, asked, since, end, end))
        else:
            self.at(end, release)

    def reinstall(self) -> None:
        """Have every next time computed again, by a host whose clock is behind: some come again that have been."""
        tenant = self.arena.tenants[REINSTALLED]
        if self.stopped or tenant in self.arena.active():
            self.later(self.reinstall)
            return
        with self.db.write(tenant) as session:
            session.get_one(Lane, tenant, with_for_update=True)
            rows = session.scalars(sa.select(JobSchedule)).all()
            before = {row.id: row.next_fire_at for row in rows}
            ended = set(session.scalars(sa.select(RetryDue.failed_execution_id)))
            self.slow_host.restart_schedules(session, tenant)
            after = {row.id: row.next_fire_at for row in rows}
        for row in rows:
            slots, old, new = slots_after(self.born, row), before[row.id], after[row.id]
            assert old is not None
            assert new is not None
            again = {slot for slot in slots if new <= slot < old}
            self.diary.again.setdefault(row.id, set()).update(again)
            self.diary.dropped.setdefault(row.id, set()).update(slot for slot in slots if old <= slot < new)
            self.counts["slots due again"] += len(again)
        self.diary.ended |= ended
        self.diary.reinstalled.append((tenant, self.clock.now()))

    # What befalls the processes

    def begin(self) -> None:
        seed = self.random.randrange(10**6)
        self.living.append(self.arena.send("tick", self.clock.write(), seed, self.folder))

    def kill(self, away: float = 1.0) -> None:
        """Kill any process; another begins within `away` minutes."""
        if self.living:
            os.kill(self.living.pop(self.random.randrange(len(self.living))), signal.SIGKILL)
            self.counts["kills"] += 1
            self.at(self.clock.now() + timedelta(minutes=self.random.uniform(0, away)), self.begin)

    def kill_all(self, away: float) -> None:
        """Kill all at once; for a while nobody ticks."""
        for pid in self.living:
            os.kill(pid, signal.SIGKILL)
            self.at(self.clock.now() + timedelta(minutes=away), self.begin)
        self.counts["kills"] += len(self.living)
        self.living.clear()

    def stop(self, leases: float) -> None:
        """Stop a process for so many leases; then it resumes as if nothing had been."""
        if self.stopped or not self.living:
            return
        pid = self.living.pop(self.random.randrange(len(self.living)))
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        self.counts["stops"] += 1
        since = self.clock.now()

        def go_on() -> None:
            os.kill(pid, signal.SIGCONT)
            self.stopped.remove(pid)
            self.living.append(pid)
            # Until it has ended the transaction it was stopped in.
            self.diary.stops.append((since, self.clock.now() + timedelta(seconds=self.arena.ttl)))

        self.at(since + timedelta(seconds=leases * self.arena.ttl), go_on)

    def at(self, when: datetime, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), what))

    def after(self, minutes: float, what: Callable[[], None]) -> None:
        self.at(self.born + timedelta(minutes=minutes), what)

    def later(self, what: Callable[[], None]) -> None:
        """Try again soon, unless the time is over by then."""
        if self.clock.now() + BREATH < self.until:
            self.at(self.clock.now() + BREATH, what)

    def live(self, until: datetime) -> None:
        """Let things happen until then, and until all that was stopped or on hold resumes; look all the time."""
        self.until = until
        while self.clock.now() < until or self._events:
            while self._events and self._events[0][0] <= self.clock.now():
                heapq.heappop(self._events)[2]()
            self.look()

    def look(self) -> None:
        self.counts["looks"] += 1
        self.counts["double active"] += any(number > 1 for number in Counter(self.arena.active()).values())
        threading.Event().wait(LOOK)

    def end(self) -> datetime:
        """Hold all, wait for what runs, end the processes, read what they have told; return since when all was held."""
        until = self.clock.now()
        for tenant in self.arena.tenants:
            with self.db.write(tenant) as session:
                self.engine.set_hold(session, tenant, on=True, reason="the end")
        eventually(lambda: not self.arena.active(), seconds=30)
        self.arena.close()
        for file in self.folder.iterdir():
            for line in file.read_text(encoding="utf-8").splitlines():
                self.diary.note(*json.loads(line))
        return until


@pytest.fixture
def arena(database: Database, new_tenant: Callable[..., TenantId], crew: subprocess.Popen[str]) -> Iterator[Arena]:
    made = Arena(database, [new_tenant() for _ in SCHEDULES], 60.0, crew)
    yield made
    made.close()


def judged(town: Town, until: datetime, title: str, ticking: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold what has happened against what was promised, and print the figures."""
    effects = town.arena.check_effects()
    figures = Chronos(town.db, town.diary, town.born, FEW * ticking).check(until)
    minutes = round((until - town.born).total_seconds() / 60)
    more = {"minutes": minutes, "factor": town.clock.factor, "effects": effects}
    tell(capsys, title, {**more, **figures, **town.counts})
    assert town.counts["double active"] == 0


def short(town: Town) -> None:
    town.after(1.3, lambda: town.hold(2, until=True))
    for minute in (1.5, 3.2):
        town.after(minute, town.kill)
    for minute in (2.6, 4.6):
        town.after(minute, town.reinstall)


def long(town: Town, minutes: int) -> None:
    """Something every few minutes, each kind at its own times; in the middle all processes are away."""
    chance = town.random

    def again(least: float, most: float, what: Callable[[], None]) -> None:
        when = chance.uniform(least, most)
        while when < minutes - 10:
            town.after(when, what)
            when += chance.uniform(least, most)

    again(1.5, 4, town.kill)
    again(7, 13, lambda: town.hold(chance.uniform(1, 6), until=chance.random() < 0.5))
    again(3, 7, town.reinstall)
    again(15, 25, lambda: town.stop(chance.uniform(1.5, 3)))
    town.after(minutes / 2, lambda: town.kill_all(5))


def clocks_change(zone: str, since: datetime, until: datetime) -> bool:
    return since.astimezone(ZoneInfo(zone)).utcoffset() != until.astimezone(ZoneInfo(zone)).utcoffset()


@POSTGRESQL
@pytest.mark.parametrize(
    ("processes", "factor", "minutes"), [(3, 90, 5), pytest.param(4, 60, 230, marks=pytest.mark.long)]
)
@pytest.mark.timeout(500)
def test_each_slot_fires_once_however_many_processes_tick_die_and_stop(
    arena: Arena, processes: int, factor: int, minutes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = Town(arena, BEFORE_BOTH, factor, tmp_path, seed=minutes)
    until = town.born + timedelta(minutes=minutes)
    assert clocks_change(FORWARD, town.born, until)
    if minutes > 60:
        assert clocks_change(BACK, town.born, until)
        long(town, minutes)
    else:
        short(town)
    for _ in range(processes):
        town.begin()
    town.live(until)
    judged(town, town.end(), f"slots, {processes} processes, PostgreSQL", processes, capsys)


@SQLITE
def test_each_slot_fires_once_with_three_threads_ticking_in_the_one_process_on_sqlite(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "told"
    folder.mkdir()
    town = Town(arena, BEFORE_BACK, 120, folder, seed=3)
    until = town.born + timedelta(minutes=4)
    assert clocks_change(BACK, town.born, until)
    monkeypatch.setattr(scheduler, "ROUND_SECONDS", longer_rounds(town.clock.factor))
    stop, failures = threading.Event(), []
    engines = [engine_on(town.db, arena.ttl, town.clock, seed) for seed in range(3)]
    reaper = reaping(engines[0], town.clock.factor)

    def ticking(number: int) -> None:
        try:
            tick_together(engines[number], town.clock, town.diary.note, stop)
        except Exception as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=ticking, args=(number,)) for number in range(3)]
    note_ends(engines[0], town.clock, town.diary.note)
    engines[0].boot()
    try:
        reaper.start()
        for thread in threads:
            thread.start()
        town.after(1.3, lambda: town.hold(2, until=False))
        town.after(2.6, town.reinstall)
        town.live(until)
        held = town.end()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        reaper.stop()
        engines[0].shutdown(town.clock.factor * 5)
    assert not failures
    judged(town, held, "slots, 3 threads, SQLite", 3, capsys)
