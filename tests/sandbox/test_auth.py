"""Only the installed add-on gets in, within its scopes, with a token made for exactly this request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
import requests

from addon.sandbox.auth import query_hash
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import ADDON_KEY, CLIENT_KEY, DESCRIPTOR, SECRET, Caller, SandboxAuth

SPACES = "/wiki/api/v2/spaces"


@pytest.fixture
def get(site: Site, call: Caller) -> Iterator[Any]:
    """Send one GET with the token that the given claims make."""
    session = requests.Session()

    def send(path: str = SPACES, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> requests.Response:
        now = int(site.clock.now().timestamp())
        usual = {"iss": ADDON_KEY, "iat": now, "exp": now + 180, "qsh": query_hash("GET", "/api/v2/spaces", "")}
        kept = {name: value for name, value in (usual | claims).items() if value is not None}
        token = jwt.encode(kept, secret, algorithm)
        return session.get(f"{site.origin}{path}", headers={"Authorization": f"JWT {token}"}, timeout=10)

    yield send
    session.close()


def test_a_token_made_for_the_request_is_accepted(get: Any) -> None:
    assert get().status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another-secret-of-decent-length-0123456789"},
        {"iss": "another-add-on"},
        {"iss": CLIENT_KEY},
        {"qsh": query_hash("POST", "/api/v2/spaces", "")},
        {"qsh": query_hash("GET", "/wiki/api/v2/spaces", "")},
        {"qsh": "context-qsh"},
        {"qsh": None},
        {"exp": None},
        {"exp": "soon"},
        {"path": f"{SPACES}?limit=1"},
    ],
)
def test_any_other_token_is_unauthorized(site: Site, get: Any, wrong: dict[str, Any]) -> None:
    refused = get(**wrong)
    assert refused.status_code == 401
    assert refused.json()["errors"][0]["status"] == 401
    assert site.meter.points == 0, "what is not let in costs nothing"


def test_no_token_and_garbage_are_unauthorized(site: Site, call: Caller) -> None:
    for header in ({}, {"Authorization": "JWT garbage"}, {"Authorization": "Bearer x"}):
        answer = requests.get(f"{site.origin}/wiki/rest/api/search?cql=type=page", headers=header, timeout=10)
        assert (answer.status_code, answer.json()["statusCode"]) == (401, 401)


def test_a_token_expires_by_the_clock_of_the_site(get: Any, clock: VirtualClock) -> None:
    late = int(clock.now().timestamp()) - 200
    assert get(iat=late - 180, exp=late).status_code == 401
    clock.advance(timedelta(days=365))
    assert get().status_code == 200


def test_the_query_hash_survives_odd_characters(call: Caller) -> None:
    found = call.get("/wiki/rest/api/content/search", cql='title = "a & b+c, (d)" and type = page', expand="a,b")
    assert found.status_code == 200


def test_scopes_gate_endpoints_and_imply_lesser_ones(site: Site, call: Caller) -> None:
    page = next(site.contents("HR"))
    body = {"key": "steward-status", "value": {}}
    write = f"/wiki/api/v2/pages/{page.id}/properties"
    for scopes, expected in (([], (403, 403, 403)), (["read"], (200, 403, 403)), (["DELETE"], (200, 200, 204))):
        site.register_addon(ADDON_KEY, CLIENT_KEY, SECRET, DESCRIPTOR | {"scopes": scopes})
        answers = (call.get(SPACES), call("POST", write, json=body), call("DELETE", f"/wiki/api/v2/pages/{page.id}"))
        assert tuple(answer.status_code for answer in answers) == expected


def test_an_uninstalled_or_rotated_add_on_is_locked_out(site: Site, call: Caller, clock: VirtualClock) -> None:
    assert call.get(SPACES).status_code == 200
    site.register_addon(ADDON_KEY, CLIENT_KEY, "the-next-secret-0123456789-0123456789", DESCRIPTOR)
    assert call.get(SPACES).status_code == 401
    again = SandboxAuth(clock, "the-next-secret-0123456789-0123456789")
    assert requests.get(f"{site.origin}{SPACES}", auth=again, timeout=10).status_code == 200
    site.unregister_addon(ADDON_KEY)
    assert requests.get(f"{site.origin}{SPACES}", auth=again, timeout=10).status_code == 401
