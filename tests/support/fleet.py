"""One web process and several workers on one PostgreSQL, over a pretend site, as an operator starts them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from addon.base import Database
from addon.engine import JobExecution, queries
from addon.engine.models import Worker
from addon.sandbox.site import Site
from tests.e2e.stack import Stack, stack_over
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually


class Fleet:
    """The web is `stack`; workers are started and ended by the test."""

    def __init__(self, stack: Stack, db: Database, settings: dict[str, str]) -> None:
        self.stack = stack
        self.db = db
        self.settings = settings
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is in the registry."""
        with (self.stack.folder / "workers.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.stack.command, "worker"],
                env=self.stack.environment(**self.settings),
                cwd=self.stack.folder,
                stdout=log,
                stderr=log,
            )
        self.workers.append(process)
        eventually(lambda: process.poll() is not None or process.pid in self.registered(), seconds=40)
        assert process.poll() is None, self.log()
        return process

    def log(self) -> str:
        """Return the end of what the workers have logged."""
        return (self.stack.folder / "workers.log").read_text()[-4000:]

    def registered(self) -> dict[int, str]:
        """Return the processes of the registry: pid and worker id."""
        with self.db.read_all() as session:
            return {row.pid: row.id for row in session.scalars(sa.select(Worker))}

    def draining(self, pid: int) -> bool:
        """Return whether the process has said that it stops."""
        with self.db.read_all() as session:
            return bool(session.scalar(sa.select(Worker.draining).where(Worker.pid == pid)))

    def row(self, execution_id: str) -> JobExecution:
        with self.db.read_all() as session:
            return session.get_one(JobExecution, execution_id)

    def events(self, execution_id: str) -> list[str]:
        """Return the last part of the tags of an execution's audit events."""
        with self.db.read_all() as session:
            return [event.tag.removeprefix("job:execution:") for event in queries.events(session, execution_id)]

    def owner_of(self, execution_id: str) -> subprocess.Popen[bytes]:
        """Wait until somebody owns the execution; return that worker."""
        owner = eventually(lambda: self.row(execution_id).owner)
        pids = {worker_id: pid for pid, worker_id in self.registered().items()}
        return next(process for process in self.workers if process.pid == pids[owner])

    def start(self, job: str) -> str:
        """Start a job over the whole site through the API; return the execution's id."""
        started = self.stack.api("POST", "/api/executions", json={"job": job, "scope": "site"})
        assert started.status_code == 201, started.text
        return str(started.json()["id"])

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals, *, seconds: float = 40) -> int:
        """Send a signal and wait for the end; return the exit status."""
        process.send_signal(number)
        return process.wait(seconds)

    def close(self) -> None:
        for process in self.workers:
            process.kill()
            process.wait()


def stamps(site: Site) -> dict[str, int]:
    """Return the version of each status stamp: 1 where it was written once."""
    with site.lock:
        return {
            content.id: content.properties["steward-status"].version
            for content in site.contents()
            if "steward-status" in content.properties
        }


@contextmanager
def fleet_over(site: Site, server: PostgresServer, folder: Path, *, workers: int, **settings: Any) -> Iterator[Fleet]:
    """Migrate an empty database with `steward migrate`, then bring up the web and the workers on it."""
    name = f"fleet_{folder.name.replace('-', '_')}"
    server.execute(f"CREATE DATABASE {name}")
    url = server.url(name)
    db = Database(url, pool_size=2)
    made = {"STEWARD_DATABASE_URL": url, "STEWARD_LEASE_SECONDS": "3", "STEWARD_TICK_SECONDS": "1"} | settings
    try:
        with stack_over(site, folder, migrate=True, **made) as stack:
            fleet = Fleet(stack, db, made)
            try:
                for _ in range(workers):
                    fleet.add_worker()
                yield fleet
            finally:
                fleet.close()
    finally:
        db.dispose()
        server.drop(name)
