"""A small pretend site, its server, and a SiteSource through which addon.confluence calls it.

Import the fixtures in your package's conftest.py: `from tests.support.site import sandbox_server, site` and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from requests.auth import AuthBase

from addon.base import Clock, TenantId
from addon.base import Site as SiteAddress
from addon.sandbox.auth import query_hash
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock

ADDON_KEY = "content-steward"
CLIENT_KEY = "client-of-the-pretend-site"
SECRET = "a-shared-secret-long-enough-for-hs256-signatures"


def extraction(name: str, kind: str, alias: str) -> dict[str, str]:
    return {"objectName": name, "type": kind, "alias": alias}


DESCRIPTOR = {
    "key": ADDON_KEY,
    "name": "Content Steward",
    "baseUrl": "http://127.0.0.1:8080",
    "authentication": {"type": "jwt"},
    "apiMigrations": {"signed-install": True, "context-qsh": True, "gdpr": True},
    "lifecycle": {"installed": "/connect/installed", "uninstalled": "/connect/uninstalled"},
    "scopes": ["READ", "WRITE", "DELETE"],
    "modules": {
        "confluenceContentProperties": [
            {
                "key": "steward-properties",
                "name": {"value": "Content Steward"},
                "keyConfigurations": [
                    {
                        "propertyKey": "steward-status",
                        "extractions": [
                            extraction("id", "string", "stewardStatus"),
                            extraction("name.value", "string", "stewardStatusName"),
                            extraction("previous", "string", "stewardPreviousStatus"),
                            extraction("changedOn", "date", "stewardStatusChangedOn"),
                        ],
                    },
                    {
                        "propertyKey": "steward-review",
                        "extractions": [
                            extraction("expirationDate", "date", "stewardExpirationDate"),
                            extraction("reviewedOn", "date", "stewardReviewedOn"),
                        ],
                    },
                ],
            }
        ]
    },
}
"""A descriptor with the aliases of the add-on, for tests that do not go through the handshake."""


class SandboxAuth(AuthBase):
    """Signs requests as the add-on does, by the site's clock."""

    def __init__(self, clock: Clock, secret: str = SECRET, *, key: str = ADDON_KEY) -> None:
        self._clock = clock
        self._secret = secret
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        parts = urlsplit(str(request.url))
        now = int(self._clock.now().timestamp())
        qsh = query_hash(str(request.method), parts.path.removeprefix("/wiki"), parts.query)
        claims = {"iss": self._key, "iat": now, "exp": now + 180, "qsh": qsh, "aud": [CLIENT_KEY]}
        request.headers["Authorization"] = f"JWT {jwt.encode(claims, self._secret, 'HS256')}"
        return request


@dataclass
class OneSite:
    """Implements SiteSource for one tenant and counts how often a stale secret was reported."""

    address: SiteAddress
    stale_reports: int = 0

    def get(self, tenant_id: TenantId, stale: SiteAddress | None = None) -> SiteAddress:
        self.stale_reports += stale is not None
        return self.address


def small_site(clock: Clock) -> Site:
    """Three spaces, seven pages, two blog posts, four people; the add-on is registered with DESCRIPTOR."""
    site = Site(clock)
    now = clock.now()
    site.add_user("u-eve", "Eve Editor", "eve@example.com")
    site.add_user("u-sam", "Sam Spaceadmin", "sam@example.com")
    site.add_user("u-hid", "Hida Hidden", "hida@example.com", email_visible=False)
    docs = site.add_space("DOCS", "Documentation", admins=["u-sam"], labels=["team"])
    site.add_space("ENG", "Engineering")
    site.add_space("HR", "People", homepage=False)
    guide = site.add_page(
        "DOCS", "Guide", parent=docs.homepage_id, author="u-eve", created_at=now - timedelta(days=900)
    )
    site.add_page("DOCS", "Guide: old part", parent=guide.id, author="u-eve", created_at=now - timedelta(days=800))
    site.add_page("DOCS", "Fresh page", author="u-sam", updated_at=now - timedelta(days=3), labels=["draft"],
                  created_at=now - timedelta(days=500), updater="u-eve")  # fmt: skip
    site.add_page("ENG", "Runbook", author="u-hid", created_at=now - timedelta(days=400))
    site.add_page("HR", "Handbook", author="u-sam", created_at=now - timedelta(days=30))
    site.add_blogpost("DOCS", "News of old", author="u-eve", created_at=now - timedelta(days=1000))
    site.add_blogpost("ENG", "News", author="u-sam", created_at=now - timedelta(days=10))
    site.register_addon(ADDON_KEY, CLIENT_KEY, SECRET, DESCRIPTOR)
    return site


@pytest.fixture
def site(clock: VirtualClock) -> Site:
    return small_site(clock)


@pytest.fixture
def sandbox_server(site: Site) -> Iterator[SandboxServer]:
    with SandboxServer(site) as server:
        yield server


@pytest.fixture
def tenant(new_tenant: Callable[..., TenantId], sandbox_server: SandboxServer) -> TenantId:
    return new_tenant(sandbox_server.site.base_url)


@pytest.fixture
def site_source(sandbox_server: SandboxServer, tenant: TenantId, clock: VirtualClock) -> OneSite:
    """The running pretend site as `addon.confluence` gets it, without the installation's handshake."""
    address = SiteAddress(tenant, sandbox_server.site.base_url, 1, 1, SandboxAuth(clock))
    return OneSite(address)


class Caller:
    """Calls the site's REST API as the add-on, through real HTTP."""

    def __init__(self, server: SandboxServer) -> None:
        self._site = server.site
        self._session = requests.Session()
        self._session.auth = SandboxAuth(server.site.clock)

    def __call__(self, method: str, path: str, **options: object) -> requests.Response:
        return self._session.request(method, f"{self._site.origin}{path}", timeout=10, **options)  # type: ignore[arg-type]

    def get(self, path: str, **params: object) -> requests.Response:
        return self("GET", path, params=params)

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def call(sandbox_server: SandboxServer) -> Iterator[Caller]:
    caller = Caller(sandbox_server)
    yield caller
    caller.close()
