"""Real servers on loopback for tests, and waiting for what they do without fixed sleeps."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from waitress import wasyncore

from addon.server import Limits, create_server

T = TypeVar("T")
_SERVICES = range(20_000, 32_000)
"""Ports that the system gives to no outgoing connection, so that a server finds its own free whenever it comes back."""


def free_port() -> int:
    """Return a loopback port for a server that is started later, and perhaps again and again."""
    while True:
        port = random.SystemRandom().choice(_SERVICES)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(
    wsgi: Any, *, host: str = "127.0.0.1", port: int = 0, threads: int = 8, limits: Limits | None = None
) -> Iterator[str]:
    """Serve a WSGI application on a free loopback port; yield its URL."""
    sockets: dict[int, Any] = {}
    server = create_server(wsgi, map=sockets, host=host, port=port, threads=threads, limits=limits)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            wasyncore.loop(timeout=1, map=sockets, count=1, use_poll=True)
        # Only the thread that polls may close: a socket closed under it is a bad file descriptor.
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)

    thread = threading.Thread(target=serve, name="test-server", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.effective_port}"
    finally:
        stopping.set()
        # Awake already, the loop may have ended and closed its trigger in between.
        with suppress(OSError):
            server.pull_trigger()
        thread.join(10)


def eventually(probe: Callable[[], T | None], *, seconds: float = 60.0, every: float = 0.02) -> T:
    """Return the first truthy answer of `probe`; fail when there is none within `seconds`."""
    waiting = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing within {seconds} s; last answer: {answer!r}")
        waiting.wait(every)
