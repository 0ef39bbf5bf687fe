"""A real process killed with SIGKILL: the next one continues, and nothing is done twice or lost."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from addon.base import Database
from addon.engine import JobExecution
from tests.engine.conftest import BOTH, Rig
from tests.engine.worker_process import SPACES
from tests.support.servers import eventually

KILLED_IN = 5
"""The number of the space that it was at."""


def worker(db: Database, *last: str) -> subprocess.Popen[str]:
    url = db.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.engine.worker_process", url, *last]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def the_lease_ends(rig: Rig) -> None:
    """Let an hour go by; on SQLite nobody has to wait, the next one's start proves that the owner is dead."""
    over = sa.func.now() - sa.literal(timedelta(seconds=1), sa.Interval())
    with rig.db.write_all() as session:
        session.execute(sa.update(JobExecution).values(lease_until=over))


@BOTH
@pytest.mark.timeout(200)
def test_an_execution_whose_process_is_killed_goes_on_in_the_next_process(rig: Rig) -> None:
    from addon.base import SystemClock

    rig.clock = SystemClock()  # type: ignore[assignment]
    started = rig.start(rig.engine())
    first = worker(rig.db, f"S{KILLED_IN}")
    assert first.stdin is not None
    try:
        eventually(lambda: rig.states(started.id).get(f"S{KILLED_IN}") == "running")
    finally:
        first.kill()
        first.wait()
        first.stdin.close()
    assert rig.row(started.id).spaces_done == KILLED_IN
    if not rig.db.is_sqlite:
        the_lease_ends(rig)
    second = worker(rig.db)
    assert second.stdin is not None
    try:
        eventually(lambda: rig.row(started.id).status == "successful")
    finally:
        second.stdin.close()
        second.wait(60)
    assert second.returncode == 0
    row = rig.row(started.id)
    assert row.metrics is not None
    assert (row.metrics["spacesProcessed"], row.metrics["contentsChecked"]) == (SPACES, SPACES)
    assert rig.events(started.id) == ["started", "claimed", "lease_lost", "claimed", "finalizing", "successful"]
