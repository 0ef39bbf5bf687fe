"""Install keys: from configured hosts in order, by an id that is one, and never from anywhere else."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
import requests
import responses
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask, Response

from addon.connect import InstallKeys as KeySource
from addon.connect.installkeys import WAITING
from tests.connect.conftest import Host
from tests.support.answers import refused_with_problem
from tests.support.clock import VirtualClock
from tests.support.connect import KEY_HOSTS, InstallKeys, install_claims, rsa_key
from tests.support.servers import running

ONE, TWO = KEY_HOSTS


@pytest.fixture
def source(clock: VirtualClock) -> KeySource:
    return KeySource((ONE + "/", TWO), clock)


def _refusal(source: KeySource, kid: Any) -> tuple[int, str]:
    with refused_with_problem() as caught:
        source.get(kid)
    return caught.value.status, caught.value.kind


def test_the_first_host_is_asked_first_and_a_key_is_asked_for_once_a_day(
    source: KeySource, mocked: responses.RequestsMock, clock: VirtualClock
) -> None:
    keys = InstallKeys()
    keys.serve(mocked, ONE, TWO)
    for _ in range(3):
        assert source.get(keys.kid).public_numbers() == keys.private.public_key().public_numbers()
    assert [call.request.url for call in mocked.calls] == [f"{ONE}/{keys.kid}"]
    clock.advance(timedelta(hours=25))
    source.get(keys.kid)
    assert len(mocked.calls) == 2


def test_a_rotated_key_is_another_key(source: KeySource, mocked: responses.RequestsMock) -> None:
    first, second = InstallKeys("one"), InstallKeys("two", rsa_key("second"))
    first.serve(mocked)
    second.serve(mocked)
    assert source.get("one").public_numbers() != source.get("two").public_numbers()


@pytest.mark.parametrize(
    "first",
    [
        {"status": 404},
        {"status": 403},
        {"status": 500},
        {"status": 302, "headers": {"Location": "https://evil.example.com/key"}},
        {"status": 302, "headers": {"Location": "http://[::1"}},
        {"status": 204},
        {"status": 200, "body": "no key"},
        {"status": 200, "body": "x" * 20_000},
        {"body": requests.ConnectionError("refused")},
        {"body": requests.ReadTimeout("slow")},
        {"body": requests.exceptions.SSLError("certificate")},
    ],
)
def test_the_second_host_is_asked_with_the_id_when_the_first_has_nothing(
    source: KeySource, mocked: responses.RequestsMock, first: dict[str, Any]
) -> None:
    keys = InstallKeys()
    mocked.get(f"{ONE}/{keys.kid}", **first)
    keys.serve(mocked, TWO)
    assert source.get(keys.kid).key_size == 2048
    assert [call.request.url for call in mocked.calls] == [f"{ONE}/{keys.kid}", f"{TWO}/{keys.kid}"]


def test_a_key_that_no_host_knows_is_refused_and_asked_for_once_a_minute(
    source: KeySource, mocked: responses.RequestsMock, clock: VirtualClock
) -> None:
    for host in KEY_HOSTS:
        mocked.get(f"{host}/abc", status=404)
    for _ in range(3):
        assert _refusal(source, "abc") == (401, "install-key-unknown")
    assert len(mocked.calls) == 2
    clock.advance(timedelta(seconds=61))
    keys = InstallKeys("abc")
    mocked.reset()
    keys.serve(mocked, ONE)
    assert source.get("abc").key_size == 2048


def test_many_installs_with_ids_of_their_own_making_hold_few_threads_and_ask_one_at_a_time(clock: VirtualClock) -> None:
    asked = threading.Event()
    release = threading.Event()
    under_way: list[int] = []
    most: list[int] = []
    app = Flask("keys", static_folder=None)

    def absent(kid: str) -> Response:
        under_way.append(1)
        most.append(len(under_way))
        asked.set()
        release.wait(30)
        under_way.pop()
        return Response(kid, status=404)

    app.add_url_rule("/<kid>", view_func=absent)
    with running(app) as url, ThreadPoolExecutor(32) as threads:
        source = KeySource((url,), clock)
        calls = [threads.submit(_refusal, source, f"random-{number}") for number in range(32)]
        assert asked.wait(30)
        # All but those that may wait have their answer although the host has given none.
        done = [call.result(30) for call in islice(as_completed(calls), 32 - WAITING)]
        assert done == [(503, "install-keys-unreachable")] * (32 - WAITING)
        release.set()
        rest = [call.result(30) for call in calls]
    assert set(most) == {1}
    assert len(most) <= WAITING
    assert (401, "install-key-unknown") in rest


@pytest.mark.parametrize(("one", "two"), [(404, 503), (503, 404), (500, 429), (301, 404), (403, 404), (404, 403)])
def test_a_host_that_is_down_is_not_a_refusal(
    source: KeySource, mocked: responses.RequestsMock, one: int, two: int
) -> None:
    mocked.get(f"{ONE}/abc", status=one)
    mocked.get(f"{TWO}/abc", status=two)
    with refused_with_problem() as caught:
        source.get("abc")
    assert (caught.value.status, caught.value.kind, caught.value.retry_after) == (503, "install-keys-unreachable", 60)


def test_hosts_that_are_down_make_the_install_answer_503(host: Host, mocked: responses.RequestsMock) -> None:
    for key_host in KEY_HOSTS:
        mocked.get(f"{key_host}/other", body=requests.ConnectionError("refused"))
    token = host.keys.sign(install_claims(now=host.clock.now()), kid="other")
    assert host.lifecycle("installed", token=token).status_code == 503
    assert host.row() is None


@pytest.mark.parametrize(
    "kid",
    [
        None, 5, "", ".", "..", "a..b", "../a", "a/b", "a\\b", "a b", "a\n", "ä", "a?b", "a#b", "a%2fb", "k" * 201,
        ["a"], "https://evil.example.com",
    ],
)  # fmt: skip
def test_an_id_that_is_none_asks_nobody(source: KeySource, mocked: responses.RequestsMock, kid: Any) -> None:
    assert _refusal(source, kid) == (401, "install-key-unknown")
    assert not mocked.calls


def test_weak_and_foreign_keys_are_not_used(source: KeySource, mocked: responses.RequestsMock) -> None:
    elliptic = generate_private_key(SECP256R1()).public_key()
    pem = elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for kid, body in (("weak", InstallKeys("weak", rsa_key("weak", 1024)).pem), ("elliptic", pem)):
        for host in KEY_HOSTS:
            mocked.get(f"{host}/{kid}", body=body)
        assert _refusal(source, kid)[0] == 503


def test_the_cache_does_not_grow_without_end(source: KeySource, mocked: responses.RequestsMock) -> None:
    for number in range(70):
        InstallKeys(f"key-{number}").serve(mocked)
        source.get(f"key-{number}")
    source.get("key-69")
    assert len(mocked.calls) == 70
    source.get("key-0")
    assert len(mocked.calls) == 71


def test_a_key_host_on_this_machine_is_asked_without_a_proxy(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    keys = InstallKeys()
    app = Flask("keys", static_folder=None)
    app.add_url_rule(f"/install-keys/{keys.kid}", view_func=lambda: Response(keys.pem, mimetype="text/plain"))
    with running(app) as url, caplog.at_level(logging.WARNING):
        assert KeySource((f"{url}/install-keys",), clock).get(keys.kid).key_size == 2048
    assert not caplog.records
