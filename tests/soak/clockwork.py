"""A process with all the engine's ticks, on a clock that runs many times too fast and is the same in every process."""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from addon.base import Database
from addon.engine import Engine, EngineSettings, Metronome, Run, RunSpace
from addon.engine.schedule import scheduler
from addon.engine.wake.metronome import Tick
from addon.engine.worker.run import ActiveRun
from tests.support.fakejob import FakeJob, spaces

EFFECT = sa.text(
    "INSERT INTO soak_effect (tenant_id, execution_id, fence, space) VALUES (:tenant, :run, :fence, :space)"
)
REFRESH, MAILS = "refresh-statuses", "send-notifications"
TICK = 10.0
RETRY = 120.0
ATTEMPTS = 3
PRECEDING = 1
"""Numbers of the compressed clock, as the product has them but for the retries, of which there would be too few."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Implements addon.base.Clock: `base` was at `origin` of the machine's monotonic clock, time runs `factor` fold.

    All spans of the engine are compressed alike: a lease of 60 s lasts as long against a tick of 10 s as ever.
    """

    base: datetime
    origin: float
    factor: float

    def now(self) -> datetime:
        return self.base + timedelta(seconds=self.factor * (time.monotonic() - self.origin))

    def monotonic(self) -> float:
        return self.factor * time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds / self.factor)

    def behind(self, seconds: float) -> Pace:
        """Return the clock of a host that is wrong by so much."""
        return replace(self, base=self.base - timedelta(seconds=seconds))

    def write(self) -> str:
        """Return it as one word."""
        return json.dumps([self.base.isoformat(), self.origin, self.factor], separators=(",", ":"))

    @classmethod
    def read(cls, word: str) -> Pace:
        base, origin, factor = json.loads(word)
        return cls(datetime.fromisoformat(base).astimezone(UTC), origin, factor)


class SlotJob(FakeJob):
    """Two spaces that take a while each, now more than a slot's period, and fail for reasons that pass."""

    def __init__(self, job_type: str, seed: int, failing: float) -> None:
        super().__init__(type=job_type, listing=lambda run: spaces("A", "B"))
        self.random = random.Random(seed)
        self.failing = failing

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        assert isinstance(run, ActiveRun)
        for space in spaces:
            with run.write() as session:
                run.begin(session, [space])
            run.call_seconds(write=True)
            run.clock.wait(run.stop, self.random.choice((2, 10, 10, 20, 50)))
            run.check()
            what = {"run": run.execution_id, "fence": run.lease.fence, "space": space.key, "tenant": run.tenant_id}
            with run.write() as session:
                if self.random.random() < self.failing:
                    run.failed(session, space, "the site answered 503", transient=True)
                else:
                    session.execute(EFFECT, what)
                    run.done(session, space, {"contentsChecked": 1})
            run.safe_point()


def engine_on(db: Database, ttl: float, pace: Pace, seed: int = 0, *, runners: int = 3) -> Engine:
    """Return an engine on this clock, with both jobs."""
    settings = EngineSettings(
        ttl=ttl,
        runners=runners,
        call_threads=1,
        retry_seconds=RETRY,
        max_attempts=ATTEMPTS,
        precedence_attempts=PRECEDING,
        tick_seconds=TICK,
        recorded_slots=3,
    )
    jobs = [SlotJob(REFRESH, seed, 0.1), SlotJob(MAILS, seed + 1, 0.35)]
    return Engine(db, pace, settings, {job.type: job for job in jobs})


def reaping(engine: Engine, factor: float) -> Metronome:
    """Return what calls the reaper as often as the product does, by the compressed clock."""
    settings = engine.settings
    ticks = [Tick("reaper", settings.reaper / factor, engine.reaper_tick, settings.margin / factor)]
    return Metronome(ticks)


Note = Callable[..., None]
"""Told what a process has seen: ("tick", began, ended, started), ("left", execution, when) or ("complaint", words)."""


def tick_together(engine: Engine, pace: Pace, note: Note, stop: threading.Event) -> None:
    """Look for what is due at the same instants as all others do, the full minutes among them: the tightest race."""
    while not pace.wait(stop, TICK - pace.now().timestamp() % TICK):
        began = pace.now().timestamp()
        started = engine.schedule_tick()
        note("tick", began, pace.now().timestamp(), started)


def note_ends(engine: Engine, pace: Pace, note: Note) -> None:
    """Have noted when a run was left: if it ended, its end had been committed by then and anybody could see it."""
    unregister = engine._heartbeat.unregister

    def left(run: ActiveRun) -> None:
        unregister(run)
        note("left", run.execution_id, pace.now().timestamp())

    engine._heartbeat.unregister = left  # type: ignore[method-assign]


def longer_rounds(factor: float) -> float:
    """Return how long a tick may continue from tenant to tenant: its work is as slow as ever, only its clock is not."""
    return scheduler.ROUND_SECONDS * factor


class Complaints(logging.Handler):
    """Passes on what the engine could not do. A lost lease is a warning and none of it."""

    def __init__(self, note: Note) -> None:
        super().__init__(logging.ERROR)
        self.note = note

    def emit(self, record: logging.LogRecord) -> None:
        self.note("complaint", self.format(record))


def keep_time(db: Database, ttl: float, pace: Pace, seed: int, folder: Path) -> None:
    """Be a process until killed; a file of its own in `folder` tells what it did, a line each."""
    scheduler.ROUND_SECONDS = longer_rounds(pace.factor)
    file = os.open(folder / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(*what: object) -> None:
        os.write(file, json.dumps(what).encode() + b"\n")

    logging.getLogger("addon").addHandler(Complaints(note))
    engine = engine_on(db, ttl, pace, seed)
    note_ends(engine, pace, note)
    engine.boot()
    reaping(engine, pace.factor).start()
    try:
        tick_together(engine, pace, note, threading.Event())
    except Exception as error:
        note("complaint", f"a tick raised {error!r}")
        raise
