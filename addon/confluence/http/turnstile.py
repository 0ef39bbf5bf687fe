"""The limits of calls that people at screens wait for: how many may be under way, and how long a request may take.

A person's request occupies a web thread while its site answers. So one site has a quarter of the threads at most, all
sites together three quarters, and what is beyond is asked to come back: requests that ask no site, health checks and
other tenants among them, never wait behind a slow one. A site that did not answer in time twice running is left alone
for a moment, but for one call that finds out whether it is back. Calls of runs have threads and limits of their own.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from addon.base import Clock, TenantId
from addon.confluence.errors import SiteBusy, Timeout

REQUEST_SECONDS = 15.0
"""Total time of all calls that one web request makes."""
WAIT_SECONDS = 0.25
"""How long a call waits for another of its site to end: a screen asks several things at once."""
REST_SECONDS = 10.0
TIMEOUTS = 2
BUSY = "several requests wait for this Confluence site already, which answers slowly"
SILENT = "this Confluence site has not answered for a moment"
SPENT = "Confluence took too long to answer all that this request asks"

_until: ContextVar[float | None] = ContextVar("steward_request_until", default=None)


class Turnstile:
    """Lets people's calls through, for all sites of a process. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, threads: int) -> None:
        """`threads` is the number of threads that serve the web."""
        self._clock = clock
        self._of_one = max(1, threads // 4)
        self._of_all = max(1, threads * 3 // 4)
        self._changed = threading.Condition()
        self._under_way: Counter[TenantId] = Counter()
        self._timeouts: Counter[TenantId] = Counter()
        self._resting: dict[TenantId, float] = {}

    def begin_request(self) -> None:
        """Give the web request that this thread serves now its time for all of its calls."""
        _until.set(self._clock.monotonic() + REQUEST_SECONDS)

    def end_request(self) -> None:
        """Let what this thread does next have its own time."""
        _until.set(None)

    @contextmanager
    def turn(self, tenant_id: TenantId) -> Iterator[float]:
        """Take a slot for one call; yield the seconds it may take.

        Raises SiteBusy when no slot is free, the site is left alone, or the request's time is over.
        """
        seconds = self._seconds_left()
        self._enter(tenant_id)
        try:
            yield seconds
        except Timeout:
            self._silent(tenant_id)
            raise
        else:
            self._answered(tenant_id)
        finally:
            with self._changed:
                self._under_way -= Counter({tenant_id: 1})
                self._changed.notify_all()

    def _seconds_left(self) -> float:
        until = _until.get()
        left = REQUEST_SECONDS if until is None else until - self._clock.monotonic()
        if left <= 0:
            raise SiteBusy(SPENT, retry_after=REST_SECONDS)
        return left

    def _enter(self, tenant_id: TenantId) -> None:
        with self._changed:
            rested = self._resting.get(tenant_id)
            if rested is not None:
                now = self._clock.monotonic()
                if now < rested:
                    raise SiteBusy(SILENT, retry_after=max(1.0, rested - now))
                # This call finds out whether the site is back; the others wait for what it finds.
                self._resting[tenant_id] = now + REST_SECONDS
            if not self._changed.wait_for(lambda: self._free(tenant_id), WAIT_SECONDS):
                raise SiteBusy(BUSY, retry_after=1.0)
            self._under_way[tenant_id] += 1

    def _free(self, tenant_id: TenantId) -> bool:
        return self._under_way[tenant_id] < self._of_one and self._under_way.total() < self._of_all

    def _silent(self, tenant_id: TenantId) -> None:
        with self._changed:
            self._timeouts[tenant_id] += 1
            if self._timeouts[tenant_id] >= TIMEOUTS:
                self._resting[tenant_id] = self._clock.monotonic() + REST_SECONDS

    def _answered(self, tenant_id: TenantId) -> None:
        with self._changed:
            self._timeouts.pop(tenant_id, None)
            self._resting.pop(tenant_id, None)
