"""Forged, stolen and replayed tokens, and hostile bodies, at every route of the running add-on: 4xx, never 5xx.

The long table of forgeries is in tests/connect/test_attacks.py; here the same kinds meet every real address.
"""

# ruff: noqa: F811  (fixtures that are imported)

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from addon.connect.qsh import CONTEXT_QSH, query_hash
from addon.connect.route_access import audience_of
from addon.sandbox.site import Site
from tests.support.answers import assert_problem, assert_secure
from tests.support.connect import raw_token, rsa_key
from tests.support.neighbours import Neighbours, neighbours  # noqa: F401  (fixture)

UNKNOWN = "0190a0b0-0000-7000-8000-000000000000"
Route = tuple[str, str, str]
"""Rule, method and path."""


def routes(app: Any) -> list[Route]:
    """Every closed route with a path that exists."""
    found = set[Route]()
    for route in app.url_map.iter_rules():
        kind = audience_of(app, route.endpoint)
        if kind != "public":
            path = route.rule.replace("<execution_id>", UNKNOWN).replace("<content_id>", "999999999")
            found |= {(str(kind), method, path) for method in (route.methods or set()) - {"HEAD", "OPTIONS"}}
    return sorted(found)


class Attacker:
    """Knows one site's secret (his own), and may have seen tokens of the other."""

    def __init__(self, sites: Neighbours) -> None:
        self.sites = sites
        self.victim, self.own = sites.ours, sites.theirs
        self.now = int(self.victim.clock.now().timestamp())
        self._netloc = urlsplit(sites.url).netloc

    def claims(self, site: Site, route: Route, **changes: Any) -> dict[str, Any]:
        """What the right token of this route says."""
        kind, method, path = route
        made = {"iss": site.host.client_key, "iat": self.now, "exp": self.now + 180, "aud": [self.sites.url]}
        made |= {"sub": "u-admin", "qsh": CONTEXT_QSH if kind == "api" else query_hash(method, path, "")}
        made |= changes
        return {name: value for name, value in made.items() if value is not None}

    def signed(self, site: Site, route: Route, **changes: Any) -> str:
        """The token of this route, signed as its rule wants."""
        claims = self.claims(site, route, **changes)
        if route[0] == "install":
            return jwt.encode(claims, site.host._private_key, "RS256", headers={"kid": site.host.kid})
        return jwt.encode(claims, site.host.addon().secret, "HS256")

    def body(self, route: Route) -> bytes:
        """What Confluence would send there; an installation would exchange the victim's secret."""
        event = route[2].rpartition("/")[2]
        host = self.victim.host
        return json.dumps(
            {"key": "content-steward", "clientKey": host.client_key, "sharedSecret": "stolen" * 8, "eventType": event,
             "baseUrl": self.victim.base_url, "productType": "confluence"}
        ).encode()  # fmt: skip

    def send(self, route: Route, token: str | None, body: bytes = b"{}", **headers: str) -> int:
        """Send it, check what every answer must be, return the status."""
        _, method, path = route
        sent = {"Content-Type": "application/json", "If-Match": '"1"', **headers}
        if token is not None:
            sent["Authorization"] = f"JWT {token}"
        with closing(http.client.HTTPConnection(self._netloc, timeout=20)) as connection:
            connection.request(method, path, body=None if method == "GET" else body, headers=sent)
            answer = connection.getresponse()
            content = answer.read()
        where = f"{method} {path}"
        assert answer.status < 500, f"{where}: {answer.status} {content[:300]!r}"
        assert_secure(answer.status, answer.headers, where=where)
        if answer.status >= 400:
            assert_problem(answer.status, answer.headers, content, where=where)
        return answer.status


@pytest.fixture(scope="module")
def attacker(neighbours: Neighbours) -> Attacker:
    return Attacker(neighbours)


