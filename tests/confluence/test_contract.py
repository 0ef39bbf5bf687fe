"""Every request the client makes is one that Atlassian's published specs know, and our answers in tests are theirs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import responses
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from addon.base import TenantId
from addon.confluence import APPROVED_ENDPOINTS, ENDPOINTS, Confluence, SiteClient
from addon.confluence.content import Property

SPECS = Path(__file__).parents[3] / "shared" / "openapi"
TENANT = TenantId("0192f000-0000-7000-8000-000000000001")

pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="Atlassian's published specifications are not there")


@cache
def spec(version: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SPECS / f"confluence-{version}.json").read_text())
    # The test's site is not among the servers; the specs' own paths begin at the host.
    loaded["servers"] = [{"url": "https://one.atlassian.net"}]
    return loaded


@cache
def checker(version: str) -> OpenAPI:
    return OpenAPI.from_dict(spec(version), config=Config(spec_validator_cls=None))


CONTENT = {"id": "12", "type": "page", "status": "current", "title": "T", "_links": {}}
PROPERTY = {"id": "5", "key": "steward-status", "value": {"id": "x"}, "version": {"number": 2}}
TASK = {
    "id": "t-1",
    "name": {"key": "archive", "args": []},
    "elapsedTime": 1,
    "percentageComplete": 100,
    "successful": True,
    "finished": True,
    "messages": [],
    "_links": {},
}
SEARCHED = {
    "results": [],
    "start": 0,
    "limit": 0,
    "size": 0,
    "totalSize": 3,
    "cqlQuery": "type = page",
    "searchDuration": 1,
    "_links": {},
}
GROUP = {"type": "group", "name": "staff", "id": "g-1"}
RESTRICTIONS = {
    "read": {
        "operation": "read",
        "restrictions": {name: {"results": [], "start": 0, "limit": 100, "size": 0} for name in ("user", "group")},
        "_expandable": {},
        "_links": {},
    }
}
RESTRICTIONS["update"] = RESTRICTIONS["read"] | {"operation": "update"}
ADMINISTER = {"key": "administer", "targetType": "space"}
ANSWERS: dict[tuple[str, str], tuple[int, Any]] = {
    ("GET", "/wiki/api/v2/spaces"): (200, {"results": [{"id": "9", "key": "A", "name": "A"}], "_links": {}}),
    ("GET", "/wiki/api/v2/spaces/9/permissions"): (
        200,
        {
            "results": [
                {"id": "1", "principal": {"type": "group", "id": "g-2"}, "operation": ADMINISTER},
                {"id": "2", "principal": {"type": "role", "id": "r-1"}, "operation": ADMINISTER},
            ]
        },
    ),
    ("GET", "/wiki/api/v2/spaces/9/role-assignments"): (
        200,
        {"results": [{"principal": {"principalType": "GROUP", "principalId": "g-9"}, "roleId": "r-1"}]},
    ),
    ("GET", "/wiki/api/v2/space-role-mode"): (200, {"mode": "ROLES"}),
    ("GET", "/wiki/api/v2/space-roles"): (
        200,
        {"results": [{"id": "r-1", "type": "SYSTEM", "name": "Admin", "spacePermissions": ["manage-everything"]}]},
    ),
    ("GET", "/wiki/rest/api/content/search"): (200, {"results": [CONTENT], "size": 1, "_links": {}}),
    ("GET", "/wiki/rest/api/search"): (200, SEARCHED),
    ("GET", "/wiki/api/v2/pages/12/direct-children"): (200, {"results": []}),
    ("GET", "/wiki/api/v2/pages/12/ancestors"): (200, {"results": [{"id": "1", "type": "page"}]}),
    ("GET", "/wiki/rest/api/content/12/restriction/byOperation"): (200, RESTRICTIONS),
    ("POST", "/wiki/rest/api/content/12/permission/check"): (200, {"hasPermission": True}),
    ("POST", "/wiki/rest/api/content/archive"): (202, {"id": "t-1", "links": {}}),
    ("GET", "/wiki/rest/api/longtask/t-1"): (200, TASK),
    ("POST", "/wiki/api/v2/users-bulk"): (200, {"results": [{"accountId": "u-1", "displayName": "U"}]}),
    ("GET", "/wiki/rest/api/user"): (200, {"type": "known", "accountId": "u-1", "operations": []}),
    ("GET", "/wiki/rest/api/user/memberof"): (
        200,
        {"results": [GROUP], "start": 0, "limit": 200, "size": 1, "_links": {}},
    ),
    ("GET", "/wiki/rest/api/user/email/bulk"): (200, [{"accountId": "u-1", "email": "u@x.test"}]),
    ("GET", "/wiki/rest/api/settings/systemInfo"): (200, {"cloudId": "c", "commitHash": "h"}),
}
for group_id in ("g-1", "g-2", "g-9"):
    ANSWERS["GET", f"/wiki/rest/api/group/{group_id}/membersByGroupId"] = (
        200,
        {"results": [{"type": "known", "accountId": "u-1"}], "start": 0, "limit": 200, "size": 1},
    )
for plural in ("pages", "blogposts"):
    base = f"/wiki/api/v2/{plural}"
    ANSWERS |= {
        ("GET", base): (200, {"results": [{"id": "12", "status": "current", "title": "T"}]}),
        ("GET", f"{base}/12/properties"): (200, {"results": [PROPERTY]}),
        ("POST", f"{base}/12/properties"): (200, PROPERTY),
        ("PUT", f"{base}/12/properties/5"): (200, PROPERTY),
        ("DELETE", f"{base}/12/properties/5"): (204, None),
        ("DELETE", f"{base}/12"): (204, None),
    }


def operation_of(version: str, method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return the spec's path and operation for a requested path."""
    pieces = path.split("/")
    candidates = []
    for template, item in spec(version)["paths"].items():
        parts = template.split("/")
        if len(parts) == len(pieces) and all(p == q or p.startswith("{") for p, q in zip(parts, pieces, strict=True)):
            candidates.append((sum(part.startswith("{") for part in parts), template, item))
    _places, template, item = min(candidates, key=lambda candidate: candidate[0])
    return template, {**item[method.lower()], "shared": item.get("parameters", [])}


