"""What attackers send, over HTTP against a running server: every row is refused with 4xx, none with 5xx."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import jwt
import pytest
import responses

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import Database, metadata
from addon.connect import Unauthenticated
from tests.connect.conftest import Host, make_host_on
from tests.support.clock import VirtualClock
from tests.support.connect import (
    BASE_URL,
    CLIENT_KEY,
    KEY_HOSTS,
    SECRET,
    InstallKeys,
    context_token,
    install_claims,
    install_payload,
    page_claims,
    page_token,
    raw_token,
    rsa_key,
)
from tests.support.servers import running

OTHER_KEY = "beefbeef-0000-0000-0000-000000000000"
OTHER_SECRET = "the-shared-secret-of-the-second-site-9876543210"
Answer = tuple[int, dict[str, str], dict[str, Any]]


class Attacker:
    """Sends raw requests to a running add-on on which two sites are installed."""

    def __init__(self, host: Host, url: str) -> None:
        self.host = host
        self._netloc = urlsplit(url).netloc
        self.now = host.clock.now()
        self.keys = host.keys

    def send(
        self, method: str, target: str, token: str | bytes | None = None, body: bytes | None = None, **more: str
    ) -> Answer:
        headers: dict[str, str | bytes] = dict(more)
        if token is not None:
            headers["Authorization"] = b"JWT " + token if isinstance(token, bytes) else f"JWT {token}"
        with closing(http.client.HTTPConnection(self._netloc, timeout=20)) as connection:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            found = dict(answer.getheaders())
        return answer.status, found, json.loads(content) if content[:1] == b"{" else {}

    def install(self, token: str, event: str = "installed", **changes: Any) -> Answer:
        return self.send("POST", f"/connect/{event}", token, json.dumps(install_payload(event, **changes)).encode())


@pytest.fixture(scope="module")
def remote() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for key_host in KEY_HOSTS:
            mock.get(f"{key_host}/unknown", status=404)
        yield mock


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory, remote: responses.RequestsMock) -> Iterator[Attacker]:
    """One server for all rows: none of them may change anything."""
    db = Database(f"sqlite:///{tmp_path_factory.mktemp('attacks') / 'steward.sqlite3'}")
    metadata.create_all(db.engine)
    host = make_host_on(db, VirtualClock(), remote)
    assert host.lifecycle("installed").status_code == 204
    token = host.keys.sign(install_claims(now=host.clock.now(), iss=OTHER_KEY))
    body = install_payload(clientKey=OTHER_KEY, baseUrl="https://two.atlassian.net/wiki", sharedSecret=OTHER_SECRET)
    assert host.lifecycle("installed", body, token).status_code == 204
    with running(host.app) as url:
        yield Attacker(host, url)
    db.dispose()


def _hs256(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    signing = raw_token(header, claims).rpartition(".")[0]
    signature = hmac.new(key, signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{jwt.utils.base64url_encode(signature).decode()}"


def _hs512(claims: dict[str, Any]) -> str:
    signing = raw_token({"alg": "HS512"}, claims).rpartition(".")[0]
    signature = hmac.new(SECRET.encode(), signing.encode(), hashlib.sha512).digest()
    return f"{signing}.{jwt.utils.base64url_encode(signature).decode()}"


def _page(a: Attacker, **changes: Any) -> dict[str, Any]:
    return page_claims(path="/page", now=a.now, **changes)


def _seconds(a: Attacker, delta: float) -> float:
    return a.now.timestamp() + delta


PAGE: dict[str, Callable[[Attacker], str]] = {
    "signed with a guess": lambda a: jwt.encode(_page(a), "guess" * 10, "HS256"),
    "signed with nothing": lambda a: _hs256({"alg": "HS256"}, _page(a), b""),
    "signed by another site": lambda a: jwt.encode(_page(a), OTHER_SECRET, "HS256"),
    "another site's aud, our iss": lambda a: jwt.encode(_page(a, aud=[OTHER_KEY]), OTHER_SECRET, "HS256"),
    "alg none": lambda a: raw_token({"alg": "none"}, _page(a)),
    "alg None with our signature": lambda a: _hs256({"alg": "None"}, _page(a), SECRET.encode()),
    "no alg": lambda a: _hs256({"typ": "JWT"}, _page(a), SECRET.encode()),
    "alg a list": lambda a: _hs256({"alg": ["HS256"]}, _page(a), SECRET.encode()),
    "alg a number": lambda a: _hs256({"alg": 5}, _page(a), SECRET.encode()),
    "HS512 over the right secret": lambda a: _hs512(_page(a)),
    "HS512 with the secret twice": lambda a: jwt.encode(_page(a), SECRET * 2, "HS512"),
    "HS384 with the secret twice": lambda a: jwt.encode(_page(a), SECRET * 2, "HS384"),
    "the install key": lambda a: a.keys.sign(_page(a)),
    "unknown critical header": lambda a: _hs256({"alg": "HS256", "crit": ["x"]}, _page(a), SECRET.encode()),
    "detached payload": lambda a: _hs256({"alg": "HS256", "b64": False, "crit": ["b64"]}, _page(a), SECRET.encode()),
    "expired": lambda a: jwt.encode(_page(a, exp=_seconds(a, -31), iat=_seconds(a, -200)), SECRET, "HS256"),
    "no exp": lambda a: jwt.encode(_page(a, exp=None), SECRET, "HS256"),
    "exp a text": lambda a: jwt.encode(_page(a) | {"exp": "2099"}, SECRET, "HS256"),
    "exp true": lambda a: jwt.encode(_page(a) | {"exp": True}, SECRET, "HS256"),
    "exp an object": lambda a: jwt.encode(_page(a) | {"exp": {}}, SECRET, "HS256"),
    "exp infinite": lambda a: jwt.encode(_page(a) | {"exp": float("inf")}, SECRET, "HS256"),
    "exp not a number": lambda a: jwt.encode(_page(a) | {"exp": float("nan")}, SECRET, "HS256"),
    "exp huge": lambda a: _hs256({"alg": "HS256"}, _page(a) | {"exp": 10**400}, SECRET.encode()),
    "exp negative": lambda a: jwt.encode(_page(a) | {"exp": -1}, SECRET, "HS256"),
    "nbf ahead": lambda a: jwt.encode(_page(a, nbf=_seconds(a, 31)), SECRET, "HS256"),
    "nbf a text": lambda a: jwt.encode(_page(a, nbf="now"), SECRET, "HS256"),
    "iat ahead": lambda a: jwt.encode(_page(a, iat=_seconds(a, 31)), SECRET, "HS256"),
    "iat after exp": lambda a: jwt.encode(_page(a, iat=_seconds(a, 29), exp=_seconds(a, 0)), SECRET, "HS256"),
    "valid for more than an hour": lambda a: jwt.encode(_page(a, exp=_seconds(a, 3601)), SECRET, "HS256"),
    "no iss": lambda a: jwt.encode(_page(a, iss=None), SECRET, "HS256"),
    "iss a list": lambda a: _hs256({"alg": "HS256"}, _page(a) | {"iss": [CLIENT_KEY]}, SECRET.encode()),
    "iss unknown": lambda a: jwt.encode(_page(a, iss="nobody"), SECRET, "HS256"),
    "iss the add-on": lambda a: jwt.encode(_page(a, iss="content-steward"), SECRET, "HS256"),
    "iss with quotes": lambda a: jwt.encode(_page(a, iss="' OR 1=1 --"), SECRET, "HS256"),
    "iss with NUL": lambda a: jwt.encode(_page(a, iss="a\0b"), SECRET, "HS256"),
    "iss a lone surrogate": lambda a: jwt.encode(_page(a, iss="\ud800"), SECRET, "HS256"),
    "iss of the other site": lambda a: jwt.encode(_page(a, iss=OTHER_KEY), SECRET, "HS256"),
    "no sub": lambda a: jwt.encode(_page(a, sub=None), SECRET, "HS256"),
    "empty sub": lambda a: jwt.encode(_page(a) | {"sub": ""}, SECRET, "HS256"),
    "sub an object": lambda a: _hs256({"alg": "HS256"}, _page(a) | {"sub": {"a": 1}}, SECRET.encode()),
    "sub too long": lambda a: jwt.encode(_page(a, sub="u" * 129), SECRET, "HS256"),
    "sub with a line break": lambda a: jwt.encode(_page(a, sub="u\nadmin"), SECRET, "HS256"),
    "no qsh": lambda a: jwt.encode(_page(a, qsh=None), SECRET, "HS256"),
    "empty qsh": lambda a: jwt.encode(_page(a) | {"qsh": ""}, SECRET, "HS256"),
    "qsh a number": lambda a: jwt.encode(_page(a, qsh=5), SECRET, "HS256"),
    "qsh not ASCII": lambda a: jwt.encode(_page(a, qsh="ä" * 64), SECRET, "HS256"),
    "qsh in capitals": lambda a: jwt.encode(_page(a, qsh=str(_page(a)["qsh"]).upper()), SECRET, "HS256"),
    "a context token": lambda a: context_token(now=a.now),
    "made for another page": lambda a: page_token(path="/page/other", now=a.now),
    "made for another query": lambda a: page_token(path="/page", query="x=1", now=a.now),
    "made for another method": lambda a: page_token(path="/page", method="POST", now=a.now),
    "a lifecycle token": lambda a: page_token(path="/connect/enabled", method="POST", now=a.now),
    "an install token": lambda a: a.keys.sign(install_claims(now=a.now)),
    "what we sign ourselves": lambda a: jwt.encode(_page(a, iss="content-steward", aud=[CLIENT_KEY]), SECRET, "HS256"),
    "empty": lambda a: "",
    "a word": lambda a: "token",
    "two dots": lambda a: "..",
    "three dots": lambda a: "a.b.c.d",
    "not base64": lambda a: "!!!.???.***",
    "not JSON": lambda a: raw_token(b"\xff\xfe", b"\x00"),
    "JSON lists": lambda a: raw_token([], []),
    "claims a number": lambda a: raw_token({"alg": "HS256"}, 7),
    "deep header": lambda a: raw_token(b"[" * 5000, {}),
    "deep claims": lambda a: raw_token({"alg": "HS256"}, b'{"a":' * 2000),
    "long number": lambda a: raw_token({"alg": "HS256"}, b'{"exp": ' + b"9" * 6000 + b"}"),
    "huge": lambda a: "a" * 17_000,
    "signature cut": lambda a: jwt.encode(_page(a), SECRET, "HS256")[:-2],
    "signature gone": lambda a: jwt.encode(_page(a), SECRET, "HS256").rpartition(".")[0] + ".",
    "kid of the wrong type": lambda a: _hs256({"alg": "HS256", "kid": 5}, _page(a), SECRET.encode()),
}


@pytest.mark.parametrize("name", PAGE)
def test_no_forged_token_opens_a_page(attacker: Attacker, name: str) -> None:
    token = PAGE[name](attacker)
    for status, headers, problem in (
        attacker.send("GET", f"/page?jwt={quote(token)}"),
        attacker.send("GET", "/page", token),
    ):
        assert status == 401, problem
        assert problem["type"].startswith("urn:content-steward:problem:")
        assert headers["Cache-Control"] == "no-store, no-cache"


@pytest.mark.parametrize("name", [name for name in PAGE if name != "a context token"])
def test_no_forged_token_calls_the_api(attacker: Attacker, name: str) -> None:
    status, _, problem = attacker.send("POST", "/api/thing", PAGE[name](attacker), b"{}")
    assert status == 401, problem


API: dict[str, Callable[[Attacker], str]] = {
    "signed with a guess": lambda a: context_token("guess" * 10, now=a.now),
    "signed by another site": lambda a: context_token(OTHER_SECRET, now=a.now),
    "alg none": lambda a: raw_token({"alg": "none"}, _page(a, qsh="context-qsh")),
    "expired": lambda a: context_token(now=a.now - timedelta(minutes=16)),
    "anonymous": lambda a: context_token(account_id=None, now=a.now),
    "a page token of this address": lambda a: page_token(path="/api/thing", method="POST", now=a.now),
    "almost the literal": lambda a: context_token(now=a.now, qsh="context-qsh "),
    "no qsh": lambda a: context_token(now=a.now, qsh=None),
}


@pytest.mark.parametrize("name", API)
def test_only_a_persons_context_token_calls_the_api(attacker: Attacker, name: str) -> None:
    status, _, problem = attacker.send("POST", "/api/thing", API[name](attacker), b"{}")
    assert status == 401, problem


@pytest.mark.parametrize("raw", ["a=%ff", "a=%C3", "a=%ED%A0%80", "%fe=1"])
def test_octets_that_are_no_text_share_no_token(attacker: Attacker, raw: str) -> None:
    """Written as the sign for "no character", all of these would be one and the same request."""
    token = page_token(path="/page", query=quote(unquote(raw), safe="=&"), now=attacker.now)
    status, _, problem = attacker.send("GET", f"/page?{raw}", token)
    assert (status, problem["type"].rpartition(":")[2]) == (401, "token-qsh")


@pytest.mark.parametrize(
    "target", ["//page", "/page/", "//api//thing", "/api//thing", "/api/thing/", "/./page", "/x/../page"]
)
def test_an_address_in_another_spelling_leads_nowhere(attacker: Attacker, target: str) -> None:
    token = page_token(path="/page", now=attacker.now)
    hosts: list[dict[str, Any]] = [{}, {"Host": "evil.example.com"}]
    for host in hosts:
        status, headers, _ = attacker.send("GET", f"{target}?jwt={token}", **host)
        assert status in (401, 404), (target, status)
        assert "Location" not in headers


def test_the_honest_get_in(attacker: Attacker) -> None:
    assert attacker.send("GET", "/page", page_token(path="/page", now=attacker.now))[0] == 200
    assert (
        attacker.send("GET", f"/page?a=%2F&jwt={page_token(path='/page', query='a=%2F', now=attacker.now)}")[0] == 200
    )
    status, _, answer = attacker.send("POST", "/api/thing", context_token(now=attacker.now), b"{}")
    assert (status, answer["account"]) == (200, "u-admin")
    hook = page_token(account_id=None, path="/hook", method="POST", now=attacker.now)
    assert attacker.send("POST", "/hook", hook, b"{}")[0] == 200


def test_a_token_is_good_for_its_own_tenant_only(attacker: Attacker) -> None:
    one = attacker.send("GET", "/api/thing", context_token(now=attacker.now))[2]["tenant"]
    two = attacker.send("GET", "/api/thing", context_token(OTHER_SECRET, OTHER_KEY, now=attacker.now))[2]["tenant"]
    assert one != two


def test_clocks_may_differ_by_half_a_minute(attacker: Attacker) -> None:
    late = jwt.encode(_page(attacker, exp=_seconds(attacker, -29), iat=_seconds(attacker, -200)), SECRET, "HS256")
    early = jwt.encode(_page(attacker, nbf=_seconds(attacker, 29), iat=_seconds(attacker, 29)), SECRET, "HS256")
    assert attacker.send("GET", "/page", late)[0] == 200
    assert attacker.send("GET", "/page", early)[0] == 200


def test_two_tokens_that_differ_are_refused_and_the_same_twice_is_fine(attacker: Attacker) -> None:
    token = page_token(path="/page", now=attacker.now)
    other = page_token(path="/page", account_id="u-other", now=attacker.now)
    assert attacker.send("GET", f"/page?jwt={token}", token)[0] == 200
    for target, header in ((f"/page?jwt={other}", token), (f"/page?jwt={token}&jwt={other}", None)):
        status, _, problem = attacker.send("GET", target, header)
        assert (status, problem["type"]) == (401, "urn:content-steward:problem:token-conflict")


def test_the_api_reads_no_token_from_the_address(attacker: Attacker) -> None:
    status, _, problem = attacker.send("GET", f"/api/thing?jwt={context_token(now=attacker.now)}")
    assert (status, problem["type"]) == (401, "urn:content-steward:problem:token-missing")


@pytest.mark.parametrize(
    "header", ["", "JWT", "JWT ", "Bearer {token}", "{token}", "JWT {token}, JWT {token}", "Basic YTpi"]
)
def test_other_authorization_headers_carry_no_token(attacker: Attacker, header: str) -> None:
    value = header.format(token=page_token(path="/page", now=attacker.now))
    assert attacker.send("GET", "/page", None, Authorization=value)[0] == 401


def test_bytes_that_are_no_text_are_no_token(attacker: Attacker) -> None:
    assert attacker.send("GET", "/page", b"\xff\xfe\xe4")[0] == 401
    assert attacker.send("GET", "/page?jwt=%ff%fe.%e4.x")[0] == 401


def test_a_path_that_only_looks_alike_needs_its_own_token(attacker: Attacker) -> None:
    token = page_token(path="/page/a/b", now=attacker.now)
    assert attacker.send("GET", "/page/a/b", token)[0] == 200
    for target in ("/page/a%2Fb", "/page/a/%62", "/page/a/b?x", "/page/a//b"):
        assert attacker.send("GET", target, token)[0] == 401, target


INSTALL: dict[str, Callable[[Attacker], str]] = {
    "the old secret": lambda a: jwt.encode(install_claims(now=a.now), SECRET, "HS256"),
    "HS256 keyed with the PEM": lambda a: _hs256(
        {"alg": "HS256", "kid": a.keys.kid}, install_claims(now=a.now), a.keys.pem.encode()
    ),
    "RS256 header over HS256 with the PEM": lambda a: _hs256(
        {"alg": "RS256", "kid": a.keys.kid}, install_claims(now=a.now), a.keys.pem.encode()
    ),
    "alg none": lambda a: raw_token({"alg": "none", "kid": a.keys.kid}, install_claims(now=a.now)),
    "RS512": lambda a: jwt.encode(install_claims(now=a.now), a.keys.private, "RS512", headers={"kid": a.keys.kid}),
    "PS256": lambda a: jwt.encode(install_claims(now=a.now), a.keys.private, "PS256", headers={"kid": a.keys.kid}),
    "another key under Atlassian's kid": lambda a: InstallKeys(a.keys.kid, rsa_key("attacker")).sign(
        install_claims(now=a.now)
    ),
    "the key in the header": lambda a: InstallKeys(a.keys.kid, rsa_key("attacker")).sign(
        install_claims(now=a.now),
        jwk=json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("attacker").public_key())),
        jku="https://evil.example.com/keys",
        x5u="https://evil.example.com/cert",
    ),
    "no kid": lambda a: jwt.encode(install_claims(now=a.now), a.keys.private, "RS256"),
    "kid a path": lambda a: a.keys.sign(install_claims(now=a.now), kid=f"../{a.keys.kid}"),
    "kid a URL": lambda a: a.keys.sign(install_claims(now=a.now), kid="https://evil.example.com/key"),
    "kid with dots": lambda a: a.keys.sign(install_claims(now=a.now), kid=".."),
    "kid with an escape": lambda a: a.keys.sign(install_claims(now=a.now), kid="%2e%2e%2fkey"),
    "kid with a query": lambda a: a.keys.sign(install_claims(now=a.now), kid=f"{a.keys.kid}?x=1"),
    "kid with a line break": lambda a: a.keys.sign(install_claims(now=a.now), kid=f"{a.keys.kid}\n"),
    "kid empty": lambda a: a.keys.sign(install_claims(now=a.now), kid=""),
    "kid too long": lambda a: a.keys.sign(install_claims(now=a.now), kid="k" * 201),
    "kid a number": lambda a: raw_token({"alg": "RS256", "kid": 5}, install_claims(now=a.now), b"x"),
    "kid unknown": lambda a: a.keys.sign(install_claims(now=a.now), kid="unknown"),
    "aud of another add-on": lambda a: a.keys.sign(install_claims(now=a.now, aud="https://other.example.com")),
    "aud a prefix": lambda a: a.keys.sign(install_claims(now=a.now, aud=f"{BASE_URL}.evil.example.com")),
    "aud with two slashes": lambda a: a.keys.sign(install_claims(now=a.now, aud=f"{BASE_URL}//")),
    "aud missing": lambda a: a.keys.sign(install_claims(now=a.now, aud=None)),
    "aud a number": lambda a: a.keys.sign(install_claims(now=a.now) | {"aud": [7, None, {}]}),
    "aud an object": lambda a: a.keys.sign(install_claims(now=a.now) | {"aud": {BASE_URL: 1}}),
    "iss of another site": lambda a: a.keys.sign(install_claims(now=a.now, iss=OTHER_KEY)),
    "iss missing": lambda a: a.keys.sign(install_claims(now=a.now, iss=None)),
    "expired": lambda a: a.keys.sign(install_claims(now=a.now - timedelta(minutes=16))),
    "exp missing": lambda a: a.keys.sign(install_claims(now=a.now, exp=None)),
    "iat missing": lambda a: a.keys.sign(install_claims(now=a.now, iat=None)),
    "iat ahead": lambda a: a.keys.sign(install_claims(now=a.now + timedelta(minutes=5))),
    "qsh missing": lambda a: a.keys.sign(install_claims(now=a.now, qsh=None)),
    "qsh of contexts": lambda a: a.keys.sign(install_claims(now=a.now, qsh="context-qsh")),
    "qsh of another event": lambda a: a.keys.sign(install_claims("uninstalled", now=a.now)),
    "a context token": lambda a: context_token(now=a.now),
    "an enabled token": lambda a: page_token(method="POST", path="/connect/enabled", now=a.now),
    "garbage": lambda a: "garbage",
    "empty": lambda a: "",
}


@pytest.mark.parametrize("name", INSTALL)
def test_no_forged_token_installs(attacker: Attacker, name: str, remote: responses.RequestsMock) -> None:
    before = attacker.host.row()
    status, headers, problem = attacker.install(INSTALL[name](attacker), sharedSecret="stolen-secret" * 4)
    assert status == 401, problem
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    after = attacker.host.row()
    assert before is not None
    assert after is not None
    assert (after.secret, after.secret_version) == (before.secret, before.secret_version)
    asked = {call.request.url for call in remote.calls}
    assert all(url is not None and url.startswith(KEY_HOSTS) and "evil" not in url for url in asked)


def test_an_install_token_cannot_be_used_for_another_sites_body(attacker: Attacker) -> None:
    token = attacker.keys.sign(install_claims(now=attacker.now, iss=OTHER_KEY))
    status, _, problem = attacker.install(token, clientKey=CLIENT_KEY, sharedSecret="stolen-secret" * 4)
    assert (status, problem["type"]) == (401, "urn:content-steward:problem:token-issuer")


SWITCH: dict[str, Callable[[Attacker], str]] = {
    "a context token": lambda a: context_token(now=a.now),
    "a page token": lambda a: page_token(path="/page", now=a.now),
    "made for enabled": lambda a: page_token(method="POST", path="/connect/enabled", now=a.now),
    "the install key": lambda a: a.keys.sign(install_claims("disabled", now=a.now)),
    "another site's secret": lambda a: page_token(OTHER_SECRET, method="POST", path="/connect/disabled", now=a.now),
    "another site": lambda a: page_token(OTHER_SECRET, OTHER_KEY, method="POST", path="/connect/disabled", now=a.now),
    "nothing": lambda a: "",
}


@pytest.mark.parametrize("name", SWITCH)
def test_no_forged_token_disables(attacker: Attacker, name: str) -> None:
    assert attacker.install(SWITCH[name](attacker), "disabled")[0] == 401
    row = attacker.host.row()
    assert row is not None
    assert row.enabled is True


def test_uninstalling_needs_atlassians_signature(attacker: Attacker) -> None:
    token = page_token(method="POST", path="/connect/uninstalled", now=attacker.now)
    assert attacker.install(token, "uninstalled")[0] == 401
    row = attacker.host.row()
    assert row is not None
    assert row.state == "installed"


def test_a_lost_encryption_key_is_the_operators_problem_and_not_a_server_error(installed: Host) -> None:
    row = installed.row()
    assert row is not None
    with installed.db.write_all() as session:
        session.merge(row).secret = b"sealed with a key that is gone"
    answer = installed.get("/page")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store, no-cache")


def test_refusals_say_nothing_of_the_secret(installed: Host) -> None:
    found = installed.tenants.by_client_key(CLIENT_KEY)
    assert found is not None
    answer = installed.get(
        "/page", token=jwt.encode(page_claims(path="/x", now=installed.clock.now()), SECRET, "HS256")
    )
    assert SECRET not in answer.text
    assert SECRET not in repr(installed.tenants.get(found.id))
    assert SECRET not in repr(Unauthenticated("token-qsh", "x"))
