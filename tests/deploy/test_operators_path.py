"""A new operator's path, as docs/deploying.md has it: from nothing to a finished run, backup, restore, upgrade.

The commands are the document's own, block by block, in a copy of the repository and a shell that knows nothing else.
What is between them in words (edit the settings, start, stop, install into a site) is done here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from addon.base import SystemClock
from addon.sandbox.inbox import Inbox
from addon.sandbox.seed import seed_sized
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.e2e.stack import Stack
from tests.support.postgres import PostgresServer, own_server
from tests.support.servers import eventually, free_port

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "deploying.md").read_text()
ABOUT_LOOPBACK = "FAIL  Base URL: http://127.0.0.1"
"""All that the doctor may say against a pretend site: it is not reached by https."""


def block(name: str) -> str:
    """Return the document's commands under that name."""
    [found] = re.findall(rf"<!-- path: {name} -->\n```bash\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


@dataclass
class Operator:
    """Somebody with a shell in a folder."""

    folder: Path
    server: PostgresServer
    port: int = field(default_factory=free_port)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        tools = self.folder.parent / "tools"
        tools.mkdir()
        # The database's superuser here is reached over the network, as anybody who may.
        (tools / "sudo").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
        (tools / "sudo").chmod(0o755)
        self._environment = {
            "PATH": f"{tools}:{self.server.bin}:{os.environ['PATH']}",
            "HOME": str(self.folder.parent),
            "LANG": "C.UTF-8",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.server.port),
            "PGUSER": "postgres",
        } | {name: value for name, value in os.environ.items() if name.startswith("PIP_")}

    def does(self, name: str, *, settings: bool = True) -> str:
        """Run a block of the document and return what it printed. The doctor's word on plain http is passed over."""
        script = block(name).replace("8080", str(self.port))
        script = script.replace("steward doctor", "{ steward doctor || doctor=$?; }")
        done = subprocess.run(
            self._bash(script, settings=settings),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        said = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
        assert [line for line in said if not line.startswith(ABOUT_LOOPBACK)] == []
        return done.stdout

    def runs(self, program: str) -> None:
        """Run a program in the installed environment, with the settings."""
        command = f"python - <<'END'\n{program}\nEND\n"
        subprocess.run(self._bash(command, settings=True), cwd=self.folder, env=self._environment, check=True)

    def edits(self, **settings: str) -> None:
        """Set variables in steward.env, as one does by hand."""
        path = self.folder / "steward.env"
        kept = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in settings]
        path.write_text("\n".join([*kept, *(f'{name}="{value}"' for name, value in settings.items())]) + "\n")

    def starts(self, name: str) -> None:
        """Run a block in a terminal of its own."""
        script = block(name).replace("8080", str(self.port)).replace("steward ", "exec steward ", 1)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    self._bash(script, settings=True), cwd=self.folder, env=self._environment, stdout=log, stderr=log
                )
            )

    def starts_everything(self) -> None:
        """Start one web process and two workers, and wait until the document's look at them is content."""
        for name in ("web", "worker", "worker"):
            self.starts(name)
        eventually(self._ready, seconds=300, every=1)

    def stops_everything(self) -> None:
        """End every process as one would, and have each leave in peace."""
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        left = [process.wait(120) for process in self.running]
        self.running.clear()
        assert set(left) == {0}, self.logs()

    def logs(self) -> str:
        return "".join(path.read_text()[-3000:] for path in self.folder.glob("*.log"))

    def _ready(self) -> bool:
        assert [process.poll() for process in self.running] == [None] * len(self.running), self.logs()
        script = block("ready").replace("8080", str(self.port))
        done = subprocess.run(["bash", "-c", script], env=self._environment, capture_output=True, check=False)
        return done.returncode == 0 and b'"ready"' in done.stdout

    def _bash(self, script: str, *, settings: bool) -> list[str]:
        before = 'export PATH="$PWD/steward-venv/bin:$PATH"\n' + (block("environment") if settings else "")
        return ["bash", "-euo", "pipefail", "-c", before + script]


@pytest.fixture
def site() -> Iterator[tuple[Site, SandboxServer, Inbox]]:
    made = Site(SystemClock())
    seed_sized(made, spaces=6, pages=120)
    made.inbox = Inbox(made.people.by_email).start()
    server = SandboxServer(made).start()
    yield made, server, made.inbox
    server.stop()
    made.inbox.stop()


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    folder = tmp_path / "content-steward"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.sqlite3*", "bench.json"))
    with own_server() as server:
        made = Operator(folder, server)
        yield made
        for process in made.running:
            process.kill()
            process.wait()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_from_nothing_to_a_finished_run_then_backup_restore_and_upgrade(
    operator: Operator, site: tuple[Site, SandboxServer, Inbox]
) -> None:
    where, server, inbox = site
    stack = Stack(where, server, inbox, operator.folder, [])
    stack.port, stack.base_url = operator.port, f"http://127.0.0.1:{operator.port}"

    operator.does("program", settings=False)
    operator.does("database", settings=False)
    operator.does("settings", settings=False)
    assert (operator.folder / "steward.env").stat().st_mode & 0o077 == 0
    operator.edits(
        STEWARD_BASE_URL=stack.base_url,
        STEWARD_DATABASE_URL=f"postgresql+psycopg://steward:change-me@127.0.0.1:{operator.server.port}/steward",
        # The pretend site in place of Atlassian's hosts.
        STEWARD_INSTALL_KEY_HOSTS=f"{server.url}/install-keys",
        STEWARD_ALLOWED_HOSTS="http://127.0.0.1:*",
        STEWARD_AP_SCRIPT_URL=f"{server.url}/sandbox/all.js",
        STEWARD_SMTP_URL=inbox.smtp_url,
        STEWARD_LEASE_SECONDS="10",
    )
    assert "(was empty)" in operator.does("schema")
    operator.starts_everything()
    stack.install()
    assert stack.api("POST", "/api/first-run", json={"spaces": "all"}).ok
    first = _finished(stack)
    assert first["status"] == "successful"
    assert first["metrics"]["spacesProcessed"] == 6

    operator.does("backup")
    later = stack.run("refresh-statuses")
    operator.stops_everything()

    assert "as before" in operator.does("restore")
    operator.starts_everything()
    known = {each["id"] for each in stack.api("GET", "/api/executions").json()["items"]}
    assert first["id"] in known
    assert later["id"] not in known, "what was done after the backup is not in it"
    assert stack.run("refresh-statuses")["status"] == "successful"
    operator.stops_everything()

    operator.runs(OF_THE_FIRST_VERSION)
    operator.starts("web")
    assert operator.running.pop().wait(300) == 1
    assert "Run: steward migrate" in operator.logs()
    assert "(was 0001)" in operator.does("upgrade")
    operator.starts_everything()
    assert stack.run("refresh-statuses")["status"] == "successful"
    assert first["id"] in {each["id"] for each in stack.api("GET", "/api/executions").json()["items"]}
    operator.stops_everything()


def _finished(stack: Stack) -> dict:  # type: ignore[type-arg]
    """The run that the confirmed first run starts automatically, or one by hand."""
    items = stack.api("GET", "/api/executions").json()["items"]
    return stack.ended(items[0]["id"]) if items else stack.run("refresh-statuses")


OF_THE_FIRST_VERSION = """
from alembic import command
from addon import schema
from addon.base import Database
from addon.config import Settings
db, config = Database(Settings().database_url, patience=None), schema._config()
with db.engine.execution_options(steward_write=True).begin() as connection:
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")
"""
"""Takes the database back to the first revision, as a version of that time would have left it."""
