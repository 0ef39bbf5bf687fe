"""The three jobs with nothing pretended but the site: real engine, real client, real HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from addon.base import Database, TenantId
from addon.confluence import Confluence
from addon.engine import Engine, EngineSettings, StartRequest, queries
from addon.engine.models import ExecutionItem, JobExecution
from addon.jobs import JobSettings, build_jobs
from addon.mail import Mailer
from addon.policies import Policies
from addon.sandbox.site import Site
from tests.jobs.conftest import Post
from tests.support.clock import VirtualClock
from tests.support.site import OneSite, sandbox_server, site, site_source, tenant

__all__ = ["sandbox_server", "site", "site_source", "tenant"]


@dataclass
class Addon:
    engine: Engine
    db: Database
    tenant_id: TenantId
    post: Post

    def run(self, job_type: str) -> JobExecution:
        with self.db.write(self.tenant_id) as session:
            started = self.engine.start(
                session, StartRequest(tenant_id=self.tenant_id, job_type=job_type, scope="site", started_by="u-admin")
            )
        self.engine.run_due()
        with self.db.read(self.tenant_id) as session:
            return queries.find(session, self.tenant_id, started.id)

    def items(self, execution: JobExecution) -> list[ExecutionItem]:
        with self.db.read(self.tenant_id) as session:
            return list(queries.items(session, execution.id, limit=100, cursor=None)[0])


@pytest.fixture
def clock() -> VirtualClock:
    """Does not move: the engine's heartbeat waits by it."""
    return VirtualClock()


@pytest.fixture
def addon(database: Database, clock: VirtualClock, tenant: TenantId, site_source: OneSite) -> Iterator[Addon]:
    confluence = Confluence(
        site_source, database, clock, namespace="steward", user_agent="content-steward/test", retry_waits=()
    )
    policies = Policies(clock, first_run="start", switched_on=True)
    with database.write(tenant) as session:
        policies.seed(session, tenant)
    post = Post()
    jobs = build_jobs(
        confluence=confluence,
        policies=policies,
        mailer=Mailer(database, clock, post, "Steward <steward@example.com>"),
        db=database,
        clock=clock,
        settings=JobSettings(),
    )
    settings = EngineSettings(ttl=60, runners=0, call_threads=4, retry_seconds=300, tick_seconds=10, version="test")
    engine = Engine(database, clock, settings, jobs, policy_version=policies.version)
    engine.boot()
    with database.write(tenant) as session:
        engine.open_lane(session, tenant, first_run=False)
    yield Addon(engine, database, tenant, post)
    engine.shutdown()
    confluence.close()


def test_a_refresh_stamps_what_the_site_then_finds_and_the_meter_agrees(addon: Addon, site: Site) -> None:
    done = addon.run("refresh-statuses")
    assert done.status == "successful"
    assert done.metrics is not None
    assert done.metrics["statusCounts"] == {"expired": 3, "not-updated": 1, "up-to-date": 5}
    assert done.metrics["contentsChecked"] == 9
    assert done.metrics["spacesProcessed"] == 3
    usage = site.meter.usage()
    assert (done.metrics["points"], done.metrics["calls"]) == (usage["points"], usage["calls"])
    stamped = [c for c in site.contents() if c.properties.get("steward-status")]
    assert {c.properties["steward-status"].value["id"] for c in stamped} == {"expired", "not-updated"}
    again = addon.run("refresh-statuses")
    assert again.metrics is not None
    assert again.metrics["statusesChanged"] == 0


def test_the_digests_and_the_automation_follow_from_the_statuses(addon: Addon, site: Site, clock: VirtualClock) -> None:
    addon.run("refresh-statuses")
    mailed = addon.run("send-notifications")
    assert mailed.status == "successful"
    assert addon.post.recipients == ["eve@example.com"]
    assert "Guide: old part" in addon.post.text("eve@example.com")
    clock.advance(200 * 86_400)
    addon.run("refresh-statuses")
    cleaned = addon.run("execute-automations")
    assert cleaned.status == "successful"
    assert cleaned.metrics is not None
    assert cleaned.metrics["contentsArchived"] == 1
    outcomes = {(item.outcome, item.reason, item.title) for item in addon.items(cleaned)}
    assert outcomes == {
        ("done", None, "Guide: old part"),
        ("skipped", "has children", None),
        ("skipped", "blog posts cannot be archived", None),
    }


def test_text_that_cannot_be_encoded_is_repaired_where_it_is_read_and_stops_no_mail(addon: Addon, site: Site) -> None:
    old = next(content for content in site.contents() if content.title == "Guide: old part")
    site.edit(old.id, title="Guide \ud83d half, \0 nothing", at=old.created_at)
    site.add_user("u-eve", "Eve \ude00 Editor", "eve@example.com")
    addon.run("refresh-statuses")
    mailed = addon.run("send-notifications")
    assert mailed.status == "successful"
    assert "Guide \N{REPLACEMENT CHARACTER} half, \N{REPLACEMENT CHARACTER} nothing" in addon.post.text(
        "eve@example.com"
    )
