"""The pages that the host opens, their files, the error pages, health and the API's own description."""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from addon.base import Database
from addon.sandbox.site import Site
from addon.screens import assets
from addon.screens.api.blueprint import all_operations, flask_path
from tests.screens.conftest import EVE, SAM, House, build
from tests.support.answers import typed
from tests.support.clock import VirtualClock

LISTED = [
    "/jobs",
    "/executions",
    "/executions/current",
    "/executions/{execution_id}",
    "/executions/{execution_id}/spaces",
    "/executions/{execution_id}/items",
    "/first-run",
    "/missed-slots",
    "/policies/versions",
]
PAGES = ["/jobs", "/audit-log", "/executions/0190a0b0-0000-7000-8000-000000000000", "/policies"]


def test_every_page_is_the_shell_of_its_view(house: House) -> None:
    for path in PAGES:
        answer = house.page(path)
        assert answer.status_code == 200, path
        assert f'data-view="{path}"' in answer.text
        assert "data-space-key" not in answer.text
        assert 'href="#/policies"' in answer.text
        assert answer.headers["Cache-Control"].startswith("no-store")


def test_a_spaces_page_knows_its_space_and_has_no_policies(house: House) -> None:
    answer = house.page("/space-jobs", account=SAM, spaceKey="DOCS", spaceId="1")
    assert answer.status_code == 200
    assert 'data-space-key="DOCS"' in answer.text
    assert "#/policies" not in answer.text
    assert house.page("/audit-log", account=SAM, spaceKey="DOCS").status_code == 200


def test_a_page_is_for_those_who_may(house: House) -> None:
    for path in PAGES:
        answer = house.page(path, account=EVE)
        assert answer.status_code == 403
        assert answer.content_type.startswith("text/html")
        assert "Only Confluence administrators may do this" in answer.text
    assert house.page("/space-jobs", account=EVE, spaceKey="DOCS").status_code == 403
    assert house.page("/space-jobs", account=SAM).status_code == 422


def test_a_page_opened_without_the_host_says_so_in_html(house: House) -> None:
    answer = house.app.test_client().get("/jobs", headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert answer.content_type.startswith("text/html")
    assert "<h1>" in answer.text


def test_a_space_key_that_is_markup_stays_text(house: House) -> None:
    answer = house.page("/space-jobs", spaceKey='"><script>alert(1)</script>')
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text


def test_the_policy_on_scripts_and_styles_is_strict_and_kept(house: House) -> None:
    answer = house.page("/jobs")
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert re.search(r"<script(?![^>]* src=)", answer.text) is None
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    for path in assets.STATIC.glob("*.js"):
        source = path.read_text()
        assert "innerHTML" not in source, path.name
        assert "insertAdjacentHTML" not in source, path.name
        assert "document.write" not in source, path.name


def test_static_files_are_kept_forever_under_their_version_only(house: House) -> None:
    client = house.app.test_client()
    for name in ("steward.js", "steward.css"):
        with client.get(f"/static/{assets.version()}/{name}") as answer:
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
        with client.get(f"/static/old/{name}") as old:
            assert "immutable" not in old.headers["Cache-Control"]
    assert client.get(f"/static/{assets.version()}/../__init__.py").status_code == 404
    assert client.get(f"/static/{assets.version()}/nothing.js").status_code == 404


def test_unknown_addresses_and_methods_are_problems(house: House) -> None:
    client = house.app.test_client()
    for method, path, status in [("GET", "/api/nothing", 404), ("DELETE", "/api/jobs", 405), ("GET", "/nothing", 404)]:
        answer = client.open(path, method=method)
        assert answer.status_code == status
        assert answer.content_type == "application/problem+json"


def test_a_bug_is_a_problem_with_a_reference_and_nothing_of_the_inside(house: House) -> None:
    def call(*_args: object, **_named: object) -> None:
        raise RuntimeError("secret inside")

    house.parts.policies.current = call  # type: ignore[method-assign, assignment]
    answer = house.get("/policies")
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert "secret inside" not in answer.text
    assert answer.json["reference"] in answer.json["detail"]


def test_the_openapi_document_is_valid_and_complete(house: House) -> None:
    described = typed(house.app.test_client().get("/api/openapi.json")).json
    OpenAPIV31SpecValidator(described).validate()
    routes = {
        (method.lower(), str(rule))
        for rule in house.app.url_map.iter_rules()
        for method in rule.methods or ()
        if str(rule).startswith("/api/") and str(rule) != "/api/openapi.json" and method not in ("HEAD", "OPTIONS")
    }
    listed = {(method, "/api" + path.replace("{", "<").replace("}", ">"))
              for path, operations in described["paths"].items() for method in operations}  # fmt: skip
    assert listed == routes
    assert all(flask_path(each).startswith("/") for each in all_operations())
    execution = described["components"]["schemas"]["Execution"]["properties"]
    for name in ("id", "job", "scope", "spaceKey", "trigger", "status", "dryRun", "startedBy", "startedAt", "endedAt",
                 "retryOf", "attempt", "progress", "paused", "metrics"):  # fmt: skip
        assert name in execution


def test_answers_are_what_the_openapi_document_says(house: House) -> None:
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    described = typed(house.app.test_client().get("/api/openapi.json")).json
    registry = Registry().with_resource("urn:api", DRAFT202012.create_resource(described))
    execution = house.run()
    for path in LISTED:
        schema = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = house.get(path.replace("{execution_id}", execution))
        validator = Draft202012Validator({"$ref": f"urn:api{schema['$ref']}"}, registry=registry)
        validator.validate(answer.json)


def test_health(house: House) -> None:
    client = house.app.test_client()
    assert client.get("/healthz").status_code == 200
    waiting = typed(client.get("/readyz"))
    assert waiting.status_code == 503
    assert waiting.json["checks"]["database"] == "ok"
    assert client.get("/metrics").status_code == 404


@pytest.mark.usefixtures("sandbox_server")
def test_metrics_need_the_configured_token(database: Database, clock: VirtualClock, site: Site) -> None:
    house = build(database, clock, site, metrics_token="scrape")
    house.run()
    client = house.app.test_client()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    numbers = client.get("/metrics", headers={"Authorization": "Bearer scrape"})
    assert numbers.status_code == 200
    assert 'steward_executions{job="refresh-statuses",status="successful"} 1.0' in numbers.text
    assert "steward_tenants_installed 1.0" in numbers.text
