"""The connections of the web server: how many there may be, and how long each may wait for what.

waitress closes a connection after a time without a byte, which one byte now and then puts off for ever, and takes no
new ones once it has its number. Here what is late is late by a total time, and a new connection takes the place of the
one that has waited longest, so that idle ones never keep anybody out. A connection whose request is being worked on is
never closed for it.
"""

from __future__ import annotations

import resource
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel

OTHER_FILES = 300
"""Files that a process opens besides: its database, the site's connections, logs."""
HEADROOM = 64
"""Connections above the limit while one is closed for another."""
CLEANUP_SECONDS = 1
STUCK_SECONDS = 60.0
"""An answer under way of which the client takes no byte for so long is given up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections at once, and for how many seconds each may do what."""

    connections: int = 1000
    idle_seconds: float = 60.0
    """From connecting, or from the last answer, to the first byte of a request."""
    request_seconds: float = 30.0
    """From the first byte of a request to its last, headers and body."""
    answer_seconds: float = 300.0
    """From the last byte of a request to the last of an answer that is ready."""

    def options(self) -> dict[str, Any]:
        """Return what waitress is to be told; `poll`, as `select` knows no file above 1,024."""
        return {
            "connection_limit": self.connections + HEADROOM,
            "cleanup_interval": CLEANUP_SECONDS,
            "asyncore_use_poll": True,
        }

    def apply(self, server: Any, channel_class: type[Channel]) -> None:
        """Have one listening waitress server keep to these limits."""
        server.channel_class = partial(channel_class, self)
        server.maintenance = lambda _now: _close_overdue(server)


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows since when it waits. All of it runs in the thread that polls."""

    def __init__(self, limits: Limits, server: Any, *arguments: Any, **options: Any) -> None:
        self._limits = limits
        self._waits_since = time.monotonic()
        self._begun: tuple[object, float] | None = None
        super().__init__(server, *arguments, **options)
        if len(server.active_channels) > limits.connections:
            self._take_the_place_of_another(server)

    def received(self, data: bytes) -> Any:
        """Take bytes from the client, and note when a request began and when one was complete."""
        answer = super().received(data)
        if self.requests:
            self._waits_since = time.monotonic()
        if self.request is None:
            self._begun = None
        elif self._begun is None or self._begun[0] is not self.request:
            self._begun = (self.request, time.monotonic())
        return answer

    def overdue(self) -> bool:
        """Return whether the connection has had its time."""
        now = time.monotonic()
        if self.requests:
            self._waits_since = now
            return bool(self.total_outbufs_len) and time.time() - self.last_activity > STUCK_SECONDS
        if self.total_outbufs_len:
            return now - self._waits_since > self._limits.answer_seconds
        if self._begun is not None:
            return now - self._begun[1] > self._limits.request_seconds
        return now - self._waits_since > self._limits.idle_seconds

    def cut(self) -> None:
        """Close the connection at the next turn of the poll, also one whose client reads nothing."""
        self.will_close = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def _take_the_place_of_another(self, server: Any) -> None:
        others = [each for each in server.active_channels.values() if not (each.requests or each.will_close)]
        oldest = min(others, key=lambda each: each._waits_since, default=self)
        if oldest is not self:
            oldest.cut()


def room_for(connections: int) -> int:
    """Return for how many connections there are files, after asking the system for as many as `connections` need."""
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else max(1, min(connections, soft - OTHER_FILES))


def _close_overdue(server: Any) -> None:
    for channel in list(server.active_channels.values()):
        if not channel.will_close and channel.overdue():
            channel.cut()
