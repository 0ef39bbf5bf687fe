"""A small server behind the boundary, one site of the host, and a listener that remembers what was reported to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import responses
from cryptography.fernet import Fernet
from flask import Flask, Response, abort
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from addon.base import Database, SecretBox, TenantId
from addon.config import Settings
from addon.connect import (
    ConnectError,
    Tenants,
    admits,
    check_routes,
    current_caller,
    current_installation,
    install_boundary,
    lifecycle_blueprint,
)
from addon.connect import InstallKeys as KeySource
from addon.connect.models import Tenant
from addon.screens.problems import problem_of
from tests.support.answers import Answer, typed
from tests.support.clock import VirtualClock
from tests.support.connect import (
    ADDON_KEY,
    BASE_URL,
    CLIENT_KEY,
    KEY_HOSTS,
    SECRET,
    InstallKeys,
    install_claims,
    install_payload,
    page_token,
)


@dataclass
class Remembering:
    """A LifecycleListener that keeps what it heard."""

    heard: list[tuple[Any, ...]] = field(default_factory=list)
    fail: Exception | None = None

    def _note(self, session: Session, *what: Any) -> None:
        assert session.in_transaction()
        assert session.info["tenant_id"] == what[1]
        if self.fail is not None:
            raise self.fail
        self.heard.append(what)

    def on_installed(self, session: Session, tenant_id: TenantId, *, first: bool, returning: bool) -> None:
        self._note(session, "installed", tenant_id, first, returning)

    def on_uninstalled(self, session: Session, tenant_id: TenantId) -> None:
        self._note(session, "uninstalled", tenant_id)

    def on_enabled(self, session: Session, tenant_id: TenantId) -> None:
        self._note(session, "enabled", tenant_id)

    def on_disabled(self, session: Session, tenant_id: TenantId) -> None:
        self._note(session, "disabled", tenant_id)


@dataclass
class Host:
    """One Confluence site and the add-on it talks to."""

    app: Flask
    db: Database
    clock: VirtualClock
    tenants: Tenants
    listener: Remembering
    keys: InstallKeys
    settings: Settings

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def lifecycle(self, event: str, body: Any = None, token: str | None = None) -> Answer:
        """Call installed or uninstalled; what is not given is as Confluence would send it."""
        if token is None:
            token = self.keys.sign(install_claims(event, now=self.clock.now()))
        return typed(
            self.client.post(
                f"/connect/{event}",
                json=install_payload(event) if body is None else body,
                headers={"Authorization": f"JWT {token}"},
            )
        )

    def switch(self, event: str, *, body: Any = None, token: str | None = None, secret: str = SECRET) -> Answer:
        """Call enabled or disabled."""
        if token is None:
            token = page_token(secret, account_id=None, method="POST", path=f"/connect/{event}", now=self.clock.now())
        return typed(
            self.client.post(
                f"/connect/{event}",
                json=install_payload(event) if body is None else body,
                headers={"Authorization": f"JWT {token}"},
            )
        )

    def row(self, client_key: str = CLIENT_KEY) -> Tenant | None:
        with self.db.read_all() as session:
            return session.query(Tenant).filter_by(client_key=client_key).one_or_none()

    def get(self, path: str, query: str = "", token: str | None = None, *, base: str = "") -> Answer:
        """Open a page as the host's frame does."""
        if token is None:
            token = page_token(path=path, query=query, now=self.clock.now())
        return typed(self.client.get(f"{base}{path}?{query}{'&' if query else ''}jwt={token}"))


def make_app(settings: Settings, db: Database, clock: VirtualClock, listener: Remembering) -> tuple[Flask, Tenants]:
    app = Flask("boundary", static_folder=None)
    tenants = Tenants(db, SecretBox(settings.encryption_keys), clock, addon_key=settings.addon_key)
    install_boundary(app, tenants, settings, clock)
    app.register_blueprint(
        lifecycle_blueprint(
            db=db,
            tenants=tenants,
            keys=KeySource(settings.install_key_hosts, clock),
            clock=clock,
            settings=settings,
            listener=listener,
        )
    )

    @app.errorhandler(ConnectError)
    def problem(error: ConnectError) -> Response:
        answer = problem_of(error)
        return Response(json.dumps(answer.document()), answer.status, mimetype="application/problem+json")

    @app.get("/page")
    @app.get("/page/<path:rest>")
    @admits("page")
    def page(rest: str = "") -> dict[str, Any]:
        return {"account": current_caller().account_id, "tenant": current_caller().tenant_id, "rest": rest}

    @app.route("/api/thing", methods=["GET", "POST"])
    @admits("api")
    def thing() -> dict[str, Any]:
        return {"account": current_caller().account_id, "tenant": current_caller().tenant_id}

    @app.post("/hook")
    @admits("host")
    def hook() -> dict[str, Any]:
        return {"tenant": current_installation().id}

    @app.get("/open")
    @admits("public")
    def anybody() -> str:
        return "hello"

    @app.get("/broken")
    @admits("public")
    def broken() -> str:
        abort(500)

    check_routes(app)
    return app, tenants


def make_host_on(db: Database, clock: VirtualClock, mock: responses.RequestsMock, **changes: Any) -> Host:
    """Put an add-on together, with settings changed as asked."""
    values: dict[str, Any] = {
        "base_url": BASE_URL,
        "addon_key": ADDON_KEY,
        "encryption_keys": (Fernet.generate_key().decode(),),
        "install_key_hosts": KEY_HOSTS,
    }
    settings = Settings(**(values | changes))
    keys = InstallKeys()
    keys.serve(mock)
    listener = Remembering()
    app, tenants = make_app(settings, db, clock, listener)
    return Host(app, db, clock, tenants, listener, keys, settings)


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    """Remote calls of one test; any other is refused."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def make_host(database: Database, clock: VirtualClock, mocked: responses.RequestsMock) -> Callable[..., Host]:
    """A function that puts an add-on together, with settings changed as asked."""
    return lambda **changes: make_host_on(database, clock, mocked, **changes)


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """An add-on that no site has installed yet."""
    return make_host()


@pytest.fixture
def installed(host: Host) -> Host:
    """An add-on installed on one site."""
    assert host.lifecycle("installed").status_code == 204
    return host
