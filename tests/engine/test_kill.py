"""A real process killed with SIGKILL: the next one goes on, and nothing is done twice or lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from addon.base import Database
from tests.engine.conftest import BOTH, Rig
from tests.engine.worker_process import SPACES
from tests.support.servers import eventually


def worker(db: Database) -> subprocess.Popen[str]:
    url = db.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.engine.worker_process", url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


@BOTH
@pytest.mark.timeout(90)
def test_an_execution_whose_process_is_killed_goes_on_in_the_next_process(rig: Rig) -> None:
    from addon.base import SystemClock

    rig.clock = SystemClock()  # type: ignore[assignment]
    started = rig.start(rig.engine())
    first = worker(rig.db)
    assert first.stdin is not None
    try:
        eventually(lambda: rig.row(started.id).spaces_done >= 3, seconds=40)
    finally:
        first.kill()
        first.wait()
        first.stdin.close()
    done = rig.row(started.id).spaces_done
    assert done < SPACES
    second = worker(rig.db)
    assert second.stdin is not None
    try:
        eventually(lambda: rig.row(started.id).status == "successful", seconds=40)
    finally:
        second.stdin.close()
        second.wait(30)
    assert second.returncode == 0
    row = rig.row(started.id)
    assert row.metrics is not None
    assert (row.metrics["spacesProcessed"], row.metrics["contentsChecked"]) == (SPACES, SPACES)
    assert rig.events(started.id) == ["started", "claimed", "lease_lost", "claimed", "finalizing", "successful"]
