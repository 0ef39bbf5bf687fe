"""Two pretend sites that installed one add-on; the fixture is imported from here by the tests that want it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from addon.app import create_app, parts_of, stop
from addon.config import Settings
from addon.parts import Parts
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.servers import running
from tests.support.site import small_site


@dataclass
class Neighbours:
    """Two sites that installed one add-on."""

    url: str
    parts: Parts
    app: Any
    ours: Site
    theirs: Site

    def call(self, site: Site, method: str, path: str, **options: Any) -> requests.Response:
        token = site.host.context_token("u-admin")
        headers = {"Authorization": f"JWT {token}"}
        return requests.request(method, self.url + path, headers=headers, timeout=20, **options)

    def page(self, site: Site, path: str) -> requests.Response:
        token = site.host.token(site.host.addon(), "GET", path, "", "u-admin")
        return requests.get(f"{self.url}{path}?jwt={token}", headers={"Accept": "text/html"}, timeout=20)

    def execution(self, site: Site, *, end: bool = True) -> str:
        body = {"job": "refresh-statuses", "scope": "site"}
        started = self.call(site, "POST", "/api/executions", json=body)
        assert started.status_code == 201, started.text
        if end:
            cancelled = self.call(site, "POST", f"/api/executions/{started.json()['id']}/cancel")
            assert cancelled.status_code == 202, cancelled.text
        return str(started.json()["id"])


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    clock = VirtualClock()
    folder: Path = tmp_path_factory.mktemp("neighbours")
    with ExitStack() as stack:
        sites = [small_site(clock), small_site(clock)]
        servers = [stack.enter_context(SandboxServer(site)) for site in sites]
        app: Flask
        url = stack.enter_context(running(lambda *call: app(*call)))
        settings = Settings(
            base_url=url,
            database_url=f"sqlite:///{folder / 'steward.sqlite3'}",
            install_key_hosts=tuple(f"{server.url}/install-keys" for server in servers),
            allowed_hosts=("http://127.0.0.1:*",),
            first_run="start",
        )
        app = create_app(settings, clock=clock, web_threads=8)
        for site in sites:
            site.host.install(f"{url}/atlassian-connect.json")
        yield Neighbours(url, parts_of(app), app, *sites)
        stop(app)
