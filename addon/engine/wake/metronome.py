"""The metronome: APScheduler calls the ticks of a process. It knows when to look, never what is due."""

# mypy: allow-untyped-calls

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from addon.base import get_logger
from addon.engine.errors import log_failure

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """Something to call every `seconds`, at a moment shifted by up to `jitter` seconds."""

    name: str
    seconds: float
    call: Callable[[], object]
    jitter: float = 0.0


class Metronome:
    """Calls ticks on its own threads until it is stopped; a tick that raises is logged and called again."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        # An overrunning tick is skipped by design (max_instances 1); the warning about it would only be noise.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        logging.getLogger("apscheduler.executors.default").setLevel(logging.CRITICAL)
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(max(1, len(ticks)))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
            daemon=True,
        )
        for tick in ticks:
            trigger = IntervalTrigger(seconds=tick.seconds, jitter=tick.jitter or None, timezone=UTC)
            self._scheduler.add_job(_guarded(tick), trigger, id=tick.name, name=tick.name)

    def start(self) -> None:
        """Start ticking."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking; waits for ticks in work."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


def _guarded(tick: Tick) -> Callable[[], None]:
    def call() -> None:
        try:
            tick.call()
        except Exception as error:  # noqa: BLE001  (logged, and tried again)
            log_failure(log, error, "a tick failed; it is called again", action="tick_failed", tick=tick.name)

    return call
