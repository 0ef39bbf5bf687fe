"""What a site's lifecycle calls start and stop, in the transaction of the call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from addon.base import Database, TenantId
from addon.engine import Engine, EngineSettings, NotAdmitted, StartRequest, queries
from addon.listeners import LifecycleEffects
from addon.mail import Mailer
from addon.policies import Policies
from tests.support.clock import VirtualClock
from tests.support.fakejob import FakeJob

REFRESH = "refresh-statuses"


@pytest.fixture
def policies(clock: VirtualClock) -> Policies:
    return Policies(clock, "steward")


@pytest.fixture
def engine(database: Database, clock: VirtualClock, policies: Policies) -> Engine:
    jobs = {name: FakeJob(name, name) for name in (REFRESH, "send-notifications", "execute-automations")}
    return Engine(database, clock, EngineSettings(runners=0), jobs, policy_version=policies.version)


@pytest.fixture
def effects(database: Database, clock: VirtualClock, engine: Engine, policies: Policies) -> LifecycleEffects:
    mailer = Mailer(database, clock, None, "Content Steward <steward@example.com>")
    return LifecycleEffects(engine, policies, mailer, first_run_hold=True)


@pytest.fixture
def tenant(new_tenant: Callable[..., TenantId], database: Database, effects: LifecycleEffects) -> TenantId:
    tenant_id = new_tenant()
    with database.write(tenant_id) as session:
        effects.on_installed(session, tenant_id, first=True, returning=False)
    return tenant_id


def _start(database: Database, engine: Engine, tenant: TenantId) -> str:
    with database.write(tenant) as session:
        wanted = StartRequest(tenant_id=tenant, job_type=REFRESH, scope="site", started_by="u-admin")
        return engine.start(session, wanted).id


def test_a_new_site_gets_policies_and_schedules_and_starts_nothing_before_the_first_run(
    database: Database, engine: Engine, policies: Policies, tenant: TenantId
) -> None:
    with database.read(tenant) as session:
        assert policies.version(session, tenant) == 1
        assert set(queries.next_fires(session, tenant)) >= {REFRESH}
        lane = queries.lane(session, tenant)
    assert lane is not None
    assert lane.first_run
    with pytest.raises(NotAdmitted):
        _start(database, engine, tenant)


def test_a_site_that_returns_keeps_its_policies(
    database: Database, effects: LifecycleEffects, policies: Policies, tenant: TenantId
) -> None:
    with database.write(tenant) as session:
        effects.on_uninstalled(session, tenant)
        effects.on_installed(session, tenant, first=False, returning=True)
        assert policies.version(session, tenant) == 1


@pytest.mark.parametrize("call", ["on_disabled", "on_uninstalled"])
def test_what_runs_is_cancelled_and_nothing_starts_until_the_site_is_back(
    call: str, database: Database, engine: Engine, effects: LifecycleEffects, tenant: TenantId
) -> None:
    with database.write(tenant) as session:
        engine.confirm_first_run(session, tenant, "u-admin")
    running = _start(database, engine, tenant)
    with database.write(tenant) as session:
        getattr(effects, call)(session, tenant)
    with database.read(tenant) as session:
        assert queries.find(session, tenant, running).status in ("cancelling", "cancelled")
    with pytest.raises(NotAdmitted):
        _start(database, engine, tenant)
