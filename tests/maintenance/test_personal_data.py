"""What is held about a person is known column by column, and goes when the person goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId, metadata
from addon.engine.models import AuditEvent, JobExecution
from addon.mail import forget_greetings
from addon.mail.models import OutboxMail
from addon.maintenance.personal_data import ACCOUNT_COLUMNS, accounts_stored, erase_person
from addon.policies.models import PolicyVersion
from addon.sandbox.seed import seed_demo
from addon.sandbox.site import ADMIN, Site
from tests.support.clock import VirtualClock
from tests.support.house import house_over
from tests.support.rows import one_of_each

EVE = "712020:eve-0001"
TenantIn = Callable[..., TenantId]
HERS = {column.replace(".", "__"): EVE for column in ACCOUNT_COLUMNS}
RULE = {"recipients": ["author", {"user": EVE}, {"group": EVE}], "cql": f'creator = "{EVE}"'}


def _fill(db: Database, tenant_id: TenantId, clock: VirtualClock, **changes: Any) -> None:
    given: dict[str, Any] = {
        **HERS,
        "audit_event__actor_type": "user",
        "job_execution__cancel_requested_at": clock.now(),
        "policy_version__document": {"notificationSchemes": [{"rules": [RULE]}]},
        "outbox__dedupe_key": f"{tenant_id}:execution:{EVE}",
        "outbox__subject": "for Eve",
        "outbox__text": "Hello Eve",
        "outbox__html": "<p>Hello Eve</p>",
    }
    one_of_each(db, tenant_id, clock.now(), **given | changes)


def _dump(db: Database, tenant_id: TenantId) -> str:
    """Every value of every row of a tenant, as text."""
    with db.read_all() as session:
        tables = [table for table in metadata.sorted_tables if "tenant_id" in table.c]
        rows = [session.execute(sa.select(table).where(table.c.tenant_id == tenant_id)).all() for table in tables]
        return repr(rows)


def test_every_column_with_account_ids_is_listed() -> None:
    listed = set(ACCOUNT_COLUMNS)
    found = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.String) and column.type.length == 128
    }
    assert found == listed | {"account_report.account_id"}, "account ids are String(128), and nothing else is"


def test_erasing_a_person_leaves_no_trace_in_this_tenant_and_every_trace_in_the_others(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    mine, other = tenant_in(db), tenant_in(db)
    for tenant_id in (mine, other):
        _fill(db, tenant_id, clock)
    others = _dump(db, other)
    for _ in range(2):
        with db.write(mine) as session:
            erase_person(session, mine, EVE, clock.now())
    left = _dump(db, mine)
    assert "Eve" not in left
    assert left.count(EVE) == 2, "a group's id and an administrator's CQL are no account columns"
    assert "'user': 'removed-user'" in left
    assert _dump(db, other) == others


def test_an_execution_that_ended_is_kept_and_nothing_else_of_it_may_change(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    tenant_id = tenant_in(db)
    _fill(db, tenant_id, clock)
    with db.write(tenant_id) as session:
        erase_person(session, tenant_id, EVE, clock.now())
    with db.read(tenant_id) as session:
        row = session.scalars(sa.select(JobExecution)).one()
        assert (row.status, row.started_by, row.cancel_requested_by) == ("failed", None, None)
    for change in ({"started_by": "u-forged"}, {"cancel_requested_by": "u-forged"}, {"error": "other"}):
        with pytest.raises(sa.exc.DBAPIError, match="never changes"), db.write(tenant_id) as session:
            session.execute(sa.update(JobExecution).values(**change))


def test_a_waiting_mail_is_not_sent_and_counted_as_suppressed(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    tenant_id = tenant_in(db)
    _fill(db, tenant_id, clock, outbox__state="pending", outbox__ended_at=None)
    with db.write(tenant_id) as session:
        erase_person(session, tenant_id, EVE, clock.now())
    with db.read(tenant_id) as session:
        mail = session.scalars(sa.select(OutboxMail)).one()
        assert (mail.state, mail.account_id, mail.text, mail.ended_at) == (
            "suppressed",
            "removed-user",
            "",
            clock.now(),
        )


def test_the_accounts_held_are_those_of_installed_sites_with_the_newest_time(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    begun = clock.now()
    mine, gone = tenant_in(db), tenant_in(db, uninstalled=True)
    _fill(db, mine, clock, job_execution__cancel_requested_by="uninstall", lane__hold_by="u-holder")
    _fill(db, gone, clock, lane__hold_by="u-gone")
    clock.advance(60)
    with db.write_all() as session:
        for seq, (kind, who) in enumerate([("user", EVE), ("runner", "a-worker"), ("user", "unknown")], start=50):
            at = clock.now()
            session.add(
                AuditEvent(id=f"e{seq}", tenant_id=mine, seq=seq, at=at, actor_type=kind, actor_id=who, tag="t")
            )
        held = accounts_stored(session)
    assert {who: (holding.tenant_id, holding.at) for who, holding in held.items()} == {
        EVE: (mine, clock.now()),
        "u-holder": (mine, begun),
    }


def test_a_changed_name_goes_from_the_texts_of_mails_that_ended(
    db: Database, clock: VirtualClock, tenant_in: TenantIn
) -> None:
    tenant_id = tenant_in(db)
    _fill(db, tenant_id, clock)
    with db.write_all() as session:
        forget_greetings(session, EVE)
    assert "Eve" not in _dump(db, tenant_id)
    assert EVE in _dump(db, tenant_id)


def test_a_person_removed_from_the_site_is_erased_by_its_webhook_and_the_screens_go_on(tmp_path: Path) -> None:
    clock = VirtualClock()
    site = Site(clock)
    seed_demo(site)
    with house_over(site, clock, tmp_path) as house:
        assert house.run("refresh-statuses")["status"] == "successful"
        found = house.api("GET", "/api/policies")
        document = found.json()
        rule = document["notificationSchemes"][0]["rules"][0]
        rule["enabled"], rule["recipients"] = True, [{"user": ADMIN}]
        stored = house.api("PUT", "/api/policies", json=document, headers={"If-Match": found.headers["ETag"]})
        assert stored.ok, stored.text
        assert house.run("send-notifications")["metrics"]["emailsSent"] == 1
        [tenant] = house.parts.tenants.installed()
        assert ADMIN in _dump(house.parts.db, tenant.id)

        assert site.host.send_webhook("user_removed", {"user": {"accountId": ADMIN}}) == [204]
        assert ADMIN not in _dump(house.parts.db, tenant.id)
        assert all(each["startedBy"] is None for each in house.executions())
        for path in ("/api/jobs", "/api/policies"):
            assert house.api("GET", path).ok
        ended = house.run("send-notifications")
        assert (ended["status"], ended["metrics"]["emailsSent"]) == ("successful", 0)
        with house.parts.db.read(tenant.id) as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(PolicyVersion)) == 2
