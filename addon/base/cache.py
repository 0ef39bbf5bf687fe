"""A bounded memory of answers, by the injected clock.

It has at most `most` entries: the one that was stored longest ago is dropped first, however often it was read. An entry
is returned while it is younger than `lasts`, or than the caller asks for; its age counts from the moment that the
question was put where the caller says so, because a fact may change while it is answered. What is dropped or too old
is asked for again: nothing may depend on an entry's being there.

The memory belongs to one process and starts empty. What all processes must agree on belongs in the database.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from addon.base.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Remembered(Generic[V]):
    """One entry: the value, which may be None, and when it was true (`Clock.monotonic`, in seconds)."""

    value: V
    at: float


class Cache(Generic[K, V]):
    """A memory of up to `most` answers by key. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, most: int, lasts: timedelta | None = None) -> None:
        """Take the bounds. `lasts`: how old an entry may be where `get` does not say; None: as old as it is.

        Raises ValueError where `most` is below 1.
        """
        if most < 1:
            raise ValueError("a cache has room for one entry at least")
        self._clock = clock
        self._most = most
        self._lasts = lasts
        self._lock = threading.Lock()
        self._entries: OrderedDict[K, Remembered[V]] = OrderedDict()

    def get(self, key: K, max_age: timedelta | None = None) -> Remembered[V] | None:
        """Return the entry under `key`, None where there is none that is at most `max_age` (or `lasts`) old."""
        with self._lock:
            found = self._entries.get(key)
        age = self._lasts if max_age is None else max_age
        if found is None or (age is not None and self._clock.monotonic() - found.at > age.total_seconds()):
            return None
        return found

    def put(self, key: K, value: V, *, at: float | None = None) -> None:
        """Store `value` as true at `at` (`Clock.monotonic`), by default now. It takes the place of what was there."""
        entry = Remembered(value, self._clock.monotonic() if at is None else at)
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        """Drop what is stored under `key`, if anything is."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        """Return how many entries are stored, those that are too old included."""
        with self._lock:
            return len(self._entries)
