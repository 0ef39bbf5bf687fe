"""A PostgreSQL server of our own for a test session, and an empty database with our schema for a test.

Import `postgres_server` and `postgres_database` into a conftest. Debian's binaries are used; as root the server runs as
user postgres. Without binaries such tests are skipped, or fail when STEWARD_TEST_REQUIRE=all.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from addon.base import Database, metadata
from tests.support.servers import free_port

_TEMPLATE = "steward_template"


@dataclass
class PostgresServer:
    """A server on loopback. `bin` holds its binaries, `data` its files; a test may stop and start it."""

    bin: Path
    data: Path
    port: int
    durable: bool = False
    """What was committed survives an immediate stop (of the server, not of the machine)."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data} "
            f"-c fsync=off -c synchronous_commit={'on' if self.durable else 'off'} -c full_page_writes=off "
            "-c max_connections=200"
        )
        log = self.data / "server.log"
        _run(self.bin / "pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", "30", "start")

    def stop(self, mode: str = "immediate") -> None:
        _run(self.bin / "pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def create(self) -> str:
        """Create an empty database with the schema of the models; return its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    beside = shutil.which("initdb")
    return Path(beside).parent if beside else None


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    done = subprocess.run(words, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words} failed: {done.stderr}")


BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
"""Mark for tests that must hold on both databases."""


@contextmanager
def own_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A PostgreSQL server with nothing but the template of our schema. Skips the test where there are no binaries."""
    import addon.migrations.tables  # noqa: F401  (registers every table)

    binaries = _binaries()
    if binaries is None:
        if os.environ.get("STEWARD_TEST_REQUIRE") == "all":
            pytest.fail("no PostgreSQL binaries, and STEWARD_TEST_REQUIRE=all")
        pytest.skip("no PostgreSQL binaries on this machine")
    folder = Path(tempfile.mkdtemp(prefix="steward-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = PostgresServer(binaries, folder / "data", free_port(), durable)
    try:
        _run(binaries / "initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        server.start()
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        template = Database(server.url(_TEMPLATE))
        metadata.create_all(template.engine)
        template.dispose()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this test session."""
    with own_server() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """An empty PostgreSQL database with the schema of the models."""
    name = postgres_server.create()
    db = Database(postgres_server.url(name))
    yield db
    db.dispose()
    postgres_server.drop(name)
