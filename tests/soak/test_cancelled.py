"""From the click on Cancel to cancelled, while eight threads write to a slow site: nothing is written after.

Prints its figures (-s shows them). The click is the real request, the writes are real requests that take 50 ms each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from addon.base import Database, SystemClock
from addon.engine import Engine, JobExecution
from addon.migrations import schema
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks.model import DEFAULT, FRESHNESS, plain_status, shared
from tests.soak.test_soak import tell
from tests.support.house import House, house_over
from tests.support.postgres import PostgresServer
from tests.support.servers import eventually

LATENCY_MS = 50
STAMP = "steward-status"
CLOCK = SystemClock()


def stamped(site: Site) -> int:
    """Return how many contents carry a stamp."""
    with site.lock:
        return sum(STAMP in content.properties for content in site.contents())


def all_to_stamp(site: Site) -> int:
    """Return how many contents carry a stamp after a run that nobody cancels."""
    with site.lock:
        return sum(plain_status(site, content, FRESHNESS) != DEFAULT for content in shared(site))


def click(house: House, execution: str) -> None:
    """Cancel in the process that runs it, as a person does."""
    answer = house.api("POST", f"/api/executions/{execution}/cancel")
    assert answer.status_code == 202, answer.text


def click_elsewhere(house: House, execution: str) -> None:
    """Cancel in another process: the runner learns of it with its next heartbeat."""
    mine = house.parts.engine
    other = Engine(house.parts.db, CLOCK, mine.settings, mine.jobs)
    with other._context.db.read_all() as session:
        tenant_id = session.get_one(JobExecution, execution).tenant_id
    with other._context.db.write(tenant_id) as session:
        other.cancel(session, tenant_id=tenant_id, execution_id=execution, actor_id="u-elsewhere")


@pytest.mark.parametrize(
    ("backend", "cancel"),
    [
        ("sqlite", click),
        ("postgresql", click),
        pytest.param("postgresql", click_elsewhere, marks=pytest.mark.long),
    ],
)
def test_a_cancel_in_the_middle_of_writes_is_obeyed_within_one_call(
    backend: str,
    cancel: Callable[[House, str], None],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings: dict[str, str] = {}
    if backend == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = f"cancelled_{cancel.__name__}"
        server.execute(f"CREATE DATABASE {name}")
        settings["database_url"] = server.url(name)
        empty = Database(settings["database_url"])
        schema.upgrade(empty)
        empty.dispose()
    site = Site(CLOCK, quota_points=10_000_000)
    site.latency_ms = LATENCY_MS
    seed_sized(site, spaces=10, pages=1_500)
    to_write = all_to_stamp(site)
    with house_over(site, CLOCK, tmp_path, quota_points=10_000_000, **settings) as house:  # type: ignore[arg-type]
        started = house.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"})
        execution = started.json()["id"]
        runner = threading.Thread(target=house.parts.engine.run_due)
        runner.start()
        eventually(lambda: stamped(site) > 40, seconds=60)
        before, began = stamped(site), CLOCK.monotonic()
        cancel(house, execution)
        answered = CLOCK.monotonic() - began
        db: Database = house.parts.db

        def ended() -> JobExecution | None:
            with db.read_all() as session:
                row = session.get_one(JobExecution, execution)
            return row if row.status == "cancelled" else None

        row = eventually(ended, seconds=60, every=0.01)
        seconds, then = CLOCK.monotonic() - began, stamped(site)
        runner.join(60)
        assert stamped(site) == then, "nothing is written after the end"
        assert 40 < then < to_write, "in the middle of the run"
        assert row.metrics is not None
        assert row.metrics["statusesChanged"] == then, "what was written is in the result"
        figures = {
            "backend": backend,
            "who": cancel.__name__,
            "seconds to cancelled": round(seconds, 3),
            "of them the click's own answer": round(answered, 3),
            "of": to_write,
            "written since the click": then - before,
        }
        tell(capsys, "cancel", figures)
