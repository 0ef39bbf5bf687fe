"""Two tenants in one database: by construction no session of one reaches a row of the other, and no route does.

A new table or a new route with an id fails here until somebody has looked at it.
"""

# ruff: noqa: F811  (fixtures that are imported)

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import Database, TenantId, metadata
from addon.base.database import Base, ForeignTenant, TenantScoped
from addon.connect.route_access import audience_of
from tests.support.clock import VirtualClock
from tests.support.neighbours import Neighbours, neighbours  # noqa: F401  (fixture)
from tests.support.rows import one_of_each

SHARED = {
    "tenant": "the tenants themselves; read by id or clientKey in addon/connect only",
    "quota_hour": "points of one hour; its scope is a tenant's id or the pool of all",
    "worker": "the processes of this installation",
    "account_report": "account ids reported to Atlassian, the same on every site",
    "report_cycle": "when that report is due again",
    "spent_token": "hashes of install tokens that were used; they name no tenant and go when the tokens expire",
}
"""Tables that belong to no one tenant, and why."""
SCOPED: list[Any] = sorted(
    (mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantScoped)),
    key=lambda model: model.__tablename__,
)


def test_every_table_belongs_to_one_tenant_or_is_on_the_reviewed_list() -> None:
    assert {model.__tablename__ for model in SCOPED} | set(SHARED) == set(metadata.tables)
    assert not {model.__tablename__ for model in SCOPED} & set(SHARED)
    for model in SCOPED:
        column = model.__table__.c.tenant_id
        assert not column.nullable, model
        assert {key.target_fullname for key in column.foreign_keys} == {"tenant.id"}, model
    for name in SHARED:
        assert name == "tenant" or "tenant_id" not in metadata.tables[name].c, name


@pytest.fixture
def both(database: Database, new_tenant: Any, clock: VirtualClock) -> tuple[TenantId, TenantId]:
    """Two tenants with a row in every table."""
    ours, theirs = new_tenant(), new_tenant("https://two.atlassian.net/wiki")
    for tenant_id in (ours, theirs):
        one_of_each(database, tenant_id, clock.now())
    return ours, theirs


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model.__tablename__)
def test_a_tenants_session_reaches_no_row_of_another(
    database: Database, both: tuple[TenantId, TenantId], model: Any
) -> None:
    ours, theirs = both
    with database.read_all() as session:
        foreign = session.scalars(sa.select(model).where(model.tenant_id == theirs)).first()
        assert foreign is not None
        key = sa.inspect(model).primary_key_from_instance(foreign)
    with database.read(ours) as session:
        assert {row.tenant_id for row in session.scalars(sa.select(model))} == {ours}
        assert set(session.scalars(sa.select(model.tenant_id))) == {ours}
        assert session.scalar(sa.select(sa.func.count()).select_from(model).where(model.tenant_id == theirs)) == 0
        alias = orm.aliased(model)
        assert {row.tenant_id for row in session.scalars(sa.select(alias))} == {ours}
        assert session.get(model, tuple(key)) is None
    with database.write(ours) as session:
        changed: Any = session.execute(sa.update(model).where(model.tenant_id == theirs).values(tenant_id=ours))
        removed: Any = session.execute(sa.delete(model).where(model.tenant_id == theirs))
        assert (changed.rowcount, removed.rowcount) == (0, 0)
    with pytest.raises(ForeignTenant), database.write(ours) as session:  # noqa: PT012
        orm.make_transient(foreign)
        session.add(foreign)
        session.flush()
    with database.read_all() as session:
        assert (
            session.scalars(sa.select(sa.func.count()).select_from(model).where(model.tenant_id == theirs)).one() >= 1
        )


UNKNOWN = "0190a0b0-0000-7000-8000-000000000000"
NOT_FOUND = [
    "GET /api/executions/<execution_id>",
    "GET /api/executions/<execution_id>/spaces",
    "GET /api/executions/<execution_id>/items",
    "POST /api/executions/<execution_id>/cancel",
    "POST /api/executions/<execution_id>/retry",
]
"""Routes with an id: of another tenant's it is not found."""
SHELLS = ["GET /executions/<execution_id>"]
"""Pages that look nothing up: the script on them asks the API."""
NO_IDS = ["GET /static/<version>/<path:name>", "GET /status-icons/<name>"]
CONTENTS = [
    "GET /api/content/<content_id>/status",
    "POST /api/content/<content_id>/refresh",
    "PUT /api/content/<content_id>/review",
]
"""Routes with an id of Confluence's: the same number is another content on every site."""


