"""The query string hash: values worked out by hand from docs/rules/connect.md 3.2, and what servers pass on raw."""

from __future__ import annotations

import hashlib
import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, request

from addon.connect.qsh import base_path_of, canonical, query_hash, raw_target, relative_path
from tests.support.servers import running


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/", "", "GET&/&"),
        ("get", "", "", "GET&/&"),
        ("POST", "/connect/installed", "", "POST&/connect/installed&"),
        ("GET", "/page/", "", "GET&/page&"),
        ("GET", "/page//", "", "GET&/page/&"),
        ("GET", "/a&b", "", "GET&/a%26b&"),
        ("GET", "/a%26b", "", "GET&/a%26b&"),
        ("GET", "/a%2fb/c%20d", "", "GET&/a%2fb/c%20d&"),
        ("GET", "/a;b:c//d", "", "GET&/a;b:c//d&"),
        ("GET", "/p", "b=2&a=1", "GET&/p&a=1&b=2"),
        ("GET", "/p", "a=2&a=1&a=10", "GET&/p&a=1,10,2"),
        ("GET", "/p", "a=x,y&a=b", "GET&/p&a=b,x%2Cy"),
        ("GET", "/p", "a=&b", "GET&/p&a=&b="),
        ("GET", "/p", "&&a=1&&", "GET&/p&a=1"),
        ("GET", "/p", "=1", "GET&/p&=1"),
        ("GET", "/p", "a=b=c", "GET&/p&a=b%3Dc"),
        ("GET", "/p", "a=x+y&b=x%20y&c=x%2By", "GET&/p&a=x%20y&b=x%20y&c=x%2By"),
        ("GET", "/p", "jwt=abc&a=1", "GET&/p&a=1"),
        ("GET", "/p", "%6Awt=abc&JWT=x&jwts=y", "GET&/p&JWT=x&jwts=y"),
        ("GET", "/p", "jwt=only", "GET&/p&"),
        ("GET", "/p", "a=-._~", "GET&/p&a=-._~"),
        ("GET", "/p", "a=*!'()", "GET&/p&a=%2A%21%27%28%29"),
        ("GET", "/p", "a=%c3%a4&b=ä", "GET&/p&a=%C3%A4&b=%C3%A4"),
        ("GET", "/p", "ä=1&z=2", "GET&/p&%C3%A4=1&z=2"),
        ("GET", "/p", "A=1&a=2&B=3", "GET&/p&A=1&B=3&a=2"),
        ("GET", "/p", "a=1;b=2", "GET&/p&a=1%3Bb%3D2"),
        ("GET", "/p", "a[]=1&a[]=0", "GET&/p&a%5B%5D=0,1"),
        ("GET", "/p", "a=%", "GET&/p&a=%25"),
        ("GET", "/p", "a=%zz", "GET&/p&a=%25zz"),
        ("GET", "/p", "a=😀", "GET&/p&a=%F0%9F%98%80"),
        ("GET", "/p", "a=b%5Ec&a=b_c", "GET&/p&a=b%5Ec,b_c"),
        ("GET", "/p", "a-b=1&a=2", "GET&/p&a=2&a-b=1"),
    ],
)
def test_the_canonical_request(method: str, path: str, query: str, expected: str) -> None:
    assert canonical(method, path, query) == expected
    assert query_hash(method, path, query) == hashlib.sha256(expected.encode()).hexdigest()


def test_the_hash_is_64_lower_case_digits() -> None:
    assert query_hash("GET", "/", "") == "c88caad15a1c1a900b8ac08aa9686f4e8184539bea1deda36e2f649430df3239"


@pytest.mark.parametrize(
    ("path", "base", "expected"),
    [
        ("/app/page", "/app", "/page"),
        ("/app", "/app", "/"),
        ("/app/", "/app", "/"),
        ("/apple/page", "/app", "/apple/page"),
        ("/page", "/app", "/page"),
        ("/app/app/x", "/app/", "/app/x"),
        ("/page", "", "/page"),
        ("", "", "/"),
    ],
)
def test_a_base_path_is_cut_on_a_segment_boundary_only(path: str, base: str, expected: str) -> None:
    assert relative_path(path, base) == expected


def test_the_base_path_of_a_url() -> None:
    assert base_path_of("https://one.atlassian.net/wiki/") == "/wiki"
    assert base_path_of("https://one.atlassian.net") == ""


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REQUEST_URI": "/a%2Fb?x=1&y"}, ("/a%2Fb", "x=1&y")),
        ({"RAW_URI": "/a%2Fb?x=1?2"}, ("/a%2Fb", "x=1?2")),
        ({"REQUEST_URI": "http://steward.example.com/a?next=http://b"}, ("/a", "next=http://b")),
        ({"REQUEST_URI": "http://steward.example.com"}, ("/", "")),
        ({"REQUEST_URI": "/a?u=http://x"}, ("/a", "u=http://x")),
        ({"REQUEST_URI": "//a//b"}, ("//a//b", "")),
        ({"REQUEST_URI": "/\u00c3\u00a4"}, ("/ä", "")),
        ({"REQUEST_URI": "", "SCRIPT_NAME": "/s", "PATH_INFO": "/a b", "QUERY_STRING": "q=1"}, ("/s/a%20b", "q=1")),
        ({}, ("", "")),
    ],
)
def test_the_raw_target_of_a_request(environ: dict[str, Any], expected: tuple[str, str]) -> None:
    assert raw_target(environ) == expected


@pytest.mark.parametrize(
    "target", ["/a%2Fb/c%20d%26?x=%41+b&jwt=t&x=", "/%E4%BD%A0;p=1//x/", "/a&b?%zz", "/x?q=%00%ff", "/~a.b-c_d"]
)
def test_the_server_hands_over_what_was_sent(target: str) -> None:
    app = Flask("echo", static_folder=None)

    @app.get("/")
    @app.get("/<path:rest>")
    def echo(rest: str = "") -> list[str]:
        return list(raw_target(request.environ))

    with running(app) as url, closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
        connection.putrequest("GET", target, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        path, _, query = target.partition("?")
        assert answer.status == 200
        assert json.loads(answer.read()) == [path, query]
