"""Endpoints at rest: a site that asks for fewer requests is left alone for as long as it says, within limits.

All threads of a client keep away from an endpoint that rests. Once all its rests together are longer than the client's
patience, each of its threads gets the time at which to resume instead of waiting (docs/rules/quota.md 4.3).
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from addon.base import Clock, backoff
from addon.confluence.errors import AskedForFewer, RateLimited
from addon.confluence.http.endpoints import Endpoint
from addon.confluence.quota import ratelimits

LONGEST_UNASKED = 120.0
"""Seconds of the longest rest where the site does not say how long: from BURST_SECONDS on they double up to it."""
LEAST = 1.0
"""Seconds of the shortest rest, also for a site that says 0 again and again."""
_LOOKS = 1.0
"""Seconds after which a thread that waits checks whether the patience is over."""
_SPREAD = 0.3
"""How much longer than the rest a thread waits at most, as a part of it: threads that waited together do not begin
together."""


class Rests:
    """The endpoints of one client that rest. Safe to use from several threads."""

    def __init__(self, clock: Clock, patience: float) -> None:
        """`patience`: the seconds of all rests together after which no thread waits any more."""
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._ends: dict[Endpoint, float] = {}
        self._unasked: Counter[Endpoint] = Counter()
        """How many rests in a row each endpoint has had that the site gave no time for."""
        self._rested = 0.0

    def wait(self, endpoint: Endpoint, pause: Callable[[float], None]) -> None:
        """Return once the endpoint may be called. `pause` waits some seconds, and raises to stop the work instead.

        Raises RateLimited when the patience is over and the endpoint still rests.
        """
        late = random.uniform(0.0, _SPREAD)  # noqa: S311
        while (left := self._left(endpoint)) > 0:
            pause(min(left * (1 + late), _LOOKS))

    def asked(self, endpoint: Endpoint, error: AskedForFewer, began: float) -> None:
        """Let the endpoint rest as `error` says, the answer to a call that `began` then (monotonic).

        Raises `error`, with the time when to resume, where that takes more patience than is left.
        """
        with self._lock:
            now = self._clock.monotonic()
            end = self._ends.get(endpoint, 0.0)
            if error.retry_after is not None:
                wanted = max(error.retry_after, LEAST)
            elif began < end:
                return  # Sent before the rest began: the same burst says nothing new.
            else:
                wanted = backoff(self._unasked[endpoint], first=ratelimits.BURST_SECONDS, longest=LONGEST_UNASKED)
                self._unasked[endpoint] += 1
            if now + wanted > end:
                self._rested += now + wanted - max(now, end)
                self._ends[endpoint] = now + wanted
            if self._rested > self._patience:
                error.until = self._clock.now() + timedelta(seconds=self._ends[endpoint] - now)
                raise error

    def answered(self, endpoint: Endpoint) -> None:
        """Note that the endpoint answered: its next rest is a short one."""
        self._unasked.pop(endpoint, None)

    def _left(self, endpoint: Endpoint) -> float:
        with self._lock:
            left = self._ends.get(endpoint, 0.0) - self._clock.monotonic()
            if left > 0 and self._rested > self._patience:
                raise RateLimited(self._clock.now() + timedelta(seconds=left), retry_after=left)
            return left
