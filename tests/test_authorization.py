"""Who may call what: every operation of the API and every page, by everybody who could try, against the running server.

The operations come from the server's own OpenAPI document and the pages from its routes: a new one fails here until it
has its rows, and one that takes a space's key until it has rows with and without it.
"""

# ruff: noqa: F811  (fixtures that are imported)

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import requests

from addon.connect.route_access import audience_of
from addon.sandbox.people import BOT
from tests.support.neighbours import Neighbours, neighbours  # noqa: F401  (fixture)

PEOPLE = {"site administrator": "u-admin", "space administrator": "u-sam", "elsewhere": "u-tom", "plain": "u-eve"}
"""u-sam administers DOCS, u-tom administers ENG."""
SITE = {"site administrator"}
HERE = SITE | {"space administrator"}
EVERYBODY = set(PEOPLE)


@dataclass(frozen=True)
class Row:
    """One way to call one operation: who is let in, and with which status everybody else is refused."""

    label: str
    may: set[str]
    about: str = ""
    """Which execution or content the path names."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    refused: int | Mapping[str, int] = 403

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.label, self.about, urlencode(self.query), str(self.body or ""))))

    def expected(self, person: str) -> int | None:
        """The status of a refusal, None for who is let in."""
        if person in self.may:
            return None
        return self.refused if isinstance(self.refused, int) else self.refused[person]


DOCS, ENG = {"spaceKey": "DOCS"}, {"spaceKey": "ENG"}
JOB = {"job": "refresh-statuses", "scope": "site"}
AGAIN = {"job": "send-notifications", "scope": "space", "spaceKey": "DOCS", "again": True}
SEEN = {"key": "DOCS", "ids": ["1"]}


def scoped(label: str) -> list[Row]:
    return [Row(label, SITE), Row(label, HERE, query=DOCS), Row(label, SITE | {"elsewhere"}, query=ENG)]


def of_an_execution(label: str) -> list[Row]:
    """By its own scope; through a space that it has nothing to do with it does not exist."""
    strange = {"site administrator": 404, "space administrator": 403, "elsewhere": 404, "plain": 403}
    return [
        Row(label, SITE, "site run"),
        Row(label, HERE, "run of DOCS"),
        Row(label, HERE, "run of DOCS", query=DOCS),
        Row(label, set(), "run of DOCS", query=ENG, refused=strange),
        Row(label, set(), "no run", refused=404),
    ]


ROWS = [
    *scoped("GET /jobs"),
    Row("POST /hold", SITE, body={"on": False}),
    Row("POST /executions", SITE, body=JOB),
    Row("POST /executions", HERE, body=JOB | {"scope": "space"} | DOCS),
    Row("POST /executions", SITE, body=AGAIN),
    *scoped("GET /executions"),
    *scoped("GET /executions/current"),
    *of_an_execution("GET /executions/{execution_id}"),
    *of_an_execution("GET /executions/{execution_id}/spaces"),
    *of_an_execution("GET /executions/{execution_id}/items"),
    *of_an_execution("POST /executions/{execution_id}/cancel"),
    *of_an_execution("POST /executions/{execution_id}/retry"),
    Row("GET /policies", SITE),
    Row("PUT /policies", SITE, body={}),
    Row("GET /policies/factory", SITE),
    Row("GET /policies/versions", SITE),
    Row("POST /cql-checks", SITE, body={"cql": "label = x", "kind": "status"}),
    Row("GET /first-run", SITE),
    Row("POST /first-run", SITE, body={"spaces": "all"}),
    Row("GET /not-included", SITE),
    Row("POST /included-spaces", SITE, body={"keys": ["DOCS"]}),
    Row("GET /content/{content_id}/status", EVERYBODY, "open page"),
    Row("GET /content/{content_id}/status", {"space administrator"}, "page of Sam's", refused=404),
    Row("GET /content/{content_id}/status", set(), "no page", refused=404),
    Row("POST /content/{content_id}/refresh", EVERYBODY, "open page"),
    Row("POST /content/{content_id}/refresh", {"space administrator"}, "page of Sam's", refused=404),
    Row("PUT /content/{content_id}/review", {"plain"}, "page that Eve edits", body={"keep": False}),
    Row(
        "PUT /content/{content_id}/review", {"space administrator"}, "page of Sam's", body={"keep": False}, refused=404
    ),
    Row("GET /indicator", SITE),
    Row("GET /quota", SITE),
    *scoped("GET /overview"),
    Row("POST /overview/seen", SITE, body=SEEN),
    Row("POST /overview/seen", HERE, body=SEEN | DOCS),
    Row("GET /missed-slots", SITE),
]
PAGES = [
    Row("/jobs", SITE),
    Row("/space-jobs", HERE, query=DOCS),
    Row("/space-jobs", SITE | {"elsewhere"}, query=ENG),
    Row("/audit-log", SITE),
    Row("/audit-log", HERE, query=DOCS),
    Row("/executions/<execution_id>", SITE, "run of DOCS"),
    Row("/executions/<execution_id>", HERE, "run of DOCS", query=DOCS),
    Row("/policies", SITE),
    Row("/byline", EVERYBODY, query={"contentId": "1"}),
]
"""The byline's page says nothing of its content: its script asks the API."""


