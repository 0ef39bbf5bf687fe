"""Limits that only real sockets show: a small server on loopback that answers as slowly and as much as a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from requests.auth import AuthBase

from addon.base import Site, TenantId
from addon.confluence.errors import Malformed, Network, Timeout
from addon.confluence.http.transport import Transport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Server:
    """Accepts connections; `script` writes the answer to each request."""

    def __init__(self, script: Callable[[socket.socket, threading.Event], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.stop = threading.Event()
        self.connections = 0
        self._open: list[socket.socket] = []
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/wiki"

    def close(self) -> None:
        if self.stop.is_set():
            return
        self.stop.set()
        for open_socket in (self._listener, *self._open):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self.stop.is_set():
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        with connection:
            try:
                while not self.stop.is_set():
                    head = b""
                    while b"\r\n\r\n" not in head:
                        piece = connection.recv(4096)
                        if not piece:
                            return
                        head += piece
                    self.requests.append(head)
                    self._script(connection, self.stop)
            except OSError:
                return


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(script: Callable[[socket.socket, threading.Event], None]) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport("content-steward/test", max_bytes=100_000)
    yield made
    made.close()


class NoAuth(AuthBase):
    def __call__(self, request: Any) -> Any:
        return request


def fetch(transport: Transport, server: Server, seconds: float = 0.4) -> Any:
    site = Site(TenantId("t"), server.url, 1, 1, NoAuth())
    return transport.send(site, "GET", f"{server.url}/rest/api/x?a=b%20c", None, seconds=seconds)


def dripping(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(head)
        while not stop.wait(0.05):
            connection.sendall(b"a")

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda _connection, stop: stop.wait(), id="silence"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "), id="headers one byte at a time"),
        pytest.param(dripping(HEAD + b"Content-Length: 50000\r\n\r\n"), id="body one byte at a time"),
    ],
)
def test_no_server_can_hold_a_call_beyond_its_total_time(
    transport: Transport, serve: Callable[..., Server], script: Any
) -> None:
    server = serve(script)
    # None of them ever ends unasked, so that a call that ends was ended.
    with pytest.raises(Timeout):
        fetch(transport, server)


def test_an_answer_beyond_the_cap_is_dropped(transport: Transport, serve: Callable[..., Server]) -> None:
    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b"x" * 50_000)

    with pytest.raises(Malformed, match="too large"):
        fetch(transport, serve(script), seconds=60)


def test_a_connection_cut_in_the_body_is_a_network_error(transport: Transport, serve: Callable[..., Server]) -> None:
    def script(connection: socket.socket, _stop: threading.Event) -> None:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nshort")
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(Network):
        fetch(transport, serve(script), seconds=60)


@pytest.mark.parametrize("address", [b"http://[::1", b"//\xff\xfe", b"http://host:99999999999999/"])
def test_where_a_redirect_leads_is_not_even_read(
    transport: Transport, serve: Callable[..., Server], address: bytes
) -> None:
    def script(connection: socket.socket, _stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + address + b"\r\n\r\n")

    assert fetch(transport, serve(script), seconds=60).status_code == 302


@pytest.mark.parametrize("length", [b"9" * 23, b"9" * 5000, b"2, 3", b"-5"])
def test_a_length_that_is_none_is_an_error_of_the_answer_at_most(
    transport: Transport, serve: Callable[..., Server], length: bytes
) -> None:
    def script(connection: socket.socket, _stop: threading.Event) -> None:
        connection.sendall(HEAD + b"Content-Length: " + length + b"\r\n\r\n{}")
        connection.shutdown(socket.SHUT_RDWR)

    try:
        assert fetch(transport, serve(script), seconds=60).content == b"{}"
    except Network:
        assert length.isdigit() or b"," in length


def test_nobody_listening_is_a_network_error(transport: Transport, serve: Callable[..., Server]) -> None:
    server = serve(lambda _connection, _stop: None)
    url = server.url
    server.close()
    site = Site(TenantId("t"), url, 1, 1, NoAuth())
    with pytest.raises(Network):
        transport.send(site, "GET", f"{url}/x", None, seconds=2)


def test_connections_are_kept_for_the_next_call_and_the_url_goes_out_as_it_was_built(
    transport: Transport, serve: Callable[..., Server]
) -> None:
    def script(connection: socket.socket, _stop: threading.Event) -> None:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")

    server = serve(script)
    for _call in range(3):
        assert fetch(transport, server, seconds=60).json() == {}
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /wiki/rest/api/x?a=b%20c HTTP/1.1\r\n")
    assert b"User-Agent: content-steward/test" in server.requests[0]
