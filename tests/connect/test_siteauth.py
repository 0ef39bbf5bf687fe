"""Requests to a site: each is signed for exactly what is sent, and nothing is signed for anywhere else."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import requests
from flask import Flask, request

from addon.connect import ForeignUrl, SiteAuth
from addon.connect.qsh import query_hash, raw_target, relative_path
from tests.support.clock import VirtualClock
from tests.support.connect import ADDON_KEY, CLIENT_KEY, SECRET
from tests.support.servers import running

SITE = "https://one.atlassian.net/wiki"


def _auth(clock: VirtualClock, base_url: str = SITE) -> SiteAuth:
    return SiteAuth(addon_key=ADDON_KEY, client_key=CLIENT_KEY, base_url=base_url, secret=SECRET, clock=clock)


def _signed(clock: VirtualClock, url: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    prepared = requests.Request(method, url, auth=_auth(clock), **more).prepare()
    scheme, _, token = prepared.headers["Authorization"].partition(" ")
    assert scheme == "JWT"
    options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    claims: dict[str, Any] = jwt.decode(token, SECRET, ["HS256"], options=options)  # type: ignore[arg-type]
    return claims


def test_a_request_is_signed_for_three_minutes_in_our_name(clock: VirtualClock) -> None:
    issued = int(clock.now().timestamp())
    assert _signed(clock, f"{SITE}/api/v2/spaces", params={"limit": 250}) == {
        "iss": ADDON_KEY,
        "aud": [CLIENT_KEY],
        "iat": issued,
        "exp": issued + 180,
        "qsh": query_hash("GET", "/api/v2/spaces", "limit=250"),
    }


def test_every_attempt_gets_a_token_of_its_own(clock: VirtualClock) -> None:
    auth = _auth(clock)
    first = requests.Request("GET", f"{SITE}/api/v2/spaces", auth=auth).prepare().headers["Authorization"]
    clock.advance(5)
    assert requests.Request("GET", f"{SITE}/api/v2/spaces", auth=auth).prepare().headers["Authorization"] != first


@pytest.mark.parametrize(
    "url",
    [
        "https://two.atlassian.net/wiki/api/v2/spaces",
        "http://one.atlassian.net/wiki/api/v2/spaces",
        "https://one.atlassian.net:8443/wiki/api/v2/spaces",
        "https://one.atlassian.net.evil.example.com/wiki/",
        "https://one.atlassian.net@evil.example.com/wiki/",
        "https://user:pass@one.atlassian.net/wiki/",
        "https://one.atlassian.net/wikipedia/api",
        "https://one.atlassian.net/wiki/../gateway/api",
        "https://one.atlassian.net/rest/api/3/issue",
        "https://one.atlassian.net",
    ],
)
def test_nothing_is_signed_for_another_address(clock: VirtualClock, url: str) -> None:
    with pytest.raises(ForeignUrl) as refused:
        requests.Request("GET", url, auth=_auth(clock)).prepare()
    assert "pass" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_default_port_and_capitals_are_the_same_site(clock: VirtualClock) -> None:
    assert _signed(clock, "https://ONE.atlassian.net:443/wiki/api")["qsh"] == query_hash("GET", "/api", "")
    assert _signed(clock, SITE)["qsh"] == query_hash("GET", "/", "")


def test_the_secret_is_not_shown(clock: VirtualClock) -> None:
    auth = _auth(clock)
    assert SECRET not in repr(auth)
    assert SECRET not in str(auth)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/rest/api/content/search", {"cql": 'type in (page, blogpost) and title ~ "Größe & Höhe+1"', "limit": 50}),
        ("/rest/api/search", [("expand", "b"), ("expand", "a,c"), ("empty", "")]),
        ("/api/v2/pages/1/properties?cursor=eyJpZCI6IjEifQ%3D%3D&limit=250", None),
        ("/api/v2/pages/%7Bid%7D/a%2fb", {"q": "*!'()~"}),
        ("/rest/api/ä ö/x;y", {"ü": "✓"}),
        ("/api/v2/spaces/", {"keys": ["A", "~712020:ab"]}),
    ],
)
def test_what_is_signed_is_what_a_site_receives(clock: VirtualClock, path: str, params: Any) -> None:
    app = Flask("site", static_folder=None)

    @app.get("/<path:rest>")
    def check(rest: str) -> dict[str, Any]:
        raw_path, query = raw_target(request.environ)
        token = request.headers["Authorization"].removeprefix("JWT ")
        signed = jwt.decode(token, options={"verify_signature": False})["qsh"]
        return {"signed": signed, "sent": query_hash("GET", relative_path(raw_path, "/wiki"), query)}

    with running(app) as url, requests.Session() as session:
        session.trust_env = False
        session.auth = _auth(clock, f"{url}/wiki")
        answer = session.get(f"{url}/wiki{path}", params=params, timeout=10).json()
    assert answer["signed"] == answer["sent"]
