"""A night of the whole product: web and workers on PostgreSQL are killed one after the other, the site stumbles.

Refreshes, automations and digests run meanwhile. In the morning every status is right, every page that left is in the
log exactly once, and nobody has a mail twice. `make soak` runs it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from addon.base import SystemClock
from addon.engine import ACTIVE, ExecutionItem, JobExecution
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks.model import FRESHNESS, compare, plain_status
from tests.support.fleet import Fleet, fleet_over
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually

WORKERS = 3
KILLS = 25
OLD_PAGES, EDITS = 15, 3
"""How many old pages appear, and how many that age are edited, between two kills."""
JOBS = ("refresh-statuses", "execute-automations", "send-notifications")
STUMBLES: tuple[dict[str, Any], ...] = (
    {"effect": "status", "status": 429, "retry_after": 1, "count": 3},
    {"effect": "status", "status": 503, "count": 3},
    {"effect": "drop", "count": 2},
    {"effect": "drop", "count": 2, "after": True},
    {"effect": "malformed", "count": 1},
    {"effect": "hang", "seconds": 2.0, "count": 2},
)


@dataclass
class Night:
    """The fleet, and somebody who kills its processes one after the other and starts them again."""

    fleet: Fleet
    chance: random.Random = field(default_factory=lambda: random.Random(25))
    killed: Counter[str] = field(default_factory=Counter)
    started: list[str] = field(default_factory=list)

    @property
    def site(self) -> Site:
        return self.fleet.stack.site

    def enable_everything(self) -> None:
        """Archive what was not updated for two years, and write to the people of what was not for one."""
        stack = self.fleet.stack
        policies = stack.api("GET", "/api/policies").json()
        first = policies["automationSchemes"][0]["automations"][0]
        policies["automationSchemes"][0]["automations"] = [
            first | {"id": "old", "enabled": True, "cql": 'lastmodified < now("-24M")', "action": {"type": "archive"}}
        ]
        for scheme in policies["notificationSchemes"]:
            for rule in scheme["rules"]:
                rule |= {"enabled": True, "cql": 'stewardStatus = "not-updated"'}
        stored = stack.api("PUT", "/api/policies", json=policies, headers={"If-Match": f'"{policies["version"]}"'})
        assert stored.ok, stored.text

    def write_pages(self) -> None:
        """Give the jobs something to do: pages that have to be archived, and pages whose status has to change back."""
        now = self.site.clock.now()
        keys = [space.key for space in self.site.spaces()]
        for number in range(OLD_PAGES):
            at = now - timedelta(days=self.chance.randrange(900, 1400))
            title = f"Old {self.killed.total()}-{number}"
            self.site.add_page(self.chance.choice(keys), title, author="u-writer-1", created_at=at)
        with self.site.lock:
            ageing = sorted(
                content.id
                for content in self.site.contents()
                if plain_status(self.site, content, FRESHNESS) == "not-updated"
            )
        for content_id in self.chance.sample(ageing, min(EDITS, len(ageing))):
            self.site.edit(content_id, by="u-writer-2")

    def due_for_archiving(self) -> set[str]:
        """Return the pages that have to go, by a plain look at each; those that are gone count too."""
        with self.site.lock:
            return {
                content.id
                for content in (*self.site.contents(), *self.site.contents(status="archived"))
                if content.kind == "page" and plain_status(self.site, content, FRESHNESS) == "expired"
            }

    def kill_somebody(self) -> None:
        """Kill the web or a worker in mid-flight, and start another in its place."""
        fleet = self.fleet
        fleet.workers = [process for process in fleet.workers if process.poll() is None]
        if self.chance.random() < 0.2:
            fleet.stack.kill()
            fleet.stack.start(**fleet.settings)
            self.killed["web"] += 1
            return
        # Half the time it is the one at work.
        owners = self.owners()
        at_work = [process for process in fleet.workers if process.pid in owners]
        process = self.chance.choice(at_work if at_work and self.chance.random() < 0.5 else fleet.workers)
        process.send_signal(signal.SIGKILL)
        process.wait()
        fleet.add_worker()
        self.killed["worker"] += 1

    def owners(self) -> set[int]:
        """Return the process ids of those who own an execution."""
        with self.fleet.db.read_all() as session:
            active = sa.select(JobExecution.owner).where(JobExecution.status.in_(ACTIVE))
            owners = set(session.scalars(active))
        return {pid for pid, worker in self.fleet.registered().items() if worker in owners}

    def start_something(self) -> None:
        """Ask for the next job in turn; somebody else may be at work, or the web not there."""
        try:
            body = {"job": JOBS[len(self.started) % len(JOBS)], "scope": "site"}
            answer = self.fleet.stack.api("POST", "/api/executions", json=body)
        except (requests.RequestException, KeyError):
            return
        if answer.status_code == 201:
            self.started.append(answer.json()["id"])

    def stumble(self) -> None:
        """Let the site do something wrong to some of the next calls."""
        self.site.faults.add(**self.chance.choice(STUMBLES), skip=self.chance.randrange(20))

    def executions(self) -> list[JobExecution]:
        with self.fleet.db.read_all() as session:
            return list(session.scalars(sa.select(JobExecution).order_by(JobExecution.id)))

    def idle(self) -> bool:
        return all(row.status not in ACTIVE for row in self.executions())

    def undisturbed(self, job: str) -> dict[str, Any]:
        """Run a job to its end with nobody in the way."""
        eventually(self.idle, seconds=60)
        ended = self.fleet.stack.ended(self.fleet.start(job), seconds=120)
        assert ended["status"] == "successful", ended
        return ended

    def logged(self, action: str) -> Counter[str]:
        """Return how often the log says of each content that the action was done."""
        with self.fleet.db.read_all() as session:
            done = sa.select(ExecutionItem.content_id).where(
                ExecutionItem.action == action, ExecutionItem.outcome == "done"
            )
            return Counter(session.scalars(done))


@pytest.fixture
def night(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Night]:
    site = Site(SystemClock())
    seed_sized(site, spaces=12, pages=900)
    site.latency_ms = 150
    site.tasks.archive_seconds = 1.0
    with fleet_over(site, postgres_server, tmp_path, workers=WORKERS) as fleet:
        yield Night(fleet)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_after_a_night_of_kills_and_faults_everything_is_done_once_and_right(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    site, waiting = night.site, threading.Event()
    night.enable_everything()
    while night.killed.total() < KILLS:
        night.start_something()
        night.stumble()
        night.write_pages()
        waiting.wait(night.chance.uniform(0.5, 3))
        night.kill_somebody()
    site.faults.clear()
    site.latency_ms = 0
    eventually(night.idle, seconds=120)
    disturbed = night.executions()

    for job in JOBS:
        night.undisturbed(job)
    refreshed = night.undisturbed("refresh-statuses")

    with site.lock:
        archived = {content.id for content in site.contents(status="archived")}
    received = Counter((mail.recipient, mail.message_id) for mail in night.fleet.stack.inbox.mails())
    figures = {
        "kills": dict(night.killed),
        "executions": dict(Counter(row.status for row in disturbed)),
        "by job": dict(Counter(row.job_type for row in disturbed)),
        "errors": dict(Counter(row.error for row in disturbed if row.error)),
        "archived": len(archived),
        "statuses changed": sum((row.metrics or {}).get("statusesChanged", 0) for row in night.executions()),
        "mails": received.total(),
        "calls": sum(row.calls for row in night.executions()),
    }
    with capsys.disabled():
        os.write(1, f"\na night of kills, web and {WORKERS} workers, PostgreSQL: {json.dumps(figures)}\n".encode())
    compare(site, FRESHNESS, "in the morning")
    assert refreshed["metrics"]["statusesChanged"] == 0
    assert archived == night.due_for_archiving(), "all that had to go went, and nothing else"
    assert night.logged("archive") == Counter(archived), "each page that left is in the log exactly once"
    assert set(received.values()) == {1}, "people have mails, and nobody has one twice"
