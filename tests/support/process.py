"""Engines with threads, ticks and a real clock, as processes have them, for tests that take the database away.

Import the fixtures `tenant` and `run_processes` where they are needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, SystemClock, TenantId
from addon.engine import Engine, EngineSettings, JobExecution, Metronome, Run, RunSpace, StartRequest, Tick, queries
from tests.support.fakejob import FakeJob, spaces

CLOCK = SystemClock()
TTL = 4.0
"""Where a lease has to end: seconds, more than a busy machine stalls."""
LONG = 600.0
"""Where none has to."""
TICK = 0.3


class Settings(EngineSettings):
    """Beats often and looks again at once when the database could not be used, however long the lease is."""

    @property
    def beat(self) -> float:
        return 0.5

    @property
    def again(self) -> float:
        return 0.1


@dataclass
class LongJob(FakeJob):
    """One space is a chain of calls that change something, each of them noted when it begins."""

    calls_of_a_space: int = 1
    pace: float = 0.02
    calls: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listing = lambda run: spaces("A", "B", "C")
        self.call = self._chain

    def _chain(self, run: Run, space: RunSpace) -> dict[str, Any]:
        for _ in range(self.calls_of_a_space):
            # Asked before the engine is: a thread that stalls in between began no call late.
            began = CLOCK.monotonic()
            run.call_seconds(write=True)
            self.calls.append(began)
            threading.Event().wait(self.pace)
        return {"contentsChecked": 1}


@dataclass
class Process:
    """An engine with its threads and ticks, as a process has them."""

    db: Database
    job: LongJob = field(default_factory=LongJob)
    window: Database | None = None
    """Through which the test starts and looks, when the process' own way to the database is the one that breaks."""
    ttl: float = LONG

    def __post_init__(self) -> None:
        settings = Settings(ttl=self.ttl, runners=1, call_threads=1)
        self.engine = Engine(self.db, CLOCK, settings, {self.job.type: self.job})
        self.metronome = Metronome([Tick(tick.name, TICK, tick.call) for tick in self.engine.ticks()])

    def boot(self) -> None:
        self.engine.boot()
        self.metronome.start()

    def stop(self) -> None:
        self.metronome.stop()
        self.engine.shutdown(20)

    def start(self, tenant: TenantId) -> str:
        with (self.window or self.db).write(tenant) as session:
            return self.engine.start(session, StartRequest(tenant_id=tenant, job_type=self.job.type, scope="site")).id

    def row(self, execution_id: str) -> JobExecution:
        with (self.window or self.db).read_all() as session:
            return session.get_one(JobExecution, execution_id)

    def events(self, execution_id: str) -> list[str]:
        with (self.window or self.db).read_all() as session:
            return [event.tag.removeprefix("job:execution:") for event in queries.events(session, execution_id)]

    def waits(self, execution_id: str) -> list[float]:
        """Return for how many seconds a run was put aside each time."""
        with (self.window or self.db).read_all() as session:
            events = [event for event in queries.events(session, execution_id) if event.tag.endswith(":paused")]
            return [(datetime.fromisoformat(event.detail["until"]) - event.at).total_seconds() for event in events]

    def wait_no_longer(self, execution_id: str) -> None:
        """Let the time pass for which a run is put aside, if it is."""
        with (self.window or self.db).write_all() as session:
            waiting = (JobExecution.id == execution_id, JobExecution.not_before > CLOCK.now())
            session.execute(sa.update(JobExecution).where(*waiting).values(not_before=CLOCK.now()))

    def ended(self, execution_id: str, status: str = "successful") -> bool:
        return self.row(execution_id).status == status


@pytest.fixture
def tenant(database: Database, new_tenant: Callable[..., TenantId]) -> TenantId:
    tenant = new_tenant()
    with database.write(tenant) as session:
        Process(database).engine.open_lane(session, tenant, first_run=False)
    return tenant


@pytest.fixture
def run_processes(database: Database) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def run(db: Database, *, ttl: float = LONG, **options: Any) -> Process:
        process = Process(db, LongJob(**options), window=database, ttl=ttl)
        made.append(process)
        process.boot()
        return process

    yield run
    for process in made:
        process.stop()
