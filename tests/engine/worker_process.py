"""A whole engine in a process of its own, for tests that kill it: `python -m tests.engine.worker_process URL`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

import addon.models  # noqa: F401  (registers every table)
from addon.base import Database, SystemClock
from addon.engine import Engine, EngineSettings, Metronome, Run, RunSpace
from tests.support.fakejob import FakeJob, spaces

SPACES = 25


def call(run: Run, space: RunSpace) -> Mapping[str, Any]:
    threading.Event().wait(0.02)
    return {"contentsChecked": 1}


def main(url: str) -> None:
    job = FakeJob(listing=lambda run: spaces(*(f"S{number}" for number in range(SPACES))), call=call)
    engine = Engine(Database(url), SystemClock(), EngineSettings(ttl=1.5, runners=1, tick_seconds=0.2), {job.type: job})
    engine.boot()
    metronome = Metronome(engine.ticks())
    metronome.start()
    sys.stdin.read()
    metronome.stop()
    engine.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
