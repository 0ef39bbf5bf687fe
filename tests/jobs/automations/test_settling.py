"""An archive task runs on when the app stops or dies: the execution ends only when its pages were read back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from addon.confluence import errors
from addon.engine import ACTIVE, Engine, EngineSettings, ExecutionItem, JobExecution, StartRequest
from addon.engine.job import Interrupted
from addon.engine.state.table import MAX_LOSSES
from addon.engine.worker.runner import run_next
from addon.jobs.automations.job import ExecuteAutomations
from addon.jobs.models import ArchiveTask
from tests.jobs.conftest import Bench
from tests.support.postgres import BOTH

OLD = 'lastmodified < now("-24M")'
PAGES = 3
TASK_SECONDS = 100


class Killed(BaseException):
    """The process is gone: nothing more is written, the lease stays."""


@dataclass
class Site:
    """A site with three old pages, an automation that archives them, and engines over one database."""

    bench: Bench
    pages: list[str]

    def engine(self) -> Engine:
        job = ExecuteAutomations(self.bench.context)
        engine = Engine(
            self.bench.db,
            self.bench.clock,
            EngineSettings(runners=0),
            {job.type: job},
            policy_version=self.bench.policies.version,
        )
        with self.bench.db.write(self.bench.tenant_id) as session:
            engine.open_lane(session, self.bench.tenant_id, first_run=False)
        return engine

    def start(self, engine: Engine) -> str:
        with self.bench.db.write(self.bench.tenant_id) as session:
            return engine.start(
                session, StartRequest(tenant_id=self.bench.tenant_id, job_type="execute-automations", scope="site")
            ).id

    def cancel(self, engine: Engine, execution_id: str) -> None:
        with self.bench.db.write(self.bench.tenant_id) as session:
            engine.cancel(session, tenant_id=self.bench.tenant_id, execution_id=execution_id, actor_id="u-boss")

    def drive(self, engine: Engine) -> bool:
        return run_next(engine._context, engine._heartbeat)

    def finish(self, engine: Engine, execution_id: str) -> None:
        """Drive to the end. No heart beats here, so a wait longer than a lease passes the execution on."""
        for _ in range(2 * TASK_SECONDS // 60 + 1):
            if self.row(execution_id).status in ACTIVE:
                assert self.drive(engine)

    def at(self, method: str, act: Callable[[], None]) -> None:
        """Do `act` the next time the app asks the site this."""

        def once(called: str, arguments: tuple[Any, ...]) -> None:
            if called == method:
                self.bench.client.faults.clear()
                act()

        self.bench.client.faults.append(once)

    def row(self, execution_id: str) -> JobExecution:
        with self.bench.db.read_all() as session:
            return session.get_one(JobExecution, execution_id)

    def items(self, execution_id: str) -> list[tuple[str, str, str]]:
        with self.bench.db.read_all() as session:
            found = session.scalars(sa.select(ExecutionItem).where(ExecutionItem.execution_id == execution_id)).all()
            return sorted((item.content_id, item.action, item.outcome) for item in found)

    def assert_all_known(self, execution_id: str, status: str) -> None:
        """The end, the item log, the metrics and the site agree on all pages."""
        row = self.row(execution_id)
        assert row.status == status
        assert self.items(execution_id) == sorted((page, "archive", "done") for page in self.pages)
        assert row.metrics is not None
        assert (row.metrics["contentsArchived"], row.metrics["contentsFailed"]) == (PAGES, 0)
        assert {self.bench.site.get(page).status for page in self.pages} == {"archived"}
        with self.bench.db.read_all() as session:
            assert session.scalars(sa.select(ArchiveTask.ended_at)).all() != [None]


@pytest.fixture
def site(bench: Bench, caplog: pytest.LogCaptureFixture) -> Site:
    caplog.set_level(logging.CRITICAL)
    bench.site.add_space("DOCS")
    bench.site.tasks.archive_seconds = TASK_SECONDS

    def change(data: dict[str, Any]) -> None:
        first = data["automationSchemes"][0]["automations"][0]
        mine = {"id": "a", "name": "A", "enabled": True, "cql": OLD, "action": {"type": "archive"}}
        data["automationSchemes"][0]["automations"] = [{**first, **mine}]

    bench.put(change)
    return Site(bench, [bench.page("DOCS", f"Old {number}", months=30) for number in range(PAGES)])


@BOTH
def test_term_while_an_archive_task_runs_and_its_run_is_cancelled(site: Site) -> None:
    engine, other = site.engine(), site.engine()
    execution = site.start(engine)

    def cancel_and_stop() -> None:
        site.cancel(other, execution)
        engine.drain()
        raise Interrupted

    site.at("long_task", cancel_and_stop)
    site.drive(engine)
    assert site.row(execution).status == "cancelling"
    assert site.items(execution) == []
    site.finish(other, execution)
    site.assert_all_known(execution, "cancelled")


@BOTH
@pytest.mark.parametrize("method", ["long_task", "archive"])
def test_kill_while_an_archive_task_runs_and_its_run_is_cancelled(site: Site, method: str) -> None:
    """Also when the process dies between the site's acceptance and the storing of the task's id."""
    engine, other = site.engine(), site.engine()
    execution = site.start(engine)
    if method == "archive":
        site.bench.site.tasks.archive_seconds = 10

    def cancel_and_die() -> None:
        if method == "archive":
            site.bench.site.tasks.submit(site.pages)
        site.cancel(other, execution)
        raise Killed

    site.at(method, cancel_and_die)
    with pytest.raises(Killed):
        site.drive(engine)
    site.bench.clock.advance(61)
    assert other.reaper_tick() == 1
    assert site.row(execution).status == "cancelling"
    site.finish(other, execution)
    site.assert_all_known(execution, "cancelled")


@BOTH
def test_a_cancel_after_a_hand_over_with_a_task_that_runs(site: Site) -> None:
    engine, other = site.engine(), site.engine()
    execution = site.start(engine)

    def stop() -> None:
        raise Interrupted

    site.at("long_task", stop)
    site.drive(engine)
    site.cancel(other, execution)
    assert site.row(execution).status == "cancelling"
    site.finish(other, execution)
    site.assert_all_known(execution, "cancelled")


@BOTH
def test_a_run_that_dies_again_and_again_fails_as_interrupted_with_all_its_pages_in_the_log(site: Site) -> None:
    other = site.engine()
    execution = site.start(other)

    def die() -> None:
        raise Killed

    for _ in range(MAX_LOSSES + 1):
        site.at("long_task", die)
        with pytest.raises(Killed):
            site.drive(site.engine())
        site.bench.clock.advance(61)
        other.reaper_tick()
    assert site.row(execution).status == "running"
    site.finish(other, execution)
    site.assert_all_known(execution, "failed")
    assert (site.row(execution).error or "").startswith("interrupted")


def test_pages_that_nobody_can_read_back_are_in_the_log_as_unknown(site: Site) -> None:
    engine = site.engine()
    execution = site.start(engine)

    def cancel() -> None:
        site.cancel(engine, execution)
        raise Interrupted

    def silent(called: str, arguments: tuple[Any, ...]) -> None:
        if called == "contents":
            raise errors.ServerError("503 from the site")

    site.at("long_task", cancel)
    site.drive(engine)
    site.bench.client.faults.append(silent)
    while site.row(execution).status == "cancelling":
        site.drive(engine)
        site.bench.clock.advance(601)
    assert site.row(execution).status == "cancelled"
    assert site.items(execution) == sorted((page, "archive", "failed") for page in site.pages)
    metrics = site.row(execution).metrics
    assert metrics is not None
    assert metrics["contentsFailed"] == PAGES
