"""The base of the engine's tests: an installed tenant, engines over one database, and a scripted job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId, metadata
from addon.engine import (
    Dispatcher,
    Engine,
    EngineSettings,
    ExecutionSpace,
    JobExecution,
    RetryDue,
    StartRequest,
    queries,
)
from addon.engine.models import AuditEvent, ScheduleFire
from addon.engine.wake.procrastinate import ProcrastinateDispatcher, apply_schema
from addon.engine.worker.runner import run_next
from tests.support.clock import VirtualClock
from tests.support.fakejob import FakeJob

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""Mark for tests that must hold on both databases."""

EVERYWHERE = pytest.mark.parametrize("backend", ["sqlite", "postgresql", "procrastinate"], indirect=True)
"""Mark for the conformance suite: both databases, and PostgreSQL with procrastinate as the dispatcher."""


class Killed(BaseException):
    """Raised in a fake call it ends the runner like SIGKILL would: nothing more is written, the lease stays."""


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that returns the one database of a backend for the whole session, made at its first use.

    Emptying it after each test is much faster than making a new one, and statements are compiled only once.
    """
    import addon.migrations.tables  # noqa: F401  (registers every table)

    made: dict[str, Database] = {}

    def of(backend: str) -> Database:
        if backend not in made:
            if backend in ("postgresql", "procrastinate"):
                server = request.getfixturevalue("postgres_server")
                made[backend] = Database(server.url(server.create()))
                if backend == "procrastinate":
                    with made[backend].engine.begin() as connection:
                        apply_schema(connection)
            else:
                made[backend] = Database(f"sqlite:///{tmp_path_factory.mktemp('engine') / 'steward.sqlite3'}")
                metadata.create_all(made[backend].engine)
        return made[backend]

    yield of
    for db in made.values():
        db.dispose()


@pytest.fixture
def database(backend: str, databases: Callable[[str], Database]) -> Iterator[Database]:
    db = databases(backend)
    yield db
    empty(db)


def empty(db: Database) -> None:
    """Delete all rows."""
    with db.write_all() as session:
        for table in reversed(metadata.sorted_tables):
            session.execute(sa.delete(table))


@pytest.fixture
def own_database(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database for a test that changes the schema."""
    if backend != "sqlite":
        yield request.getfixturevalue("postgres_database")
        return
    db = Database(f"sqlite:///{tmp_path / 'steward.sqlite3'}")
    metadata.create_all(db.engine)
    yield db
    db.dispose()


@dataclass
class Rig:
    """One tenant with an open lane, and engines over its database (each as a process of its own would be)."""

    db: Database
    clock: VirtualClock
    tenant: TenantId
    new_tenant: Callable[..., TenantId]
    settings: EngineSettings
    job: FakeJob = field(default_factory=FakeJob)
    mails: FakeJob = field(default_factory=lambda: FakeJob("send-notifications", "Send notifications"))

    engines: list[Engine] = field(default_factory=list)
    dispatcher: Callable[[], Dispatcher] | None = None
    """Makes each engine's dispatcher; the local one without it."""

    def engine(self, **options: Any) -> Engine:
        if self.dispatcher is not None:
            options.setdefault("dispatcher", self.dispatcher())
        jobs = {job.type: job for job in (self.job, self.mails)}
        engine = Engine(self.db, self.clock, options.pop("settings", self.settings), jobs, **options)
        self.engines.append(engine)
        return engine

    def open(self, engine: Engine, tenant: TenantId | None = None, *, first_run: bool = False) -> None:
        with self.db.write(tenant or self.tenant) as session:
            engine.open_lane(session, tenant or self.tenant, first_run=first_run)

    def start(self, engine: Engine, **options: Any) -> JobExecution:
        wanted: dict[str, Any] = {"tenant_id": self.tenant, "job_type": self.job.type, "scope": "site"} | options
        with self.db.write(wanted["tenant_id"]) as session:
            return engine.start(session, StartRequest(**wanted))

    def cancel(self, engine: Engine, execution_id: str) -> JobExecution:
        with self.db.write(self.tenant) as session:
            return engine.cancel(session, tenant_id=self.tenant, execution_id=execution_id, actor_id="u-boss")

    def drive(self, engine: Engine) -> bool:
        """Claim and run one execution in this thread without any heartbeat, so that the test owns time."""
        return run_next(engine._context, engine._heartbeat)

    def kill_during(self, engine: Engine) -> None:
        """Drive an execution whose job raises Killed."""
        with pytest.raises(Killed):
            self.drive(engine)

    def row(self, execution_id: str) -> JobExecution:
        with self.db.read_all() as session:
            return session.get_one(JobExecution, execution_id)

    def rows(self) -> list[JobExecution]:
        """Return all executions, oldest first."""
        with self.db.read_all() as session:
            return list(session.scalars(sa.select(JobExecution).order_by(JobExecution.id)))

    def states(self, execution_id: str) -> dict[str, str]:
        """Return the state of each space by key."""
        with self.db.read_all() as session:
            found = session.scalars(sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == execution_id))
            return {space.space_key: space.state for space in found}

    def reasons(self, execution_id: str) -> dict[str, str]:
        """Return the reason of each space that has one, by key."""
        with self.db.read_all() as session:
            found = session.scalars(sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == execution_id))
            return {space.space_key: space.reason for space in found if space.reason}

    def events(self, execution_id: str) -> list[str]:
        """Return the last part of the tags of an execution's audit events, and check their numbers."""
        with self.db.read_all() as session:
            events = queries.events(session, execution_id)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert session.get_one(JobExecution, execution_id).seq == len(events)
            return [event.tag.removeprefix("job:execution:") for event in events]

    def event(self, execution_id: str, name: str) -> AuditEvent:
        with self.db.read_all() as session:
            return next(e for e in queries.events(session, execution_id) if e.tag.endswith(f":{name}"))

    def retries(self) -> list[RetryDue]:
        with self.db.read_all() as session:
            return list(session.scalars(sa.select(RetryDue)))

    def fires(self) -> list[ScheduleFire]:
        with self.db.read_all() as session:
            return list(session.scalars(sa.select(ScheduleFire).order_by(ScheduleFire.scheduled_for)))


@pytest.fixture
def rig(backend: str, database: Database, clock: VirtualClock, new_tenant: Callable[..., TenantId]) -> Iterator[Rig]:
    rig = Rig(database, clock, new_tenant(), new_tenant, EngineSettings(ttl=60.0, call_threads=4))
    rig.dispatcher = ProcrastinateDispatcher if backend == "procrastinate" else None
    rig.open(rig.engine())
    yield rig
    for engine in rig.engines:
        engine.shutdown()
