"""The add-on in this process, installed on a pretend site through the real handshake, with a clock the test turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from flask import Flask

from addon.app import create_app, parts_of, stop
from addon.config import Settings
from addon.parts import Parts
from addon.sandbox.inbox import Inbox
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import ADMIN, Site
from tests.support.clock import VirtualClock
from tests.support.servers import running

PATIENCE = 200
"""Looks, 20 ms each, for which the clock waits for a heartbeat that is due."""


class House:
    """Nothing ticks or runs but what the test asks for."""

    def __init__(self, app: Flask, url: str, site: Site, clock: VirtualClock) -> None:
        self.app = app
        self.parts: Parts = parts_of(app)
        self.url = url
        self.site = site
        self.clock = clock

    def api(self, method: str, path: str, *, account: str = ADMIN, **options: Any) -> requests.Response:
        """Call the JSON API as `account`."""
        headers = {"Authorization": f"JWT {self.site.host.context_token(account)}", **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=60, **options)

    def executions(self) -> list[dict[str, Any]]:
        """Return the audit log, newest first."""
        answer = self.api("GET", "/api/executions", params={"limit": 100})
        assert answer.ok, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def run(self, job: str, **body: Any) -> dict[str, Any]:
        """Start a job over the site by hand, run it to its end, and return the execution."""
        started = self.api("POST", "/api/executions", json={"job": job, "scope": "site", **body})
        assert started.status_code == 201, started.text
        self.work()
        execution: dict[str, Any] = self.api("GET", f"/api/executions/{started.json()['id']}").json()
        return execution

    def tick(self) -> None:
        """Tick once and run what is claimable to its end."""
        self.parts.engine.schedule_tick()
        self.parts.engine.reaper_tick()
        self.work()

    def work(self) -> None:
        """Run what is claimable to its end; the clock moves on meanwhile, so that waits for a second attempt pass."""
        self._turning(self.parts.engine.run_due)

    def until_next(self, job: str) -> None:
        """Turn the clock to just after the next time of `job`."""
        jobs = {entry["job"]: entry for entry in self.api("GET", "/api/jobs").json()["items"]}
        self.clock.set(datetime.fromisoformat(jobs[job]["nextAt"]) + timedelta(seconds=1))

    def _turning(self, work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        late = 0
        while thread.is_alive():
            thread.join(0.02)
            # Time does not run away from a heart that stalls; without a database it may beat in vain.
            late = late + 1 if self._heart_is_late() else 0
            if not 0 < late < PATIENCE:
                self.clock.advance(0.1)

    def _heart_is_late(self) -> bool:
        engine = self.parts.engine
        return any(run._trust_left() < engine.settings.ttl / 2 for run in engine._heartbeat.runs())


@contextmanager
def house_over(site: Site, clock: VirtualClock, folder: Path, **settings: Any) -> Iterator[House]:
    """Bring up the add-on on `site`, whose clock is `clock`; `settings` override those made for the pretend site."""
    with Inbox(site.people.by_email) as inbox, SandboxServer(site) as server:
        site.inbox = inbox
        made: dict[str, Any] = {
            "database_url": f"sqlite:///{folder / 'steward.sqlite3'}",
            "install_key_hosts": (f"{server.url}/install-keys",),
            "allowed_hosts": ("http://127.0.0.1:*",),
            "smtp_url": inbox.smtp_url,
            "mail_from": "Content Steward <steward@example.test>",
            "first_run": "start",
        }
        app: Flask
        with running(lambda *call: app(*call)) as url:
            app = create_app(Settings(**made | {"base_url": url} | settings), clock=clock, web_threads=8)
            site.host.install(f"{url}/atlassian-connect.json")
            yield House(app, url, site, clock)
            stop(app)
