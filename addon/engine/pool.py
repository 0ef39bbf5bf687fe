"""Who runs executions in this process? R runner threads, one execution each."""

from __future__ import annotations

import logging
import threading

from addon.engine.core import Core
from addon.engine.dispatcher import LocalDispatcher
from addon.engine.heart import Heart
from addon.engine.runner import run_next

log = logging.getLogger(__name__)


class Runners:
    """The runner threads: each claims one execution at a time and sleeps until it is woken when there is none."""

    def __init__(self, core: Core, heart: Heart, bell: LocalDispatcher) -> None:
        self._core = core
        self._heart = heart
        self._bell = bell
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; they look for claimable executions at once."""
        self._stopping.clear()
        for number in range(self._core.settings.runners):
            thread = threading.Thread(target=self._loop, name=f"runner-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, wait_seconds: float) -> bool:
        """Stop claiming, stop every run at its next check point; return whether all threads ended in time."""
        self._stopping.set()
        self._bell.nudge()
        for run in self._heart.runs():
            run.stop.set()
        deadline = self._core.clock.monotonic() + wait_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._core.clock.monotonic()))
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return not self._threads

    def _loop(self) -> None:
        while not self._stopping.is_set():
            seen = self._bell.count()
            try:
                ran = run_next(self._core, self._heart, self._stopping)
            except Exception:
                log.exception("a runner failed; it looks for work again")
                self._core.clock.wait(self._stopping, self._core.settings.beat)
                continue
            if not ran:
                self._bell.wait(seen, self._stopping)
