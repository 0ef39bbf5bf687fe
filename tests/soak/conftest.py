"""A database with four sites whose lanes are open, and a crew of workers on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from addon.base import Database, SystemClock, TenantId
from addon.engine import ACTIVE, Busy, Engine, EngineSettings, ExecutionSpace, JobExecution, StartRequest
from tests.soak.crew import SoakJob

TENANTS = 4
ROOT = Path(__file__).parents[2]


@dataclass
class Arena:
    """The tenants, an engine of the test's own that only starts and looks, and what the effects say."""

    db: Database
    tenants: list[TenantId]
    ttl: float
    crew: subprocess.Popen[str]
    pids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.job = SoakJob(self.db, call_seconds=0)
        self.engine = Engine(self.db, SystemClock(), EngineSettings(ttl=self.ttl, runners=0), {self.job.type: self.job})
        serial = "INTEGER PRIMARY KEY AUTOINCREMENT" if self.db.is_sqlite else "BIGSERIAL PRIMARY KEY"
        now = "CURRENT_TIMESTAMP" if self.db.is_sqlite else "clock_timestamp()"
        with self.db.write_all() as session:
            for table, more in (("soak_effect", "tenant_id TEXT,"), ("soak_call", "")):
                session.execute(
                    sa.text(
                        f"CREATE TABLE {table} (id {serial}, {more} execution_id TEXT, fence INTEGER, space TEXT,"
                        f" at TIMESTAMP DEFAULT {now})"
                    )
                )
            for tenant in self.tenants:
                self.engine.open_lane(session, tenant, first_run=False)

    def send(self, command: str, *words: object) -> int:
        """Give the crew a command; return the new child's pid."""
        url = self.db.url.render_as_string(hide_password=False)
        assert self.crew.stdin is not None
        assert self.crew.stdout is not None
        self.crew.stdin.write(" ".join(str(word) for word in (command, url, self.ttl, *words)) + "\n")
        self.crew.stdin.flush()
        self.pids.append(int(self.crew.stdout.readline()))
        return self.pids[-1]

    def close(self) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def alive(self) -> list[int]:
        """Return the children that have not ended."""
        return [pid for pid in self.pids if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"]

    def start(self, tenant: TenantId) -> str | None:
        """Start an execution; None when the lane is taken."""
        try:
            with self.db.write(tenant) as session:
                return self.engine.start(
                    session, StartRequest(tenant_id=tenant, job_type=self.job.type, scope="site")
                ).id
        except Busy:
            return None

    def row(self, execution_id: str) -> JobExecution:
        with self.db.read_all() as session:
            return session.get_one(JobExecution, execution_id)

    def active(self) -> list[TenantId]:
        """Return the tenant of each active execution, asked in one statement."""
        with self.db.read_all() as session:
            return list(session.scalars(sa.select(JobExecution.tenant_id).where(JobExecution.status.in_(ACTIVE))))

    def count(self, table: str) -> int:
        with self.db.read_all() as session:
            return int(session.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)

    def statuses(self) -> dict[str, int]:
        with self.db.read_all() as session:
            found = session.execute(sa.select(JobExecution.status, sa.func.count()).group_by(JobExecution.status))
            return {status: number for status, number in found}  # noqa: C416  (rows, which dict() takes for pairs only untyped)

    def check_effects(self) -> int:
        """Assert what no soak may break; return how many effects there were.

        Fences of an execution never fall (no write of a zombie was accepted), the executions of a site follow each
        other, and each space that is done was written exactly once.
        """
        with self.db.read_all() as session:
            found = session.execute(
                sa.text("SELECT tenant_id, execution_id, fence, space FROM soak_effect ORDER BY id")
            ).all()
            done = session.execute(
                sa.select(ExecutionSpace.execution_id, ExecutionSpace.space_key).where(ExecutionSpace.state == "done")
            ).all()
        highest: dict[str, int] = {}
        order: dict[str, list[str]] = {}
        for row in found:
            assert row.fence >= highest.get(row.execution_id, 0), f"a zombie wrote in {row.execution_id}"
            highest[row.execution_id] = row.fence
            of_tenant = order.setdefault(row.tenant_id, [])
            if not of_tenant or of_tenant[-1] != row.execution_id:
                of_tenant.append(row.execution_id)
        for executions in order.values():
            assert len(executions) == len(set(executions)), "two executions of one site wrote side by side"
        written = sorted((row.execution_id, row.space) for row in found)
        assert written == sorted((row.execution_id, row.space_key) for row in done)
        return len(found)


@pytest.fixture(scope="session")
def crew() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.crew"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def arena(
    request: pytest.FixtureRequest,
    database: Database,
    new_tenant: Callable[..., TenantId],
    crew: subprocess.Popen[str],
) -> Iterator[Arena]:
    ttl = float(getattr(request, "param", 1.0))
    made = Arena(database, [new_tenant() for _ in range(TENANTS)], ttl, crew)
    yield made
    made.close()
    with database.write_all() as session:
        for table in ("soak_effect", "soak_call"):
            session.execute(sa.text(f"DROP TABLE {table}"))
