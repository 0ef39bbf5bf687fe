"""The screens over a real engine, real policies and a pretend site behind real HTTP; the jobs are scripted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from addon.base import Database, SecretBox, TenantId, metadata, new_id
from addon.config import Settings
from addon.confluence import Confluence, Permissions
from addon.connect import Tenants, check_routes, install_boundary
from addon.connect.models import Tenant
from addon.engine import Engine, EngineSettings, JobExecution, StartRequest, queries
from addon.jobs import apply_policies
from addon.mail import Mailer
from addon.parts import Parts
from addon.policies import Policies
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from addon.screens import register
from tests.support import site as pretend
from tests.support.answers import Answer, typed
from tests.support.clock import VirtualClock
from tests.support.connect import context_token, page_token
from tests.support.fakejob import FakeJob
from tests.support.site import sandbox_server, site  # noqa: F401  (fixtures)

ADMIN = "u-admin"
"""Confluence administrator."""
SAM = "u-sam"
"""Administrator of the space DOCS only."""
EVE = "u-eve"
"""Administrator of nothing."""


@dataclass
class House:
    """The add-on with one tenant, and ways to call it."""

    app: Flask
    parts: Parts
    site: Site
    clock: VirtualClock
    tenant_id: TenantId
    client_key: str
    secret: str
    jobs: dict[str, FakeJob]

    def call(self, method: str, path: str, *, account: str | None = ADMIN, **options: Any) -> Answer:
        """Call the JSON API with the context token of `account`."""
        headers = dict(options.pop("headers", {}))
        if account is not None:
            token = context_token(self.secret, self.client_key, account, now=self.clock.now())
            headers["Authorization"] = f"JWT {token}"
        return typed(self.app.test_client().open(f"/api{path}", method=method, headers=headers, **options))

    def get(self, path: str, *, account: str = ADMIN, **query: Any) -> Answer:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path, account=account)

    def page(self, path: str, *, account: str = ADMIN, **query: str) -> Answer:
        """Open a page as the host's frame does."""
        raw = urlencode(query)
        token = page_token(self.secret, self.client_key, account, path=path, query=raw, now=self.clock.now())
        address = f"{path}?{raw}&jwt={token}" if raw else f"{path}?jwt={token}"
        return typed(self.app.test_client().get(address, headers={"Accept": "text/html"}))

    def start(self, job: str = "refresh-statuses", *, account: str = ADMIN, **body: Any) -> Answer:
        return self.call("POST", "/executions", account=account, json={"job": job, "scope": "site", **body})

    def run(self, job: str = "refresh-statuses", **body: Any) -> str:
        """Start a job by hand, let it run to its end, return its id."""
        started = self.start(job, **body)
        assert started.status_code == 201, started.json
        self.parts.engine.run_due()
        return str(started.json["id"])

    def row(self, execution_id: str) -> JobExecution:
        with self.parts.db.read(self.tenant_id) as session:
            return queries.find(session, self.tenant_id, execution_id)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, made once: copying it is quicker than making it for every test."""
    import addon.migrations.tables  # noqa: F401  (registers every table)

    path = tmp_path_factory.mktemp("schema") / "empty.sqlite3"
    db = Database(f"sqlite:///{path}")
    metadata.create_all(db.engine)
    with db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.dispose()
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "steward.sqlite3"
    shutil.copy(empty_database, path)
    db = Database(f"sqlite:///{path}")
    yield db
    db.dispose()


@pytest.fixture
def house(
    database: Database,
    clock: VirtualClock,
    site: Site,  # noqa: F811
    sandbox_server: SandboxServer,  # noqa: F811
    tmp_path: Path,
) -> House:
    return build(database, clock, site)


def build(database: Database, clock: VirtualClock, site: Site, **settings: Any) -> House:  # noqa: F811
    """Put the add-on together around `site`, installed and past its first run."""
    secrets = SecretBox([Fernet.generate_key().decode()])
    configured = Settings(allowed_hosts=("http://127.0.0.1:*",), **settings)
    tenant_id = add_tenant(database, clock, secrets, site.base_url, pretend.CLIENT_KEY, pretend.SECRET)
    tenants = Tenants(database, secrets, clock, addon_key=configured.addon_key)
    confluence = Confluence(tenants, database, clock, namespace="steward", user_agent="content-steward/test")
    policies = Policies(clock, "steward", time_zone="Europe/Berlin", first_run="start")
    jobs = {
        "refresh-statuses": FakeJob("refresh-statuses", "Refresh content statuses"),
        "send-notifications": FakeJob("send-notifications", "Send notifications"),
        "execute-automations": FakeJob("execute-automations", "Execute automations"),
    }
    engine = Engine(database, clock, EngineSettings(runners=0), jobs, policy_version=policies.version)
    parts = Parts(
        settings=configured,
        clock=clock,
        db=database,
        tenants=tenants,
        confluence=confluence,
        permissions=Permissions(confluence, clock, changes=lambda _tenant: 0),
        policies=policies,
        engine=engine,
        mailer=Mailer(database, clock, None, "Content Steward <steward@example.com>"),
    )
    with database.write(tenant_id) as session:
        engine.open_lane(session, tenant_id, first_run=False)
        policies.seed(session, tenant_id)
        apply_policies(engine, session, tenant_id, policies.current(session, tenant_id)[1], by=None)
    app = Flask("addon", static_folder=None)
    install_boundary(app, tenants, configured, clock)
    register(app, parts)
    check_routes(app)
    return House(app, parts, site, clock, tenant_id, pretend.CLIENT_KEY, pretend.SECRET, jobs)


def add_tenant(
    database: Database, clock: VirtualClock, secrets: SecretBox, base_url: str, client_key: str, secret: str
) -> TenantId:
    tenant_id = TenantId(new_id())
    with database.write_all() as session:
        session.add(
            Tenant(
                id=tenant_id,
                client_key=client_key,
                base_url=base_url,
                state="installed",
                secret=secrets.seal(secret),
                installed_at=clock.now(),
                updated_at=clock.now(),
            )
        )
    return tenant_id


@pytest.fixture
def stranger(house: House) -> Callable[[], str]:
    """A function that lets a job run at another tenant and returns its execution's id."""

    def run() -> str:
        other = add_tenant(
            house.parts.db, house.clock, SecretBox([Fernet.generate_key().decode()]), house.site.base_url, "other", "x"
        )
        engine = house.parts.engine
        with house.parts.db.write(other) as session:
            engine.open_lane(session, other, first_run=False)
            row = engine.start(
                session, StartRequest(tenant_id=other, job_type="refresh-statuses", scope="site", started_by="u-x")
            )
        return row.id

    return run
