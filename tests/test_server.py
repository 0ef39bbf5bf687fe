"""Idle connections and slow senders keep nobody out of the real server, and are cut in the end."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from addon.server import Limits
from tests.support.servers import eventually, running

PATIENT = Limits(connections=20, idle_seconds=3600, request_seconds=3600)


class App:
    """Answers with the length of what was sent; `/hold` waits until it is let go, `/long` is a long answer."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, environ: dict, start_response: Callable) -> list[bytes]:  # type: ignore[type-arg]
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"] == "/hold":
            self.held.set()
            assert self.let_go.wait(60)
        answer = b"x" * 8_000_000 if environ["PATH_INFO"] == "/long" else str(len(body)).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    yield made
    made.let_go.set()


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def _cut(connection: socket.socket, keep_sending: bytes = b"") -> bool:
    """Whether the server has closed the connection; a slow sender sends a little more meanwhile."""
    connection.settimeout(0.05)
    try:
        if keep_sending:
            connection.sendall(keep_sending)
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /a HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"],
    ids=["idle", "half the headers", "half a body"],
)
def test_a_hundred_connections_that_ask_for_nothing_keep_nobody_out(app: App, sent: bytes) -> None:
    with running(app, limits=PATIENT) as url, ExitStack() as open_ones:
        for _ in range(100):
            connection = open_ones.enter_context(_connect(url))
            connection.sendall(sent)
        for _ in range(3):
            assert requests.post(url, data=b"four", timeout=30).text == "4"


def test_a_request_in_work_is_never_the_one_that_gives_way(app: App) -> None:
    with running(app, limits=PATIENT) as url, ExitStack() as open_ones:
        working = open_ones.enter_context(_connect(url))
        working.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert app.held.wait(30)
        for _ in range(60):
            open_ones.enter_context(_connect(url))
        assert requests.get(url, timeout=30).ok
        app.let_go.set()
        assert working.recv(100).startswith(b"HTTP/1.1 200")


def test_the_longest_idle_connection_gives_way_first(app: App) -> None:
    with running(app, limits=PATIENT) as url, ExitStack() as open_ones:
        first = [open_ones.enter_context(_connect(url)) for _ in range(20)]
        assert requests.get(url, timeout=30).ok
        eventually(lambda: _cut(first[0]))
        assert not _cut(first[-1])


def test_an_idle_connection_is_closed_after_a_while(app: App) -> None:
    with running(app, limits=Limits(idle_seconds=0.5, request_seconds=3600)) as url, _connect(url) as idle:
        eventually(lambda: _cut(idle))


def test_blank_lines_are_no_request_and_keep_no_connection_open(app: App) -> None:
    with running(app, limits=Limits(idle_seconds=0.5, request_seconds=3600)) as url, _connect(url) as idle:
        eventually(lambda: _cut(idle, b"\r\n"))


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["headers", "body", "chunks"],
)
def test_a_sender_who_never_stops_is_cut_however_often_a_byte_comes(app: App, head: bytes, more: bytes) -> None:
    with running(app, limits=Limits(idle_seconds=3600, request_seconds=0.5)) as url, _connect(url) as slow:
        slow.sendall(head)
        eventually(lambda: _cut(slow, more))
        assert requests.get(url, timeout=30).ok


def test_a_reader_who_takes_nothing_is_cut(app: App) -> None:
    with running(app, limits=Limits(answer_seconds=0.5)) as url, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        parts = urlsplit(url)
        reader.connect((parts.hostname, parts.port))
        reader.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")

        def ended() -> bool:
            try:
                reader.send(b" ")
            except OSError:
                return True
            return False

        eventually(ended, every=0.1)


def test_a_connection_serves_many_requests_in_a_row(app: App) -> None:
    with running(app, limits=Limits(idle_seconds=3600, request_seconds=0.5)) as url, requests.Session() as session:
        answers = {session.post(url, data=b"x" * n, timeout=30).text for n in range(1, 200)}
    assert answers == {str(n) for n in range(1, 200)}


def test_there_are_files_for_as_many_connections_as_are_promised() -> None:
    """In a process of its own: a hard limit that was lowered cannot be raised again."""
    script = (
        "import resource; from addon.server import room_for\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (400, 600))\n"
        "print(room_for(100), room_for(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100", "300", "600"]
