"""Whatever is sent is answered, and nothing of a secret or a token is written down."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.connect import tokens
from tests.connect.conftest import Host
from tests.support.answers import refused_with_problem
from tests.support.connect import SECRET, context_token, install_claims, install_payload, page_token, raw_token

ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CLAIMS: Any = st.dictionaries(st.sampled_from(["iss", "sub", "exp", "iat", "nbf", "qsh", "aud", "context"]), ANYTHING)
HEADERS: Any = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku"]), ANYTHING)


def _believe(text: str) -> None:
    token = tokens.parse(text)
    for name in ("exp", "iat", "nbf"):
        tokens.number(token.claims, name)
    for name in ("iss", "sub"):
        tokens.identifier(token.claims, name)
    tokens.qsh_of(token.claims)
    tokens.verified(token, SECRET, "HS256")


@settings(max_examples=300, deadline=None)
@given(HEADERS, CLAIMS, st.binary(max_size=40))
def test_any_token_is_parsed_or_refused(header: Any, claims: Any, signature: bytes) -> None:
    with refused_with_problem() as refused:
        _believe(raw_token(header, claims, signature))
    assert refused.value.status == 401


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_in_the_place_of_a_token_is_refused(text: str) -> None:
    app = Flask("any", static_folder=None)
    with app.test_request_context("/page", query_string={"jwt": text}), refused_with_problem() as refused:
        tokens.parse(tokens.token_of(request))
    assert refused.value.status == 401


def test_no_secret_and_no_token_is_logged(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        install = host.keys.sign(install_claims(now=host.clock.now()))
        page = page_token(path="/page", now=host.clock.now())
        context = context_token(now=host.clock.now())
        assert host.lifecycle("installed", token=install).status_code == 204
        assert host.switch("disabled").status_code == 204
        assert host.switch("enabled").status_code == 204
        assert host.get("/page", token=page).status_code == 200
        assert host.get("/page/other", token=page).status_code == 401
        answer = host.client.get("/api/thing", headers={"Authorization": f"JWT {context}"})
        assert answer.status_code == 200
        assert host.lifecycle("installed", install_payload(baseUrl="https://evil.example.com")).status_code == 400
        host.clock.advance(1)
        assert host.lifecycle("uninstalled").status_code == 204
    assert "installed" in caplog.text
    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    for hidden in (SECRET, install, page, context):
        assert hidden not in logged
        assert hidden.rpartition(".")[2] not in logged