class Doors:
    """The server, and what the rows are about."""

    def __init__(self, sites: Neighbours) -> None:
        self.sites = sites
        site = sites.ours
        site.add_user("u-tom", "Tom Elsewhere")
        site.access.grant(site.space("ENG").id, "user", "u-tom", "administer", "space")
        page = {content.title: content.id for content in site.contents()}
        site.restrict(page["Guide: old part"], users=["u-sam", BOT])
        site.restrict(page["Fresh page"], users=["u-eve", BOT], operation="update")
        self.ids = {
            "site run": sites.execution(site),
            "run of DOCS": self._run_of_docs(),
            "no run": "0190a0b0-0000-7000-8000-000000000000",
            "open page": page["Guide"],
            "page of Sam's": page["Guide: old part"],
            "page that Eve edits": page["Fresh page"],
            "no page": "999999999",
        }

    def _run_of_docs(self) -> str:
        body = JOB | {"scope": "space"} | DOCS
        started = self.sites.call(self.sites.ours, "POST", "/api/executions", json=body).json()["id"]
        self.sites.call(self.sites.ours, "POST", f"/api/executions/{started}/cancel")
        return str(started)

    def path(self, row: Row) -> str:
        path = row.label.rpartition(" ")[2]
        for name in ("{execution_id}", "{content_id}", "<execution_id>"):
            path = path.replace(name, self.ids.get(row.about, ""))
        return path

    def call(self, row: Row, token: str | None) -> requests.Response:
        method = row.label.partition(" ")[0]
        headers = {"If-Match": '"1"'} | ({} if token is None else {"Authorization": f"JWT {token}"})
        url = f"{self.sites.url}/api{self.path(row)}"
        return requests.request(method, url, params=row.query, json=row.body, headers=headers, timeout=30)

    def page(self, row: Row, account: str | None) -> requests.Response:
        host, path, query = self.sites.ours.host, self.path(row), urlencode(row.query)
        token = host.token(host.addon(), "GET", path, query, account)
        return requests.get(f"{self.sites.url}{path}?{query}&jwt={token}", headers={"Accept": "text/html"}, timeout=30)


@pytest.fixture(scope="module")
def doors(neighbours: Neighbours) -> Doors:
    return Doors(neighbours)


def described(doors: Doors) -> dict[str, Any]:
    document = requests.get(f"{doors.sites.url}/api/openapi.json", timeout=20).json()
    schemas = document["components"]["schemas"]
    found = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            names = {each["name"] for each in operation.get("parameters", ())}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            names |= set(schemas.get(body.get("$ref", "").rpartition("/")[2], body).get("properties", ()))
            found[f"{method.upper()} {path}"] = names
    return found


def test_every_operation_and_every_page_has_its_rows(doors: Doors) -> None:
    operations = described(doors)
    assert {row.label for row in ROWS} == set(operations)
    keyed = {row.label for row in ROWS if "spaceKey" in {**row.query, **(row.body or {})}}
    assert keyed == {label for label, names in operations.items() if "spaceKey" in names}
    routes = doors.sites.app.url_map.iter_rules()
    assert {row.label for row in PAGES} == {
        route.rule for route in routes if audience_of(doors.sites.app, route.endpoint) == "page"
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_operation_lets_in_whom_its_row_names(doors: Doors, row: Row) -> None:
    for person, account in PEOPLE.items():
        answer = doors.call(row, doors.sites.ours.host.context_token(account))
        expected = row.expected(person)
        if expected is not None:
            assert answer.status_code == expected, f"{person}: {answer.text}"
        else:
            assert answer.status_code not in (401, 403, 404), f"{person}: {answer.text}"
            assert answer.status_code < 500, f"{person}: {answer.text}"
            assert answer.status_code == 200 or not row.label.startswith("GET"), f"{person}: {answer.text}"


@pytest.mark.parametrize("row", PAGES, ids=lambda row: row.name)
def test_a_page_opens_for_whom_its_row_names(doors: Doors, row: Row) -> None:
    for person, account in PEOPLE.items():
        answer = doors.page(row, account)
        assert answer.status_code == (row.expected(person) or 200), f"{person}: {answer.text}"
    assert doors.page(row, None).status_code == 401


def strangers(doors: Doors) -> Iterator[tuple[str, str | None]]:
    """Tokens of those whom no operation lets in."""
    ours, theirs = doors.sites.ours, doors.sites.theirs
    claims = jwt.decode(ours.host.context_token("u-admin"), options={"verify_signature": False})
    nobody = {name: value for name, value in claims.items() if name != "sub"}
    yield "no token", None
    yield "anonymous", jwt.encode(nobody, ours.host.addon().secret, "HS256")
    yield "another tenant in our name", jwt.encode(claims, theirs.host.addon().secret, "HS256")


def test_nobody_who_is_not_a_person_of_the_site_is_let_in_anywhere(doors: Doors) -> None:
    for who, token in strangers(doors):
        assert {row.name: doors.call(row, token).status_code for row in ROWS} == {row.name: 401 for row in ROWS}, who


def test_another_tenant_finds_nothing_by_our_ids(doors: Doors) -> None:
    token = doors.sites.theirs.host.context_token("u-admin")
    rows = [row for row in ROWS if row.about.endswith("run") or row.about.endswith("run of DOCS")]
    assert {doors.call(row, token).status_code for row in rows} == {404}


def test_a_site_that_disabled_or_uninstalled_the_app_is_let_in_nowhere(doors: Doors) -> None:
    host = doors.sites.theirs.host
    token = host.context_token("u-admin")
    assert doors.call(ROWS[0], token).status_code == 200
    closed = {row.name: 401 for row in ROWS}
    host.switch(enabled=False)
    try:
        assert {row.name: doors.call(row, token).status_code for row in ROWS} == closed
    finally:
        host.switch(enabled=True)
    assert doors.call(ROWS[0], token).status_code == 200
    host.uninstall()
    try:
        assert {row.name: doors.call(row, token).status_code for row in ROWS} == closed
    finally:
        host.install(f"{doors.sites.url}/atlassian-connect.json")
