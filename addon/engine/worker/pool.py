"""The runner threads of a process: R of them, one execution each at a time."""

from __future__ import annotations

import threading

from addon.base import get_logger
from addon.engine.context import EngineContext
from addon.engine.errors import log_failure
from addon.engine.wake.dispatcher import LocalDispatcher
from addon.engine.worker.heartbeat import Heartbeat
from addon.engine.worker.runner import run_next

log = get_logger(__name__)


class RunnerPool:
    """Runner threads that claim one execution at a time, and sleep until they are woken when there is none."""

    def __init__(self, context: EngineContext, heartbeat: Heartbeat, local: LocalDispatcher) -> None:
        self._context = context
        self._heartbeat = heartbeat
        self._local = local
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._busy = 0

    def start(self) -> None:
        """Start the threads; they look for claimable executions at once."""
        self._stopping.clear()
        for number in range(self._context.settings.runners):
            thread = threading.Thread(target=self._loop, name=f"runner-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def drain(self) -> None:
        """Claim nothing more and stop every run at its next check point. Returns at once; `stop` waits."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        self._local.notify()
        for run in self._heartbeat.runs():
            run.stop.set()

    def stop(self, wait_seconds: float) -> bool:
        """Drain, wait at most `wait_seconds`, and return whether all threads have ended by then."""
        self.drain()
        deadline = self._context.clock.monotonic() + wait_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._context.clock.monotonic()))
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        with self._changed:
            idle = self._changed.wait_for(lambda: self._busy == 0, max(0.0, deadline - self._context.clock.monotonic()))
        return idle and not self._threads

    def run_one(self) -> bool:
        """Claim and drive one execution in the calling thread, a guest of the pool.

        False when there was none, all R places are taken, or the pool is being stopped.
        """
        with self._changed:
            if self._stopping.is_set() or self._busy >= self._context.settings.runners:
                return False
            self._busy += 1
        try:
            return run_next(self._context, self._heartbeat, self._stopping)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _run_when_free(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or self._busy < self._context.settings.runners)
        return self.run_one()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            seen = self._local.count()
            try:
                ran = self._run_when_free()
            except Exception as error:  # noqa: BLE001  (logged, and tried again)
                log_failure(log, error, "a runner failed; it looks for work again", action="runner_failed")
                self._context.clock.wait(self._stopping, self._context.settings.beat)
                continue
            if not ran:
                self._local.wait(seen, self._stopping)
