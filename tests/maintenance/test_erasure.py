"""After an uninstall and a grace period nothing of a site is left, and nothing of any other is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId, metadata
from addon.confluence.models import QuotaHour
from addon.confluence.quota.quota_table import scope_of
from addon.connect.models import Tenant
from addon.engine.models import AuditEvent, JobExecution
from addon.maintenance import erasure
from addon.maintenance.erasure import Erasure, tenant_tables
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.house import house_over
from tests.support.rows import count, one_of_each

GRACE = timedelta(days=30)
TenantIn = Callable[..., TenantId]


def _everything(db: Database, tenant_id: TenantId) -> set[int]:
    return {count(db, table, tenant_id) for table in tenant_tables()}


def _tenants(db: Database) -> set[str]:
    with db.read_all() as session:
        return set(session.scalars(sa.select(Tenant.id)))


def test_every_table_but_a_few_named_ones_belongs_to_a_tenant() -> None:
    shared = {table.name for table in metadata.sorted_tables} - {table.name for table in tenant_tables()}
    assert shared == {"tenant", "worker", "quota_hour", "account_report", "report_cycle", "spent_token"}


def test_after_the_grace_every_table_is_empty_of_the_tenant_and_the_others_keep_theirs(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    leaving, staying, recent = tenant_in(db, uninstalled=True), tenant_in(db), tenant_in(db)
    for tenant_id in (leaving, staying, recent):
        one_of_each(db, tenant_id, clock.now())
    with db.write_all() as session:
        for scope in (leaving, scope_of("interactive", leaving), staying, scope_of("interactive", staying), "pool"):
            session.add(QuotaHour(hour=clock.now(), scope=scope, reserved=0, limit=1))
    clock.advance(GRACE - timedelta(days=1))
    with db.write_all() as session:
        late = session.get_one(Tenant, recent)
        late.state, late.secret, late.uninstalled_at = "uninstalled", None, clock.now()
    erase = Erasure(db, clock, GRACE)
    assert erase.tick() == 0
    assert _everything(db, leaving) == {1}, "the grace is not over"

    clock.advance(timedelta(days=1))
    assert erase.tick() == 1
    assert _everything(db, leaving) == {0}
    assert _everything(db, staying) == {1}
    assert _everything(db, recent) == {1}
    assert _tenants(db) == {staying, recent}
    with db.read_all() as session:
        assert set(session.scalars(sa.select(QuotaHour.scope))) == {staying, scope_of("interactive", staying), "pool"}
    assert erase.tick() == 0


def test_more_rows_than_a_batch_go_in_several_transactions(
    db: Database, clock: VirtualClock, tenant_in: TenantIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "BATCH", 3)
    tenant_id = tenant_in(db, uninstalled=True)
    one_of_each(db, tenant_id, clock.now())
    with db.write_all() as session:
        for seq in range(10):
            at = clock.now()
            session.add(AuditEvent(id=f"e{seq}", tenant_id=tenant_id, seq=seq, at=at, actor_type="system", tag="t"))
    clock.advance(GRACE)
    assert Erasure(db, clock, GRACE).tick() == 1
    assert _everything(db, tenant_id) == {0}


def test_a_tenant_with_an_active_execution_waits_for_its_end(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    tenant_id = tenant_in(db, uninstalled=True)
    one_of_each(db, tenant_id, clock.now(), job_execution__status="finalizing", job_execution__ended_at=None)
    clock.advance(GRACE)
    erase = Erasure(db, clock, GRACE)
    assert erase.tick() == 0
    assert _everything(db, tenant_id) == {1}
    with db.write_all() as session:
        session.execute(sa.update(JobExecution).values(status="failed", ended_at=clock.now()))
    assert erase.tick() == 1


def test_an_erasing_that_died_half_way_is_taken_up_again_and_a_new_install_meets_none_of_it(
    db: Database, clock: VirtualClock, tenant_in: TenantIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = tenant_in(db, uninstalled=True, client_key="the-site")
    one_of_each(db, tenant_id, clock.now())
    clock.advance(GRACE)
    erase = Erasure(db, clock, GRACE)
    batch = Erasure._batch
    done: list[object] = []

    def dies(self: Erasure, table: sa.Table, tenant: TenantId) -> int:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(table.name)
        return batch(self, table, tenant)

    monkeypatch.setattr(Erasure, "_batch", dies)
    with pytest.raises(KeyboardInterrupt):
        erase.tick()
    monkeypatch.setattr(Erasure, "_batch", batch)
    with db.read_all() as session:
        left = session.get_one(Tenant, tenant_id)
        assert (left.client_key, left.base_url) == (f"erased:{tenant_id}", "")
    again = tenant_in(db, client_key="the-site")
    one_of_each(db, again, clock.now())
    assert erase.tick() == 1
    assert _tenants(db) == {again}
    assert _everything(db, again) == {1}


def test_a_site_that_comes_back_inside_the_grace_finds_its_configuration_and_after_it_begins_anew(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    site = Site(clock)
    seed_sized(site, spaces=2, pages=4)
    with house_over(site, clock, tmp_path) as house:
        descriptor = f"{house.url}/atlassian-connect.json"
        erase = Erasure(house.parts.db, clock, timedelta(days=house.parts.settings.erase_days))
        [mine] = house.parts.tenants.installed()
        found = house.api("GET", "/api/policies")
        document = found.json()
        document["statuses"][0]["name"] = "Ours"
        stored = house.api("PUT", "/api/policies", json=document, headers={"If-Match": found.headers["ETag"]})
        assert stored.ok, stored.text

        clock.advance(1)
        site.host.uninstall()
        clock.advance(timedelta(days=29))
        assert erase.tick() == 0
        site.host.install(descriptor)
        assert [each.id for each in house.parts.tenants.installed()] == [mine.id]
        assert house.api("GET", "/api/policies").json()["statuses"][0]["name"] == "Ours"

        clock.advance(1)
        site.host.uninstall()
        clock.advance(timedelta(days=31))
        assert erase.tick() == 1
        assert house.parts.tenants.by_id(mine.id) is None
        site.host.install(descriptor)
        [fresh] = house.parts.tenants.installed()
        assert fresh.id != mine.id
        assert house.api("GET", "/api/policies").json()["statuses"][0]["name"] != "Ours"
