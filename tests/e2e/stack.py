"""The whole thing on loopback: a pretend site in this process, the add-on as a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from addon.sandbox.inbox import Inbox
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.servers import eventually, free_port

ADMIN = "u-admin"
TERMINAL = ("successful", "failed", "cancelled")


class Stack:
    """A sandbox site, an inbox, and the add-on's process with its database in `folder`."""

    def __init__(self, site: Site, server: SandboxServer, inbox: Inbox, folder: Path, command: list[str]) -> None:
        self.site = site
        self.server = server
        self.inbox = inbox
        self.folder = folder
        self.command = command
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str] = {
            "STEWARD_BASE_URL": self.base_url,
            "STEWARD_DATABASE_URL": f"sqlite:///{folder / 'steward.sqlite3'}",
            "STEWARD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "STEWARD_INSTALL_KEY_HOSTS": f"{server.url}/install-keys",
            "STEWARD_ALLOWED_HOSTS": "http://127.0.0.1:*",
            "STEWARD_FIRST_RUN": "start",
            "STEWARD_AP_SCRIPT_URL": f"{server.url}/sandbox/all.js",
            "STEWARD_SMTP_URL": inbox.smtp_url,
            "STEWARD_MAIL_FROM": "Content Steward <steward@example.test>",
            "STEWARD_LEASE_SECONDS": "30",
            "STEWARD_TICK_SECONDS": "1",
        }

    def start(self, **settings: str) -> None:
        """Start the add-on's process and wait until it answers."""
        with (self.folder / "addon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve", "--port", str(self.port)],
                env=self.environment(**settings),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, seconds=40)

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of the add-on's process."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("STEWARD_")}
        return bare | self.settings | settings

    def kill(self) -> None:
        """End the process as an out-of-memory killer would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End the process as an operator would; return its exit status."""
        return self._end(signal.SIGTERM)

    def install(self) -> None:
        """Install the add-on into the site through the real signed handshake."""
        answer = requests.post(
            f"{self.server.url}/sandbox/install",
            json={"descriptorUrl": f"{self.base_url}/atlassian-connect.json"},
            timeout=30,
        )
        assert answer.ok, answer.text

    def api(self, method: str, path: str, *, account: str = ADMIN, **options: Any) -> requests.Response:
        """Call the JSON API as `account`, with a context token that the site mints."""
        token = requests.get(
            f"{self.server.url}/sandbox/context-token", params={"account": account}, timeout=10
        ).json()["token"]
        headers = {"Authorization": f"JWT {token}", **options.pop("headers", {})}
        return requests.request(method, self.base_url + path, headers=headers, timeout=30, **options)

    def run(self, job: str, **body: Any) -> dict[str, Any]:
        """Start a job by hand and wait for its end; return the execution."""
        started = self.api("POST", "/api/executions", json={"job": job, "scope": "site", **body})
        assert started.status_code == 201, started.text
        return self.ended(started.json()["id"])

    def ended(self, execution_id: str, *, seconds: float = 60) -> dict[str, Any]:
        """Wait until the execution is terminal; return it."""

        def probe() -> dict[str, Any] | None:
            execution: dict[str, Any] = self.api("GET", f"/api/executions/{execution_id}").json()
            return execution if execution["status"] in TERMINAL else None

        found = eventually(probe, seconds=seconds, every=0.2)
        assert found is not None
        return found

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "addon.log").read_text()[-4000:]
        try:
            return requests.get(f"{self.base_url}/healthz", timeout=2).ok
        except requests.ConnectionError:
            return False

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(40)
        self.process = None
        return status


@contextmanager
def stack_over(
    site: Site, folder: Path, *, command: list[str] | None = None, migrate: bool = False, **settings: str
) -> Iterator[Stack]:
    """Bring up the whole thing over `site`, the add-on started and installed; `migrate` runs that command first."""
    inbox = site.inbox = Inbox(site.people.by_email).start()
    server = SandboxServer(site).start()
    stack = Stack(site, server, inbox, folder, command or [str(Path(sys.executable).with_name("steward"))])
    try:
        if migrate:
            subprocess.run([*stack.command, "migrate"], env=stack.environment(**settings), cwd=folder, check=True)
        stack.start(**settings)
        stack.install()
        yield stack
    finally:
        if stack.process is not None:
            stack.kill()
        server.stop()
        inbox.stop()
