"""A whole engine in a process of its own, for tests that kill it: `python -m tests.engine.worker_process URL [SPACE]`.

Its lease lasts longer than any test, its ticks come at once. With SPACE it never comes back from the call of that one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import Database, SystemClock
from addon.engine import Engine, EngineSettings, Metronome, Run, RunSpace, Tick
from tests.support.fakejob import FakeJob, spaces

SPACES = 25


TICK = 0.2


def main(url: str, last: str | None = None) -> None:
    def call(run: Run, space: RunSpace) -> Mapping[str, Any]:
        if space.key == last:
            threading.Event().wait()
        return {"contentsChecked": 1}

    job = FakeJob(listing=lambda run: spaces(*(f"S{number}" for number in range(SPACES))), call=call)
    engine = Engine(Database(url), SystemClock(), EngineSettings(ttl=3600, runners=1), {job.type: job})
    engine.boot()
    metronome = Metronome([Tick(tick.name, TICK, tick.call) for tick in engine.ticks()])
    metronome.start()
    sys.stdin.read()
    metronome.stop()
    engine.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
