"""Endpoints at rest: a site that asks for fewer requests is left alone for as long as it says, and never without end.

All threads of a client keep away from an endpoint that rests. Once they have rested for longer than there is patience
for, every one of them is told when to go on instead of waiting (docs/rules/quota.md).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta

from addon.base import Clock
from addon.confluence.errors import AskedForFewer, RateLimited
from addon.confluence.http.calls import Endpoint
from addon.confluence.quota import ratelimits

LONGEST_UNASKED = 120.0
"""Seconds of the longest rest where the site does not say how long: from BURST_SECONDS on they double up to it."""
LEAST = 1.0
"""Seconds of the shortest rest: a site that says 0 again and again is not to be asked without a breath."""
_LOOKS = 1.0
"""Seconds after which a thread that waits hears that the others have given up."""
_SPREAD = 0.3
"""The part of a second by which threads that waited together begin one after the other, for each second of the rest."""


class Rests:
    """The endpoints of one client that rest. Safe to use from several threads."""

    def __init__(self, clock: Clock, patience: float) -> None:
        """`patience`: the seconds of all rests together after which nobody waits any more."""
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._ends: dict[Endpoint, float] = {}
        self._unasked: dict[Endpoint, float] = {}
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

        Raises `error`, with the time when to go on, where that takes more patience than is left.
        """
        with self._lock:
            now = self._clock.monotonic()
            end = self._ends.get(endpoint, 0.0)
            if error.retry_after is not None:
                wanted = max(error.retry_after, LEAST)
            elif began < end:
                return  # Sent before the others were told to rest: the same burst says nothing new.
            else:
                wanted = self._unasked.get(endpoint, ratelimits.BURST_SECONDS)
                self._unasked[endpoint] = min(2 * wanted, LONGEST_UNASKED)
            if now + wanted > end:
                self._rested += now + wanted - max(now, end)
                self._ends[endpoint] = now + wanted
            if self._rested > self._patience:
                error.until = self._clock.now() + timedelta(seconds=self._ends[endpoint] - now)
                raise error

    def answered(self, endpoint: Endpoint) -> None:
        """Begin with a short rest the next time."""
        self._unasked.pop(endpoint, None)

    def _left(self, endpoint: Endpoint) -> float:
        with self._lock:
            left = self._ends.get(endpoint, 0.0) - self._clock.monotonic()
            if left > 0 and self._rested > self._patience:
                raise RateLimited(self._clock.now() + timedelta(seconds=left), retry_after=left)
            return left