def _hmac(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    signing = raw_token(header, claims).rpartition(".")[0]
    signature = hmac.new(key, signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{jwt.utils.base64url_encode(signature).decode()}"


def _pem(site: Site) -> bytes:
    return site.host._private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _with_kid(a: Attacker, route: Route, kid: str) -> str:
    return jwt.encode(a.claims(a.victim, route), rsa_key("attacker"), "RS256", headers={"kid": kid})


def _other_route(route: Route) -> Route:
    return (route[0], route[1], "/connect/enabled" if "installed" in route[2] else "/connect/installed")


FORGERIES: dict[str, Callable[[Attacker, Route], str | None]] = {
    "no token": lambda a, route: None,
    "garbage": lambda a, route: "a.b.c",
    "forged": lambda a, route: jwt.encode(a.claims(a.victim, route), "guess" * 10, "HS256"),
    "alg none": lambda a, route: raw_token({"alg": "none"}, a.claims(a.victim, route)),
    "HS256 with the PEM": lambda a, route: _hmac(
        {"alg": "HS256", "kid": a.victim.host.kid}, a.claims(a.victim, route), _pem(a.victim)
    ),
    "RS256 named, HMAC with the PEM": lambda a, route: _hmac(
        {"alg": "RS256", "kid": a.victim.host.kid}, a.claims(a.victim, route), _pem(a.victim)
    ),
    "an RSA key of one's own": lambda a, route: _with_kid(a, route, a.victim.host.kid),
    "kid a path": lambda a, route: _with_kid(a, route, f"../{a.victim.host.kid}"),
    "kid a URL": lambda a, route: _with_kid(a, route, "http://127.0.0.1:9/key"),
    "kid an escape": lambda a, route: _with_kid(a, route, "%2e%2e%2fsandbox"),
    "kid unknown": lambda a, route: _with_kid(a, route, "unknown"),
    "expired": lambda a, route: a.signed(a.victim, route, iat=a.now - 1000, exp=a.now - 31),
    "no exp": lambda a, route: a.signed(a.victim, route, exp=None),
    "not yet": lambda a, route: a.signed(a.victim, route, nbf=a.now + 31),
    "no iss": lambda a, route: a.signed(a.victim, route, iss=None),
    "no qsh": lambda a, route: a.signed(a.victim, route, qsh=None),
    "another tenant's signature": lambda a, route: (
        a.signed(a.own, route, iss=a.victim.host.client_key)
        if route[0] != "install"
        else a.signed(a.own, route, aud=["https://other.example.com"])
    ),
    "another name": lambda a, route: a.signed(a.victim, route, iss="nobody"),
    "the other kind of qsh": lambda a, route: a.signed(
        a.victim, route, qsh=query_hash(*route[1:], "") if route[0] == "api" else CONTEXT_QSH
    ),
    "replayed from another route": lambda a, route: a.signed(a.victim, ("page", "GET", "/audit-log?"), aud=None),
    "a lifecycle token": lambda a, route: a.signed(a.victim, ("install", *_other_route(route)[1:])),
    "an outgoing token of ours": lambda a, route: jwt.encode(
        a.claims(a.victim, route, iss="content-steward", aud=[a.victim.host.client_key]),
        a.victim.host.addon().secret,
        "HS256",
    ),
    "too long": lambda a, route: "a" * 17_000,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_opens_any_route(attacker: Attacker, name: str) -> None:
    for route in routes(attacker.sites.app):
        token = FORGERIES[name](attacker, route)
        assert attacker.send(route, token, attacker.body(route)) == 401, (name, route)


@pytest.mark.parametrize("sub", [None, "", "u" * 129, "u\nv", 5, ["u-admin"], {"a": 1}], ids=repr)
def test_a_token_without_a_person_opens_no_page_and_no_call(attacker: Attacker, sub: Any) -> None:
    key = attacker.victim.host.addon().secret.encode()
    for route in routes(attacker.sites.app):
        if route[0] in ("page", "api"):
            claims = attacker.claims(attacker.victim, route, sub=sub)
            assert attacker.send(route, _hmac({"alg": "HS256"}, claims, key)) == 401, route


def test_a_token_of_one_route_opens_no_other(attacker: Attacker) -> None:
    """All against all: the API's calls share their token by design, and everything else has its own."""
    every = [
        route for route in routes(attacker.sites.app) if "/webhooks/" not in route[2] or "page_created" in route[2]
    ]
    for made_for in every:
        token = attacker.signed(attacker.victim, made_for)
        for route in every:
            if route != made_for and not (route[0] == made_for[0] == "api"):
                assert attacker.send(route, token) == 401, (made_for, route)


def test_two_differing_tokens_are_refused_at_every_route(attacker: Attacker) -> None:
    for kind, method, path in routes(attacker.sites.app):
        route = (kind, method, path)
        first, second = attacker.signed(attacker.victim, route), attacker.signed(attacker.victim, route, sub="u-eve")
        assert attacker.send((kind, method, f"{path}?jwt={second}"), first) == 401, route


BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"key": ',
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "not UTF-8": b'{"key": "\xff\xfe"}',
    "UTF-16": '{"key": "x"}'.encode("utf-16"),
    "NUL": b'{"key": "\\u0000", "clientKey": "\\u0000"}',
    "lone surrogate": b'{"key": "\\ud800", "sharedSecret": "\\ud800"}',
    "deep": b'{"a":' * 20_000,
    "deep list": b"[" * 60_000,
    "long number": b'{"key": 1' + b"0" * 5_000 + b"}",
    "oversized": b'{"key": "' + b"x" * 1_100_000 + b'"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_no_hostile_body_is_accepted_at_any_route(attacker: Attacker, name: str) -> None:
    """Rightly signed, so that the body is read. Where a body is not asked for it is not looked at."""
    reading = [route for route in routes(attacker.sites.app) if route[1] != "GET" and not route[2].endswith("/cancel")]
    for route in reading:
        if name in ("NUL", "lone surrogate") and "/group_" in route[2]:
            continue  # Of a group's event nothing is read.
        token = attacker.signed(attacker.victim, route)
        status = attacker.send(route, token, BODIES[name])
        assert 400 <= status < 500, (name, route, status)


def test_the_honest_still_get_in(attacker: Attacker) -> None:
    """After all that both sites are installed, and their people work."""
    for site in (attacker.victim, attacker.own):
        for route in (("page", "GET", "/jobs"), ("api", "GET", "/api/jobs")):
            assert attacker.send(route, attacker.signed(site, route)) == 200
        hook = ("host", "POST", "/connect/webhooks/page_created")
        body = json.dumps({"page": {"id": 1, "spaceKey": "DOCS"}, "userAccountId": "u-eve"}).encode()
        assert attacker.send(hook, attacker.signed(site, hook, sub=None), body) == 204