def test_every_route_with_an_id_has_its_case_here(neighbours: Neighbours) -> None:
    with_ids = {
        f"{method} {route.rule}"
        for route in neighbours.app.url_map.iter_rules()
        if route.arguments
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert with_ids == {*NOT_FOUND, *SHELLS, *NO_IDS, *CONTENTS}
    assert all(
        audience_of(neighbours.app, route.endpoint) in ("page", "api")
        for route in neighbours.app.url_map.iter_rules()
        if {"execution_id", "content_id"} & route.arguments
    )


@pytest.mark.parametrize("route", NOT_FOUND)
@pytest.mark.parametrize("query", ["", "?spaceKey=DOCS"], ids=["site", "space"])
def test_another_tenants_ids_are_not_found(neighbours: Neighbours, route: str, query: str) -> None:
    """As if they did not exist: the answers to another's and to an invented id differ in nothing."""
    method, _, rule = route.partition(" ")
    theirs = neighbours.execution(neighbours.theirs, end=False)
    try:
        answers = []
        for execution_id in (theirs, UNKNOWN):
            path = rule.replace("<execution_id>", execution_id) + query
            answer = neighbours.call(neighbours.ours, method, path)
            assert answer.status_code == 404, answer.text
            answers.append(answer.json())
        assert answers[0] == answers[1]
        seen = neighbours.call(neighbours.theirs, "GET", f"/api/executions/{theirs}")
        assert (seen.status_code, seen.json()["status"]) == (200, "running")
    finally:
        neighbours.call(neighbours.theirs, "POST", f"/api/executions/{theirs}/cancel")


@pytest.mark.parametrize("route", CONTENTS)
def test_another_tenants_content_is_not_found_and_not_touched(neighbours: Neighbours, route: str) -> None:
    method, _, rule = route.partition(" ")
    with neighbours.theirs.lock:
        theirs = neighbours.theirs.add_page("DOCS", "Only there", body="secret")
    for content_id in (theirs.id, "999999999"):
        answer = neighbours.call(
            neighbours.ours, method, rule.replace("<content_id>", content_id), json={"stillValid": True}
        )
        assert answer.status_code == 404, answer.text
        assert "Only there" not in answer.text
    assert neighbours.theirs.get(theirs.id).properties == {}


def test_the_same_number_is_each_sites_own_content(neighbours: Neighbours) -> None:
    """Both sites number their contents alike: what one site's people say never reaches the other's page."""
    number = next(page for page in neighbours.ours.contents() if page.title == "Runbook").id
    assert neighbours.theirs.get(number).title == "Runbook"
    said = neighbours.call(neighbours.ours, "PUT", f"/api/content/{number}/review", json={"stillValid": True})
    assert said.status_code == 200, said.text
    assert "steward-review" in neighbours.ours.get(number).properties
    assert neighbours.theirs.get(number).properties == {}
    seen = neighbours.call(neighbours.theirs, "GET", f"/api/content/{number}/status").json()
    assert seen["review"]["reviewedOn"] is None


@pytest.mark.parametrize("route", SHELLS)
def test_a_page_about_another_tenants_id_says_nothing_about_it(neighbours: Neighbours, route: str) -> None:
    theirs = neighbours.execution(neighbours.theirs)
    pages = []
    for execution_id in (theirs, UNKNOWN):
        answer = neighbours.page(neighbours.ours, route.partition(" ")[2].replace("<execution_id>", execution_id))
        pages.append((answer.status_code, answer.text.replace(execution_id, "ID")))
    assert pages[0] == pages[1]


def test_lists_and_their_cursors_stay_inside_the_tenant(neighbours: Neighbours) -> None:
    ours = {neighbours.execution(neighbours.ours) for _ in range(2)}
    theirs = [neighbours.execution(neighbours.theirs) for _ in range(3)]
    listed = neighbours.call(neighbours.theirs, "GET", "/api/executions?limit=1").json()
    assert listed["items"][0]["id"] == theirs[-1]
    for query in ("", f"&cursor={listed['nextCursor']}"):
        answer = neighbours.call(neighbours.ours, "GET", f"/api/executions?limit=100{query}")
        assert answer.status_code in (200, 422), answer.text
        found = {item["id"] for item in answer.json().get("items", [])}
        assert not found & set(theirs)
        assert query or found >= ours


def test_one_tenants_run_hold_and_policies_are_nothing_to_another(neighbours: Neighbours) -> None:
    theirs = neighbours.execution(neighbours.theirs, end=False)
    assert neighbours.call(neighbours.ours, "GET", "/api/executions/current").json()["execution"] is None
    ours = neighbours.execution(neighbours.ours)
    assert ours != theirs
    assert neighbours.call(neighbours.theirs, "GET", "/api/executions/current").json()["execution"]["id"] == theirs
    neighbours.call(neighbours.theirs, "POST", f"/api/executions/{theirs}/cancel")
    before = neighbours.call(neighbours.ours, "GET", "/api/policies")
    held = neighbours.call(neighbours.theirs, "POST", "/api/hold", json={"on": True, "reason": "theirs"})
    assert held.status_code == 200, held.text
    after = neighbours.call(neighbours.ours, "GET", "/api/policies")
    assert (before.headers["ETag"], before.json()) == (after.headers["ETag"], after.json())
    assert neighbours.call(neighbours.ours, "GET", "/api/jobs").json()["hold"]["on"] is False


def test_a_site_cannot_speak_for_another(neighbours: Neighbours) -> None:
    """Signed with our secret, naming their clientKey: the tenant is found by `iss` and the signature is not theirs."""
    host = neighbours.ours.host
    kept, host.client_key = host.client_key, neighbours.theirs.host.client_key
    addon = host.addon()
    known, addon.client_key = addon.client_key, neighbours.theirs.host.client_key
    try:
        assert neighbours.call(neighbours.ours, "GET", "/api/jobs").status_code == 401
    finally:
        host.client_key, addon.client_key = kept, known
