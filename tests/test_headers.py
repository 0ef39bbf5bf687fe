"""Every answer carries the security headers: of every status, every kind of route, and those waitress gives itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from addon.app import create_app, stop
from addon.config import Settings
from addon.connect import admits
from addon.server import MAX_BODY_BYTES
from tests.support.answers import assert_problem, assert_secure
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.servers import running
from tests.support.site import small_site


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock = VirtualClock()
    with house_over(small_site(clock), clock, tmp_path_factory.mktemp("headers")) as made:
        yield made


def _page(house: House, module: str = "site-jobs", account: str = "u-admin", **more: Any) -> str:
    return house.site.host.page_url(account, module, **more)


def test_every_status_of_every_kind_of_route(house: House) -> None:
    seen = set[int]()
    for method, path, account, body, expected in [
        ("GET", "/api/jobs", "u-admin", None, 200),
        ("POST", "/api/executions", "u-admin", b'{"job": "refresh-statuses", "scope": "site"}', 201),
        ("POST", "/api/executions", "u-admin", b'{"job": "refresh-statuses", "scope": "site"}', 409),
        ("POST", "/api/executions", "u-admin", b"{", 400),
        ("POST", "/api/executions", "u-admin", b"{}", 422),
        ("POST", "/api/executions", "u-admin", b" " * 70_000, 413),
        ("POST", "/api/hold", "u-eve", b'{"on": true}', 403),
        ("GET", "/api/executions/none", "u-admin", None, 404),
        ("GET", "/api/nowhere", "u-admin", None, 404),
        ("DELETE", "/api/jobs", "u-admin", None, 405),
        ("PUT", "/api/policies", "u-admin", b"{}", 428),
        ("GET", "/api/openapi.json", "u-admin", None, 200),
        ("GET", "/atlassian-connect.json", "u-admin", None, 200),
        ("GET", "/healthz", "u-admin", None, 200),
        ("GET", "/readyz", "u-admin", None, 503),
        ("GET", "/metrics", "u-admin", None, 404),
        ("GET", "/jobs", "u-admin", None, 401),
        ("GET", "/connect/installed", "u-admin", None, 405),
        ("POST", "/connect/installed", "u-admin", b"{}", 401),
        ("OPTIONS", "/healthz", "u-admin", None, 200),
        ("OPTIONS", "/api/jobs", "u-admin", None, 401),
        ("GET", "/static/old/none.js", "u-admin", None, 404),
        ("GET", "/favicon.ico", "u-admin", None, 404),
        ("GET", "/", "u-admin", None, 404),
    ]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if method == "OPTIONS" and expected == 401:
            answer = requests.options(house.url + path, timeout=10)
        else:
            answer = house.api(method, path, account=account, data=body, headers=headers)
        where = f"{method} {path}"
        assert answer.status_code == expected, f"{where}: {answer.text[:300]}"
        assert_secure(answer.status_code, answer.headers, where=where)
        if expected >= 400 and path != "/readyz":
            assert_problem(answer.status_code, answer.headers, answer.content, where=where)
        seen.add(answer.status_code)
    assert seen >= {200, 201, 400, 401, 403, 404, 405, 409, 413, 422, 503}


def test_a_media_type_that_is_not_read(house: House) -> None:
    answer = house.api("POST", "/api/executions", data=b"a=1", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert_secure(answer.status_code, answer.headers)


def test_pages_and_their_refusals_in_the_frame(house: House) -> None:
    for account, module, more, expected in [
        ("u-admin", "site-jobs", {}, 200),
        ("u-sam", "space-jobs", {"space_key": "DOCS"}, 200),
        ("u-eve", "site-jobs", {}, 403),
        ("u-eve", "space-jobs", {"space_key": "DOCS"}, 403),
    ]:
        url = _page(house, module, account, **more)
        answer = requests.get(url, headers={"Accept": "text/html"}, timeout=10)
        assert answer.status_code == expected, answer.text
        assert answer.headers["Content-Type"].startswith("text/html")
        assert_secure(answer.status_code, answer.headers, where=url)


def test_static_files_are_kept_and_still_secure(house: House) -> None:
    page = requests.get(_page(house), headers={"Accept": "text/html"}, timeout=10).text
    address = next(part for part in page.split('"') if part.startswith("/static/"))
    answer = requests.get(house.url + address, timeout=10)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert_secure(answer.status_code, answer.headers, static=True)


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_an_error_nobody_expected(tmp_path: Path, accept: str) -> None:
    """A route only this test has: what it says about itself stays inside."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'broken.sqlite3'}"), clock=VirtualClock())

    @admits("public")
    def broken() -> str:
        raise RuntimeError("the secret is swordfish")

    app.add_url_rule("/broken", view_func=broken)
    with running(app) as url:
        answer = requests.get(f"{url}/broken", headers={"Accept": accept}, timeout=10)
        assert answer.status_code == 500
        assert_secure(answer.status_code, answer.headers)
        assert_problem(answer.status_code, answer.headers, answer.content)
        assert answer.headers["Content-Type"].startswith(
            "text/html" if accept == "text/html" else "application/problem"
        )
        assert "swordfish" not in answer.text
        assert "Traceback" not in answer.text
    stop(app)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked, gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", 431),
    ],
    ids=["method", "target", "tls", "length", "lengths", "header", "chunk", "encoding", "encodings", "body", "headers"],
)
def test_what_the_server_refuses_before_the_application_sees_it(house: House, sent: bytes, expected: int) -> None:
    parts = urlsplit(house.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(sent)
        answer = HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    assert answer.status == expected, body
    assert_secure(answer.status, answer.headers)
    assert_problem(answer.status, answer.headers, body)


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        b"1.1\r\ntransfer-encoding:chunked\r\ncontent-length:0",
        b"1.1\r\nTransfer-Encoding: \r\nContent-Length: 5",
        b"1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive",
    ],
    ids=["length first", "encoding first", "small letters", "an empty encoding", "HTTP/1.0"],
)
def test_a_request_whose_end_is_in_doubt_is_refused_and_nothing_after_it_is_read(house: House, head: bytes) -> None:
    parts = urlsplit(house.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(b"POST /healthz HTTP/" + head + b"\r\nHost: x\r\n\r\n0\r\n\r\n" + SMUGGLED)
        answered = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answered.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), answered
    assert answered.count(b"HTTP/1.") == 1, "one answer, then the connection is closed"
    assert b"Connection: close" in answered


def test_a_body_in_chunks_alone_is_read(house: House) -> None:
    answer = requests.post(f"{house.url}/healthz", data=iter([b"a", b"b"]), timeout=10)
    assert answer.status_code == 405
