"""The host side of Connect: a real signed installation over HTTP, secrets, page addresses and context tokens."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from flask import Flask, request

from addon.sandbox.addon_host import InstallRefused, NoSuchAddon
from addon.sandbox.auth import query_hash
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.servers import running
from tests.support.site import ADDON_KEY, DESCRIPTOR


class PretendAddon:
    """Records the lifecycle calls it gets; `answer` is the status of each."""

    def __init__(self) -> None:
        self.descriptor: dict[str, Any] = copy.deepcopy(DESCRIPTOR)
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        self.answer = 204
        self.app = Flask("pretend-addon")
        self.app.add_url_rule("/atlassian-connect.json", "descriptor", lambda: self.descriptor)
        self.app.add_url_rule("/connect/<event>", "event", self._event, methods=["POST"])
        self.descriptor["lifecycle"] |= {"enabled": "/connect/enabled", "disabled": "/connect/disabled"}
        self.descriptor["modules"]["adminPages"] = [{"key": "jobs", "name": {"value": "Jobs"}, "url": "/jobs?a=b c"}]
        tab = {"key": "space-jobs", "name": {"value": "Jobs"}, "url": "/space-jobs?spaceKey={space.key}&id={space.id}"}
        self.descriptor["modules"]["spaceToolsTabs"] = [tab]

    def _event(self, event: str) -> tuple[str, int]:
        body = request.get_json()
        assert body["eventType"] == event
        self.calls.append((event, body, request.headers["Authorization"].removeprefix("JWT ")))
        return "", self.answer


@pytest.fixture
def addon() -> Iterator[PretendAddon]:
    pretend = PretendAddon()
    with running(pretend.app) as url:
        pretend.descriptor["baseUrl"] = url
        yield pretend


@pytest.fixture
def descriptor_url(addon: PretendAddon, site: Site, sandbox_server: SandboxServer) -> str:
    site.unregister_addon(ADDON_KEY)
    return f"{addon.descriptor['baseUrl']}/atlassian-connect.json"


def test_the_installation_is_signed_with_the_sites_key_and_enabling_with_the_new_secret(
    site: Site, sandbox_server: SandboxServer, addon: PretendAddon, descriptor_url: str
) -> None:
    installed = site.host.install(descriptor_url)
    (first, body, token), (second, later_body, later_token) = addon.calls
    assert (first, second) == ("installed", "enabled")
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256"
    pem = requests.get(f"{sandbox_server.url}/install-keys/{header['kid']}", timeout=10).text
    claims = jwt.decode(token, pem, ["RS256"], audience=addon.descriptor["baseUrl"], options={"verify_exp": False})
    assert claims["iss"] == body["clientKey"] == installed.client_key
    assert claims["qsh"] == query_hash("POST", "/connect/installed", "")
    assert body["baseUrl"] == site.base_url
    assert body["sharedSecret"] == installed.secret
    assert jwt.decode(later_token, body["sharedSecret"], ["HS256"], options={"verify_exp": False})["qsh"]
    assert "sharedSecret" not in later_body
    assert requests.get(f"{sandbox_server.url}/install-keys/unknown", timeout=10).status_code == 404


def test_a_new_secret_keeps_the_tenant_and_uninstalling_forgets_the_add_on(
    site: Site, addon: PretendAddon, descriptor_url: str
) -> None:
    first = site.host.install(descriptor_url)
    fresh = site.host.rotate_secret()
    assert fresh.client_key == first.client_key
    assert fresh.secret != first.secret
    site.host.uninstall()
    assert [event for event, _, _ in addon.calls] == ["installed", "enabled", "installed", "disabled", "uninstalled"]
    assert jwt.get_unverified_header(addon.calls[-1][2])["alg"] == "RS256"
    with pytest.raises(NoSuchAddon):
        site.host.uninstall()


def test_an_add_on_that_refuses_is_not_installed(site: Site, addon: PretendAddon, descriptor_url: str) -> None:
    addon.answer = 401
    with pytest.raises(InstallRefused, match="401"):
        site.host.install(descriptor_url)
    assert site.addons == {}
    addon.answer = 204
    kept = site.host.install(descriptor_url)
    addon.answer = 500
    with pytest.raises(InstallRefused):
        site.host.rotate_secret()
    assert site.host.addon() == kept


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scopes": ["READ", "ACCESS_EMAIL_ADDRESSES"]}, "not approved"),
        ({"scopes": ["EVERYTHING"]}, "unknown scopes"),
        ({"authentication": {"type": "none"}}, "must be jwt"),
        ({"apiMigrations": {}}, "signed-install"),
        ({"lifecycle": {}}, "lifecycle.installed"),
        ({"baseUrl": "https://example.com"}, "loopback"),
        ({"key": "no spaces"}, "key"),
        ({"name": None}, "no name"),
    ],
)
def test_a_descriptor_confluence_would_refuse_is_refused(
    site: Site, addon: PretendAddon, descriptor_url: str, change: dict[str, Any], why: str
) -> None:
    addon.descriptor |= change
    with pytest.raises(InstallRefused, match=why):
        site.host.install(descriptor_url)
    assert addon.calls == []


def test_a_page_is_opened_with_a_token_for_exactly_its_address(
    site: Site, addon: PretendAddon, descriptor_url: str
) -> None:
    secret = site.host.install(descriptor_url).secret
    url = site.host.page_url("u-sam", "space-jobs", space_key="DOCS")
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (query["spaceKey"], query["id"]) == ("DOCS", site.space("DOCS").id)
    assert (query["lic"], query["cp"], query["xdm_e"]) == ("active", "/wiki", site.origin)
    claims = jwt.decode(query["jwt"], secret, ["HS256"], options={"verify_exp": False})
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("u-sam", 180)
    assert claims["qsh"] == query_hash("GET", "/space-jobs", parts.query)
    with pytest.raises(NoSuchAddon):
        site.host.page_url("u-sam", "no-such-module")


def test_a_context_token_names_the_person_and_the_place(site: Site, addon: PretendAddon, descriptor_url: str) -> None:
    secret = site.host.install(descriptor_url).secret
    token = site.host.context_token("u-sam", space_key="DOCS")
    claims = jwt.decode(token, secret, ["HS256"], options={"verify_exp": False})
    assert (claims["qsh"], claims["sub"], claims["exp"] - claims["iat"]) == ("context-qsh", "u-sam", 900)
    assert claims["context"]["confluence"]["space"]["key"] == "DOCS"


def test_the_control_api_installs_and_hands_out_tokens(
    sandbox_server: SandboxServer, site: Site, addon: PretendAddon, descriptor_url: str
) -> None:
    control = f"{sandbox_server.url}/sandbox"
    made = requests.post(f"{control}/install", json={"descriptorUrl": descriptor_url}, timeout=10)
    assert (made.status_code, made.json()["key"]) == (201, ADDON_KEY)
    token = requests.get(f"{control}/context-token?account=u-sam&spaceKey=DOCS", timeout=10).json()["token"]
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == "u-sam"
    assert requests.get(f"{control}/context-token?account=nobody", timeout=10).status_code == 404
    assert requests.get(f"{control}/page-url?account=u-sam&module=jobs", timeout=10).json()["url"].startswith("http")
    assert requests.post(f"{control}/rotate-secret", timeout=10).status_code == 204
    assert requests.post(f"{control}/uninstall", timeout=10).status_code == 204
    refused = requests.post(f"{control}/install", json={"descriptorUrl": "http://example.com/x"}, timeout=10)
    assert (refused.status_code, "loopback" in refused.json()["error"]) == (422, True)


def test_the_control_api_turns_the_sites_knobs(sandbox_server: SandboxServer, site: Site) -> None:
    settings = f"{sandbox_server.url}/sandbox/settings"
    changed = requests.patch(
        settings, json={"indexLag": 5, "negation": "exclusive", "edition": "standard", "usedPoints": 64_000}, timeout=10
    ).json()
    assert changed == requests.get(settings, timeout=10).json()
    assert (site.index_lag, site.negation, site.edition, site.meter.used) == (5, "exclusive", "standard", 64_000)
    assert requests.post(f"{sandbox_server.url}/sandbox/index/catch-up", timeout=10).status_code == 204
    for wrong in ({"negation": "sometimes"}, {"gravity": 1}, {"indexLag": "long"}):
        assert requests.patch(settings, json=wrong, timeout=10).status_code == 422


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1", "10.0.0.1"])
def test_a_name_that_was_bound_to_this_machine_opens_none_of_the_sites_doors(
    sandbox_server: SandboxServer, host: str
) -> None:
    site = f"{sandbox_server.url}/wiki"
    doors = [
        f"{sandbox_server.url}/sandbox/usage", f"{sandbox_server.url}/install-keys/any", f"{site}/home",
        f"{site}/rest/api/search", f"{site}/api/v2/spaces", f"{sandbox_server.url}/nothing",
    ]  # fmt: skip
    for door in doors:
        assert requests.get(door, headers={"Host": host}, timeout=10).status_code == 403, door
        port = sandbox_server.url.rpartition(":")[2]
        assert requests.get(door, headers={"Host": f"localhost:{port}"}, timeout=10).status_code != 403, door
