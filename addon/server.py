"""The HTTP server: waitress with limits of its own for connections, and refusals that carry the security headers.

A request that waitress cannot read, or that is too large, never reaches the application; scanners and browsers see
the answer all the same (docs/rules/connect.md 4.1).

waitress closes a connection after a time without a byte, which one byte now and then puts off for ever, and takes no
new ones once it has its number. Here what is late is late by a total time, and a new connection takes the place of the
one that has waited longest, so that idle ones never keep anyone out. A connection whose request is being worked on is
never closed for it.
"""

from __future__ import annotations

import json
import re
import resource
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer
from waitress.server import create_server as create_waitress
from waitress.task import ErrorTask

from addon.connect import BARE_HEADERS
from addon.screens import Problem

MAX_BODY_BYTES = 2_000_000
"""No address takes more. waitress keeps what it received before the application sees it, so it has to know."""
DETAILS = {
    HTTPStatus.BAD_REQUEST: "The request is not one that HTTP knows.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request's body is larger than any address accepts.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's headers are larger than any address accepts.",
    HTTPStatus.NOT_IMPLEMENTED: "The request is sent in a way that this server does not read.",
}
OTHER = "The request is not one that this server answers."
TRANSFER_ENCODING = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)
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
        """Return the options that waitress takes for it; `poll`, as `select` knows no file above 1,024."""
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


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request's end that two readers may see at two places is no request (RFC 9112, 6.1 and 11.2).

    waitress prefers Transfer-Encoding and drops Content-Length; a proxy in front that reads it the other way round
    would take the rest of one person's request for the beginning of another's.
    """

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head of a request. Raises ParsingError, upon which the connection is closed."""
        super().parse_header(header_plus)
        if TRANSFER_ENCODING.search(header_plus) is None:
            return
        if self.version != "1.1" or not self.chunked or "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Transfer-Encoding leaves in doubt where the request ends")


class _Refusal(ErrorTask):  # type: ignore[misc]
    """A problem document instead of plain text."""

    def execute(self) -> None:
        """Write the answer and close the connection."""
        status = HTTPStatus(self.request.error.code)
        kind = status.phrase.lower().replace(" ", "-")
        body = json.dumps(Problem(status, kind, DETAILS.get(status, OTHER)).document()).encode()
        self.status = f"{status.value} {status.phrase}"
        self.response_headers.extend([("Content-Type", "application/problem+json"), *BARE_HEADERS.items()])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(Channel):
    error_task_class = _Refusal
    parser_class = _Parser


def create_server(app: Any, *, limits: Limits | None = None, **options: Any) -> Any:
    """Return a waitress server for `app`.

    Parameters: `limits` of its connections; `options` as waitress names them (host, port, sockets, threads, map …).
    """
    limits = limits or Limits()
    sockets: dict[int, Any] = options.pop("map", {})
    server = create_waitress(
        app,
        map=sockets,
        **{"ident": None, "clear_untrusted_proxy_headers": True, "max_request_body_size": MAX_BODY_BYTES}
        | limits.options()
        | options,
    )
    for each in (server, *sockets.values()):
        if isinstance(each, BaseWSGIServer):
            limits.apply(each, _Channel)
    return server