def parameter_names(version: str, operation: dict[str, Any]) -> set[str]:
    known = spec(version)["components"].get("parameters", {})
    listed = [*operation.get("parameters", []), *operation["shared"]]
    resolved = [known[entry["$ref"].rsplit("/", 1)[-1]] if "$ref" in entry else entry for entry in listed]
    return {entry["name"] for entry in resolved if entry["in"] == "query"}


@pytest.fixture
def recorded(web: responses.RequestsMock) -> list[tuple[requests.PreparedRequest, int, Any]]:
    seen: list[tuple[requests.PreparedRequest, int, Any]] = []

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        status, body = ANSWERS[str(request.method), urlsplit(str(request.url)).path]
        seen.append((request, status, body))
        return status, {"Content-Type": "application/json"}, "" if body is None else json.dumps(body)

    for method, path in ANSWERS:
        web.add_callback(method, f"https://one.atlassian.net{path}", callback=answer)
    return seen


def every_call(client: SiteClient) -> None:
    """Make each call with every parameter it can have."""
    client.spaces()
    client.spaces(keys=["A", "~557058:x"], labels=["keep"])
    client.spaces(ids=["9"])
    expand = ["history", "history.lastUpdated", "version", "space", "ancestors", "metadata.labels"]
    list(client.search("type = page", expand=[*expand, "metadata.properties.steward-status"], statuses=["archived"]))
    list(client.search('title ~ "ü & co + ? #"'))
    client.count("type = page")
    for kind in ("page", "blogpost"):
        client.contents(kind, ["12", "13"])
        client.property(kind, "12", "steward-status")
        client.create_property(kind, "12", "steward-status", {"id": "x"})
        client.update_property(kind, "12", Property("5", "steward-status", None, 1), {"id": "x"})
        client.delete_property(kind, "12", "5")
        client.trash(kind, "12")
    client.has_children("12")
    client.ancestors("12")
    client.read_restricted("12")
    client.restrictions("12")
    client.may("u-1", "12", "update")
    client.archive(["12"])
    client.long_task("t-1")
    client.users(["u-1"])
    client.groups_of("u-1")
    client.system_info()
    client.is_site_admin("u-1")
    client.is_space_admin("u-2", "9")
    client.space_admins("9")


def version_of(request: requests.PreparedRequest) -> str:
    return "v2" if "/wiki/api/v2/" in str(request.url) else "v1"


def test_every_request_and_every_answer_of_these_tests_fits_the_published_specs(
    make_confluence: Any, recorded: list[tuple[requests.PreparedRequest, int, Any]]
) -> None:
    confluence: Confluence = make_confluence(email_api=True)
    with confluence.client(TENANT) as client:
        every_call(client)
    made = set()
    for request, status, body in recorded:
        version = version_of(request)
        parts = urlsplit(str(request.url))
        template, operation = operation_of(version, str(request.method), parts.path)
        made.add((request.method, template))
        sent = {name for name, _value in parse_qsl(parts.query)}
        assert sent <= parameter_names(version, operation), f"{request.method} {template}"
        wire = requests.Request(str(request.method), request.url, data=request.body, headers=dict(request.headers))
        checker(version).validate_request(RequestsOpenAPIRequest(wire))
        if body is not None:
            reply = requests.Response()
            reply.status_code, reply._content = status, json.dumps(body).encode()
            reply.headers["Content-Type"] = "application/json"
            checker(version).validate_response(RequestsOpenAPIRequest(wire), RequestsOpenAPIResponse(reply))
    assert made == {tuple(call) for call in (*ENDPOINTS, *APPROVED_ENDPOINTS)}


def test_no_call_is_deprecated() -> None:
    for method, path in (*ENDPOINTS, *APPROVED_ENDPOINTS):
        version = "v2" if path.startswith("/wiki/api/v2/") else "v1"
        operation = spec(version)["paths"][path][method.lower()]
        assert not operation.get("deprecated"), f"{method} {path}"
