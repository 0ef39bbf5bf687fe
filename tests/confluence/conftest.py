"""A site that answers as a test says, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import requests
import responses
from requests.auth import AuthBase

from addon.base import Database, Site, TenantGone, TenantId, Unreachable
from addon.confluence import Confluence, SiteClient
from tests.support.clock import VirtualClock

BASE = "https://one.atlassian.net/wiki"
TENANT = TenantId("0192f000-0000-7000-8000-000000000001")
OTHER = TenantId("0192f000-0000-7000-8000-000000000002")


class CountingAuth(AuthBase):
    """Signs with the secret's version and a number, so that a reused signature shows."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.signed: list[str] = []

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"JWT v{self.version}-{len(self.signed)}"
        self.signed.append(str(request.url))
        return request


@dataclass
class FakeSites:
    """Implements SiteSource over what a test puts into it."""

    current: dict[TenantId, Site] = field(default_factory=dict)
    newer: dict[TenantId, Site] = field(default_factory=dict)
    asked_stale: list[Site] = field(default_factory=list)

    def put(self, tenant_id: TenantId, base_url: str = BASE, version: int = 1) -> Site:
        self.current[tenant_id] = Site(tenant_id, base_url, 1, version, CountingAuth(version))
        return self.current[tenant_id]

    def renew(self, tenant_id: TenantId) -> Site:
        old = self.current[tenant_id]
        version = old.secret_version + 1
        self.newer[tenant_id] = replace(old, secret_version=version, auth=CountingAuth(version))
        return self.newer[tenant_id]

    def get(self, tenant_id: TenantId, stale: Site | None = None) -> Site:
        if tenant_id not in self.current:
            raise TenantGone(tenant_id)
        if stale is None:
            return self.current[tenant_id]
        self.asked_stale.append(stale)
        newer = self.newer.get(tenant_id)
        if newer is None or newer.secret_version <= stale.secret_version:
            raise Unreachable("needs to be installed again")
        return newer


@dataclass
class Guard:
    """A run that counts, and whose waits turn the clock."""

    clock: VirtualClock
    seconds: float = 5.0
    points: int = 0
    calls: int = 0
    writes: list[bool] = field(default_factory=list)
    stop: Exception | None = None

    def call_seconds(self, *, write: bool) -> float:
        if self.stop is not None:
            raise self.stop
        self.writes.append(write)
        return self.seconds

    def wait(self, seconds: float) -> None:
        if self.stop is not None:
            raise self.stop
        assert 0 <= seconds <= 1.5, "a wait that hears nothing for longer than a second"
        self.clock.advance(seconds)

    def used(self, *, points: int, calls: int) -> None:
        self.points += points
        self.calls += calls


@pytest.fixture
def sites() -> FakeSites:
    found = FakeSites()
    found.put(TENANT)
    found.put(OTHER, "https://two.atlassian.net/wiki")
    return found


@pytest.fixture
def guard(clock: VirtualClock) -> Guard:
    return Guard(clock)


@pytest.fixture
def make_confluence(sites: FakeSites, database: Database, clock: VirtualClock) -> Iterator[Callable[..., Confluence]]:
    made: list[Confluence] = []

    def make(**options: Any) -> Confluence:
        settings: dict[str, Any] = {"namespace": "steward", "user_agent": "content-steward/test", "retry_waits": (0, 0)}
        made.append(Confluence(sites, database, clock, **{**settings, **options}))
        return made[-1]

    yield make
    for confluence in made:
        confluence.close()


@pytest.fixture
def confluence(make_confluence: Callable[..., Confluence]) -> Confluence:
    return make_confluence()


@pytest.fixture
def client(confluence: Confluence, guard: Guard) -> Iterator[SiteClient]:
    with confluence.client(TENANT, run=guard, share="job") as client:
        yield client


@pytest.fixture
def web() -> Iterator[responses.RequestsMock]:
    """Answers in place of the network; anything not registered is a ConnectionError."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
