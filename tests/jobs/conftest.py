"""A pretend site, an empty database, and the jobs between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

import descriptor
from addon.base import Database, TenantId
from addon.config import Settings
from addon.engine.job import Job
from addon.jobs.automations.job import ExecuteAutomations
from addon.jobs.context import JobContext, JobSettings
from addon.jobs.notifications.job import SendNotifications
from addon.jobs.statuses.job import RefreshStatuses
from addon.mail import Mailer
from addon.policies import Policies, PolicyDocument
from addon.sandbox.site import Site
from tests.jobs.direct import DirectClient, DirectConfluence
from tests.support.clock import VirtualClock
from tests.support.fakerun import FakeRun


class BriskClock(VirtualClock):
    """A clock on which every wait is over at once: the time has passed."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.advance(seconds)
        return event.is_set()


@dataclass
class Post:
    """A mail server that keeps what it accepts; `refuse` may raise for a recipient."""

    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuse: Callable[[str], None] = lambda recipient: None

    def session(self) -> AbstractContextManager[Post]:
        return nullcontext(self)

    def deliver(self, sender: str, recipient: str, content: bytes, handing_over: Callable[[], None]) -> None:
        self.refuse(recipient)
        handing_over()
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append((recipient, message))

    @property
    def recipients(self) -> list[str]:
        return sorted(recipient for recipient, _ in self.mails)

    def text(self, recipient: str) -> str:
        [message] = [message for to, message in self.mails if to == recipient]
        body = message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())


@dataclass
class Bench:
    """Everything one test of a job needs."""

    site: Site
    confluence: DirectConfluence
    policies: Policies
    db: Database
    clock: VirtualClock
    tenant_id: TenantId
    context: JobContext
    post: Post

    @property
    def client(self) -> DirectClient:
        return self.confluence.one

    def run(self, job_type: str = "refresh-statuses", **options: Any) -> FakeRun:
        with self.db.read(self.tenant_id) as session:
            version = self.policies.version(session, self.tenant_id)
        return FakeRun(self.db, self.tenant_id, self.clock, job_type=job_type, policy_version=version, **options)

    def refresh(self, **options: Any) -> tuple[FakeRun, dict[str, Any]]:
        run = self.run(**options)
        self.client.calls.clear()
        self.client.points = 0
        return run, run.go(self.refresh_job)

    @property
    def refresh_job(self) -> Job:
        return RefreshStatuses(self.context)

    @property
    def notify_job(self) -> Job:
        return SendNotifications(self.context)

    @property
    def automate_job(self) -> Job:
        return ExecuteAutomations(self.context)

    def notify(self, **options: Any) -> tuple[FakeRun, dict[str, Any]]:
        run = self.run("send-notifications", **options)
        return run, run.go(self.notify_job)

    def automate(self, **options: Any) -> tuple[FakeRun, dict[str, Any]]:
        run = self.run("execute-automations", **options)
        self.client.calls.clear()
        return run, run.go(self.automate_job)

    def put(self, change: Callable[[dict[str, Any]], None]) -> PolicyDocument:
        """Store the next version of the policies, changed by `change`."""
        with self.db.write(self.tenant_id) as session:
            version, document = self.policies.current(session, self.tenant_id)
            data = document.data()
            change(data)
            self.policies.put(session, self.tenant_id, self.policies.check(data), if_match=version, by=None)
            return self.policies.current(session, self.tenant_id)[1]

    def page(self, space: str, title: str, *, months: float = 0, **options: Any) -> str:
        """Add a page last updated so many months ago."""
        at = self.clock.now() - timedelta(days=30.5 * months)
        return self.site.add_page(space, title, created_at=at, **options).id

    def stamp(self, content_id: str) -> str | None:
        found = self.site.get(content_id).properties.get("steward-status")
        return None if found is None else found.value["id"]


@pytest.fixture
def clock() -> VirtualClock:
    return BriskClock()


@pytest.fixture
def bench(database: Database, clock: VirtualClock, new_tenant: Callable[..., TenantId]) -> Bench:
    return make_bench(database, clock, new_tenant())


@pytest.fixture
def docs(bench: Bench) -> Bench:
    """The bench with one more space, DOCS."""
    bench.site.add_space("DOCS")
    return bench


def make_bench(database: Database, clock: VirtualClock, tenant_id: TenantId) -> Bench:
    """Return a bench over an empty site, with the shipped policies."""
    site = Site(clock)
    site.register_addon("content-steward", "client", "secret", descriptor.build(Settings()))
    policies = Policies(clock, first_run="start")
    with database.write(tenant_id) as session:
        policies.seed(session, tenant_id)
    confluence = DirectConfluence(site)
    post = Post()
    mailer = Mailer(database, clock, post, "Steward <steward@example.com>")
    context = JobContext(confluence, policies, mailer, database, clock, JobSettings())  # type: ignore[arg-type]
    return Bench(site, confluence, policies, database, clock, tenant_id, context, post)
