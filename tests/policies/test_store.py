"""The policies of a tenant over time: seeding, putting, history, tombstones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from addon.base import Database, TenantId
from addon.policies import Hold, Policies, PolicyError, store
from addon.screens.problems import problem_of
from tests.support.answers import refused_with_problem
from tests.support.clock import VirtualClock
from tests.support.postgres import BOTH

NewTenant = Callable[..., TenantId]


@pytest.fixture
def policies(clock: VirtualClock) -> Policies:
    return Policies(clock, "steward")


@pytest.fixture
def tenant(new_tenant: NewTenant, database: Database, policies: Policies) -> TenantId:
    tenant_id = new_tenant()
    with database.write(tenant_id) as session:
        policies.seed(session, tenant_id)
    return tenant_id


def _data(database: Database, policies: Policies, tenant: TenantId) -> dict[str, Any]:
    with database.read(tenant) as session:
        return policies.current(session, tenant)[1].data()


def _put(database: Database, policies: Policies, tenant: TenantId, data: dict[str, Any], if_match: int) -> int:
    with database.write(tenant) as session:
        return policies.put(session, tenant, policies.check(data), if_match=if_match, by="u-admin")


def _rename(data: dict[str, Any], name: str) -> dict[str, Any]:
    return data | {"statuses": [data["statuses"][0] | {"name": name}, *data["statuses"][1:]]}


def _without_not_updated(data: dict[str, Any]) -> dict[str, Any]:
    scheme = data["statusSchemes"][0]
    entries = [entry for entry in scheme["entries"] if entry["status"] != "not-updated"]
    statuses = [status for status in data["statuses"] if status["id"] != "not-updated"]
    return data | {"statuses": statuses, "statusSchemes": [scheme | {"entries": entries}]}


def test_seeding_twice_keeps_what_is_there(database: Database, policies: Policies, tenant: TenantId) -> None:
    data = _rename(_data(database, policies, tenant), "Out of date")
    assert _put(database, policies, tenant, data, 1) == 2
    with database.write(tenant) as session:
        assert policies.seed(session, tenant) == 2
        assert policies.current(session, tenant)[1].statuses[0].name == "Out of date"


def test_a_tenant_without_policies_has_the_shipped_ones_as_version_0(
    database: Database, policies: Policies, new_tenant: NewTenant
) -> None:
    tenant = new_tenant()
    with database.read(tenant) as session:
        version, document = policies.current(session, tenant)
        assert policies.slugs(session, tenant) == {"expired", "not-updated", "up-to-date"}
        assert policies.history(session, tenant) == []
    assert version == 0
    assert document.schedules.hold.on


@BOTH
def test_each_put_appends_a_version_and_the_old_one_can_still_be_read(
    database: Database, policies: Policies, tenant: TenantId, clock: VirtualClock
) -> None:
    clock.advance(60)
    data = _rename(_data(database, policies, tenant), "Out of date")
    assert _put(database, policies, tenant, data | {"version": 77}, 1) == 2
    with database.read(tenant) as session:
        version, document = policies.current(session, tenant)
        assert (version, document.version) == (2, 2), "the version is the server's, whatever the client sent"
        assert policies.at(session, tenant, 1).statuses[0].name == "Expired"
        history = policies.history(session, tenant)
        assert [(entry.version, entry.by) for entry in history] == [(2, "u-admin"), (1, None)]
        assert history[0].at == clock.now()
        assert policies.history(session, tenant, before=2) == history[1:]
        with refused_with_problem() as missing:
            policies.at(session, tenant, 3)
    assert missing.value.status == 404


def test_who_saw_an_older_version_is_told_and_changes_nothing(
    database: Database, policies: Policies, tenant: TenantId
) -> None:
    data = _data(database, policies, tenant)
    _put(database, policies, tenant, _rename(data, "First"), 1)
    with refused_with_problem() as late:
        _put(database, policies, tenant, _rename(data, "Second"), 1)
    assert late.value.status == 412
    assert late.value.document()["currentVersion"] == 2
    assert _data(database, policies, tenant)["statuses"][0]["name"] == "First"


@BOTH
def test_of_two_puts_at_the_same_instant_one_is_accepted(
    database: Database, policies: Policies, tenant: TenantId
) -> None:
    data = _data(database, policies, tenant)
    barrier = threading.Barrier(2)
    outcomes: list[int] = []

    def put(name: str) -> None:
        barrier.wait(60)
        try:
            _put(database, policies, tenant, _rename(data, name), 1)
            outcomes.append(200)
        except PolicyError as error:
            outcomes.append(problem_of(error).status)

    threads = [threading.Thread(target=put, args=(name,)) for name in ("One", "Two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [200, 412]


@BOTH
def test_a_removed_status_id_never_comes_back(database: Database, policies: Policies, tenant: TenantId) -> None:
    before = _data(database, policies, tenant)
    assert _put(database, policies, tenant, _without_not_updated(before), 1) == 2
    with database.read(tenant) as session:
        assert policies.slugs(session, tenant) == {"expired", "not-updated", "up-to-date"}
    with refused_with_problem() as refused:
        _put(database, policies, tenant, before, 2)
    assert refused.value.status == 422
    assert [error.pointer for error in refused.value.errors] == ["/statuses/1/id"]
    assert "version 2" in refused.value.errors[0].detail
    with database.read(tenant) as session:
        assert policies.version(session, tenant) == 2


def test_one_tenants_tombstones_do_not_bind_another(
    database: Database, policies: Policies, tenant: TenantId, new_tenant: NewTenant
) -> None:
    other = new_tenant("https://two.atlassian.net/wiki")
    with database.write(other) as session:
        policies.seed(session, other)
    _put(database, policies, tenant, _without_not_updated(_data(database, policies, tenant)), 1)
    _put(database, policies, other, _rename(_data(database, policies, other), "Old"), 1)
    with database.read(other) as session:
        assert {status.id for status in policies.current(session, other)[1].statuses} >= {"not-updated"}


def test_the_hold_changes_alone_and_only_when_it_differs(
    database: Database, policies: Policies, tenant: TenantId, clock: VirtualClock
) -> None:
    before = _data(database, policies, tenant)
    hold = Hold(on=True, reason="Migration week", until=clock.now())
    with database.write(tenant) as session:
        assert policies.set_hold(session, tenant, hold, by="u-admin") == 2
        assert policies.set_hold(session, tenant, hold, by="u-admin") == 2
    after = _data(database, policies, tenant)
    assert after["schedules"]["hold"] == {"on": True, "reason": "Migration week", "until": "2026-11-22T12:00:00Z"}
    assert after | {"version": 1, "schedules": before["schedules"]} == before


def test_a_corrected_cql_is_stored_with_a_notice_and_a_refused_one_is_named(clock: VirtualClock) -> None:
    asked: list[tuple[str, bool]] = []

    def check(text: str, allow_aliases: bool) -> tuple[str, list[str]]:
        asked.append((text, allow_aliases))
        if "currentUser" in text:
            raise ValueError("currentUser() means nobody in a job")
        if " ORDER BY " in text:
            return text.partition(" ORDER BY ")[0], ["ORDER BY has no effect and was removed"]
        return text, []

    policies = Policies(clock, "steward", check_cql=check)
    data = Policies(clock).at(None, TenantId("t"), 0).data()  # type: ignore[arg-type]  # version 0 asks no database
    data["statusSchemes"][0]["entries"][0]["cql"] = "label = old ORDER BY title"
    checked = policies.check(data)
    assert checked.document.status_schemes[0].entries[0].cql == "label = old"
    assert [notice.pointer for notice in checked.notices] == ["/statusSchemes/0/entries/0/cql"]
    assert [allowed for _, allowed in asked] == [False] * 5 + [True] * 2, "statuses may not read status aliases"

    data["statusSchemes"][0]["entries"][1]["ancestorCql"] = "creator = currentUser()"
    data["automationSchemes"][0]["automations"][0]["cql"] = "creator = currentUser()"
    with refused_with_problem() as refused:
        policies.check(data)
    assert refused.value.status == 422
    assert [error.pointer for error in refused.value.errors] == [
        "/statusSchemes/0/entries/1/ancestorCql",
        "/automationSchemes/0/automations/0/cql",
    ]


def test_a_template_that_cannot_be_rendered_is_named(clock: VirtualClock) -> None:
    policies = Policies(clock, check_templates=lambda templates: [(0, "html", "nope")])
    data = Policies(clock).at(None, TenantId("t"), 0).data()  # type: ignore[arg-type]
    with refused_with_problem() as refused:
        policies.check(data)
    assert [(error.pointer, error.detail) for error in refused.value.errors] == [("/templates/0/html", "nope")]


def test_a_removed_status_ships_under_a_new_id_and_the_shipped_cql_follows(
    database: Database, policies: Policies, tenant: TenantId
) -> None:
    with database.read(tenant) as session:
        assert policies.retired(session, tenant) == set()
        assert policies.factory(session, tenant).statuses[0].id == "expired"
    scheme = {"id": "freshness", "name": "F", "default": True, "entries": [{"status": "new"}]}
    data = _data(database, policies, tenant)
    bare = data | {"statuses": [{"id": "new", "name": "New"}], "statusSchemes": [scheme]}
    _put(database, policies, tenant, bare, 1)
    with database.read(tenant) as session:
        factory = policies.factory(session, tenant)
        assert policies.retired(session, tenant) == {"expired", "not-updated", "up-to-date"}
    assert [status.id for status in factory.statuses] == ["expired-2", "not-updated-2", "up-to-date-2"]
    assert factory.automation_schemes[0].automations[0].cql.startswith('stewardStatus = "expired-2"')
    assert _put(database, policies, tenant, factory.data(), 2) == 3, "it can be put as it is"
    assert policies.check(factory).notices == ()
    with database.read(tenant) as session:
        assert policies.factory(session, tenant).statuses == factory.statuses


def test_a_rule_that_names_a_removed_status_is_accepted_with_a_notice(clock: VirtualClock) -> None:
    policies = Policies(clock, "acme")
    data = Policies(clock, "acme").at(None, TenantId("t"), 0).data()  # type: ignore[arg-type]
    rule = data["notificationSchemes"][0]["rules"][0]
    for cql, named in [
        ('acmeStatus = "gone"', "gone"),
        ("label = x and (ACMEPREVIOUSSTATUS not in (expired, 'gone'))", "gone"),
        ("acmeStatus != gone", "gone"),
        ('acmeStatus in ("expired", "up-to-date")', None),
        ('label = gone and title ~ "gone" and acmeStatusName = "gone"', None),
    ]:
        rule["cql"] = cql
        notices = policies.check(data).notices
        assert [(each.pointer, named in each.detail) for each in notices if named] == (
            [("/notificationSchemes/0/rules/0/cql", True)] if named else []
        ), cql
        assert bool(notices) == bool(named), cql


@BOTH
def test_policies_choose_spaces_since_the_version_that_began_to(
    database: Database, policies: Policies, tenant: TenantId, clock: VirtualClock
) -> None:
    def chosen(*keys: str) -> object:
        data = _data(database, policies, tenant)
        clock.advance(60)
        _put(database, policies, tenant, data | {"includedSpaces": [{"key": key} for key in keys]}, data["version"])
        with database.read(tenant) as session:
            return policies.choosing_since(session, tenant)

    assert chosen() is None
    began = chosen("DOCS")
    assert began == clock.now()
    assert chosen("DOCS", "ENG") == began
    assert chosen() is None
    assert chosen("ENG") == clock.now()


def test_policies_are_not_saved_without_end(
    database: Database, policies: Policies, tenant: TenantId, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_A_DAY", 4)  # the shipped ones are the first
    data = _data(database, policies, tenant)

    def put() -> int:
        with database.write(tenant) as session:
            before = policies.version(session, tenant)
            checked = policies.check(data | {"listLargeSpaces": bool(before % 2)})
            return policies.put(session, tenant, checked, if_match=before, by="u")

    for _ in range(3):
        put()
    with refused_with_problem() as refused:
        put()
    assert (refused.value.status, refused.value.kind) == (429, "saved-too-often")
    clock.advance(timedelta(days=1, seconds=1))
    put()
