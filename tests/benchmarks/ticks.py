"""The cost of one tick with thousands of installations, all of whose schedules are due at once."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import Database, metadata
from addon.engine import Engine, EngineSettings
from tests.support.clock import VirtualClock
from tests.support.crowd import JOBS, installations
from tests.support.fakejob import FakeJob


@dataclass(frozen=True, slots=True)
class TickRow:
    """One measured tick. `grown_kib` is how much more memory the process held at most than before it."""

    installations: int
    started: int
    statements: int
    seconds: float
    grown_kib: int
    idle_statements: int
    idle_seconds: float

    @property
    def per_installation(self) -> float:
        """Statements of the tick for each installation."""
        return round(self.statements / self.installations, 2)


def measured_tick(db: Database, number: int) -> TickRow:
    """Fill an empty database with installations, tick once over all that is due and once more with nothing to do."""
    clock = VirtualClock()
    installations(db, clock, number)
    jobs = {job: FakeJob(job, job) for job in JOBS}
    engine = Engine(db, clock, EngineSettings(runners=0), jobs)
    with counted(db) as full:
        began = time.perf_counter()
        started = engine.schedule_tick()
        seconds = time.perf_counter() - began
    with counted(db) as idle:
        began = time.perf_counter()
        engine.schedule_tick()
        idle_seconds = time.perf_counter() - began
    return TickRow(
        number, started, full.statements, round(seconds, 2), full.grown_kib, idle.statements, round(idle_seconds, 3)
    )


def measured_ticks(folder: Path, numbers: tuple[int, ...]) -> Iterator[TickRow]:
    """Measure on SQLite, each number in a database of its own."""
    for number in numbers:
        db = Database(f"sqlite:///{folder / f'ticks-{number}.sqlite3'}")
        metadata.create_all(db.engine)
        yield measured_tick(db, number)
        db.dispose()


@dataclass
class Counted:
    """Statements executed, and the most memory seen beyond that at the beginning."""

    statements: int = 0
    grown_kib: int = 0


@contextmanager
def counted(db: Database) -> Iterator[Counted]:
    """Count the statements that are executed meanwhile, and look at the memory at some of them."""
    seen = Counted()
    before = _resident_kib()

    def note(*_event: Any) -> None:
        seen.statements += 1
        if seen.statements % 500 == 0:
            seen.grown_kib = max(seen.grown_kib, _resident_kib() - before)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(db.engine, "before_cursor_execute", note)


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024
