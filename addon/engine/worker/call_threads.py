"""The call threads of one execution: W threads that make its calls side by side, and stop together.

They only ever call and return results. What is done with a result, the thread that iterates decides, one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TypeVar

from addon.engine.job import Abandon, CancelRequested, Fatal, Interrupted, Pause

A = TypeVar("A")
B = TypeVar("B")

CONTROL = (Interrupted, CancelRequested, Pause, Abandon, Fatal)

AHEAD = 2
"""Items handed over for each thread: while the caller writes results down, the threads have their next call at hand."""


class _NotBegun(Exception):
    """The item was handed to the pool, and its turn came after the stop."""


class CallThreads:
    """The call threads of one execution, made at the first use."""

    def __init__(self, count: int, name: str, check: Callable[[], None], cancelled: Callable[[], bool]) -> None:
        """`check` is asked before every item; `cancelled` says that no further item shall begin."""
        self._count = count
        self._name = name
        self._check = check
        self._cancelled = cancelled
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, B | Exception]]:
        """Yield (item, result or exception) as they finish; see addon.engine.job.Run.map for how it stops."""
        # Three things are kept by this loop. Results are yielded while calls run, so a job writes them down in the
        # meantime. A stop begins no further call, but lets those that are out come to their end and yields them: a
        # write that has reached the site must be recorded, or it would be repeated. And a consumer that raises or
        # leaves the iteration early finds no call still out afterwards; the cost is that it waits for them, which no
        # call makes longer than min(ttl/2, trust left).
        source = iter(items)
        running: dict[Future[B], A] = {}
        halted = threading.Event()
        stop: BaseException | None = None
        try:
            while True:
                while not halted.is_set() and len(running) < AHEAD * self._count:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    # The thread writes its log lines with the ids of the run that hands the item over.
                    future = self._threads().submit(copy_context().run, self._one, work, item, halted)
                    running[future] = item
                if not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                results = [(running.pop(future), future) for future in finished]
                for item, future in results:
                    error = future.exception()
                    if isinstance(error, _NotBegun):
                        continue
                    if isinstance(error, CONTROL) or not isinstance(error, Exception | None):
                        stop = stop or error
                    else:
                        yield item, future.result() if error is None else error
        finally:
            halted.set()
            for future in running:
                future.cancel()
            wait(running)
        if stop is not None:
            raise stop

    def close(self) -> None:
        """Wait until every call thread has stopped."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, work: Callable[[A], B], item: A, halted: threading.Event) -> B:
        if halted.is_set():
            raise _NotBegun
        try:
            if self._cancelled():
                raise CancelRequested
            self._check()
            return work(item)
        except BaseException as error:
            if isinstance(error, CONTROL) or not isinstance(error, Exception):
                halted.set()
            raise

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
            return self._pool
