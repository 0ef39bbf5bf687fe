"""The sandbox answers in the shapes of Atlassian's published specifications (skipped where they are not at hand)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from addon.sandbox.people import EVERYONE
from addon.sandbox.site import Site
from tests.support.site import Caller

SPECS = Path(__file__).parents[2].parent / "shared" / "openapi"
pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="Atlassian's specifications are not next to the project")

EXPAND = (
    "history.lastUpdated,history.contributors,version,space,ancestors,metadata.labels,"
    "metadata.properties.steward-status,childTypes.page,restrictions.read.restrictions.user,body.storage"
)
READS: dict[str, str] = {
    "spaces": "/wiki/api/v2/spaces?limit=2&status=current",
    "spaces by key": "/wiki/api/v2/spaces?keys=DOCS&keys=ENG&type=global",
    "a space": "/wiki/api/v2/spaces/{space}?include-labels=true",
    "space operations": "/wiki/api/v2/spaces/{space}/operations",
    "space permissions": "/wiki/api/v2/spaces/{space}/permissions?limit=3",
    "role assignments": "/wiki/api/v2/spaces/{space}/role-assignments?principal-type=GROUP",
    "roles": "/wiki/api/v2/space-roles",
    "role mode": "/wiki/api/v2/space-role-mode",
    "pages": "/wiki/api/v2/pages?limit=2&sort=-modified-date",
    "pages by id": "/wiki/api/v2/pages?id={page}&id={home}&status=current&limit=250",
    "pages of a space": "/wiki/api/v2/spaces/{space}/pages?limit=1",
    "a page": "/wiki/api/v2/pages/{page}?include-labels=true&include-properties=true",
    "children": "/wiki/api/v2/pages/{home}/direct-children?limit=1",
    "ancestors": "/wiki/api/v2/pages/{page}/ancestors",
    "descendants": "/wiki/api/v2/pages/{home}/descendants?depth=3",
    "labels": "/wiki/api/v2/pages/{page}/labels",
    "page operations": "/wiki/api/v2/pages/{page}/operations",
    "blog posts": "/wiki/api/v2/blogposts?limit=1",
    "a blog post": "/wiki/api/v2/blogposts/{blogpost}",
    "properties": "/wiki/api/v2/pages/{page}/properties?key=steward-status",
    "a property": "/wiki/api/v2/pages/{page}/properties/{property}",
    "blog post properties": "/wiki/api/v2/blogposts/{blogpost}/properties",
    "search": "/wiki/rest/api/search?cql=type=page&limit=2&excerpt=none",
    "search expanded": f"/wiki/rest/api/search?cql=type=page&expand=content.space,content.{EXPAND}",
    "content search": "/wiki/rest/api/content/search?cql=type=page&limit=2",
    "content search expanded": f"/wiki/rest/api/content/search?cql=type%20in%20(page,blogpost)&expand={EXPAND}",
    "user": "/wiki/rest/api/user?accountId=u-admin&expand=operations",
    "the app's user": "/wiki/rest/api/user/current",
    "users": "/wiki/rest/api/user/bulk?accountId=u-admin&accountId=u-hid&accountId=nobody",
    "groups of a user": "/wiki/rest/api/user/memberof?accountId=u-admin&limit=1",
    "members of a group": f"/wiki/rest/api/group/{EVERYONE}/membersByGroupId?limit=2",
    "restrictions": "/wiki/rest/api/content/{page}/restriction/byOperation?expand=restrictions.user,restrictions.group",
    "system info": "/wiki/rest/api/settings/systemInfo",
    "long tasks": "/wiki/rest/api/longtask?limit=10",
}


@cache
def specification(name: str) -> OpenAPI:
    document = json.loads((SPECS / f"confluence-{name}.json").read_text())
    return OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))


def agree(response: requests.Response) -> Any:
    """Validate request and response against the specification that has the path; return the JSON."""
    spec = specification("v2" if "/api/v2/" in response.request.url else "v1")  # type: ignore[operator]
    asked = RequestsOpenAPIRequest(response.request)
    spec.validate_request(asked)
    if response.status_code == 204:
        return None
    spec.validate_response(asked, RequestsOpenAPIResponse(response))
    return response.json()


@pytest.fixture
def known(site: Site) -> dict[str, str]:
    """Ids to fill into paths: a labelled, stamped and restricted page, its home page, a blog post."""
    space = site.space("DOCS")
    page = next(page for page in site.contents("DOCS") if page.title == "Guide: old part")
    blogpost = next(post for post in site.contents("DOCS") if post.kind == "blogpost")
    site.label(page.id, "handbook", "old")
    stamp = site.set_property(page.id, "steward-status", {"id": "expired", "name": {"value": "Expired"}})
    site.restrict(page.id, users=["u-eve", "app-content-steward"], groups=[EVERYONE])
    site.access.role_mode = "ROLES_TRANSITION"
    return {
        "space": space.id,
        "home": str(space.homepage_id),
        "page": page.id,
        "blogpost": blogpost.id,
        "property": stamp.id,
    }


@pytest.mark.parametrize("name", READS)
def test_reads_follow_the_specification(name: str, known: dict[str, str], call: Caller) -> None:
    response = call("GET", READS[name].format(**known))
    assert response.status_code == 200
    assert agree(response)


def test_a_stamp_is_written_changed_and_removed_in_the_specified_shapes(known: dict[str, str], call: Caller) -> None:
    path = f"/wiki/api/v2/pages/{known['page']}/properties"
    made = agree(call("POST", path, json={"key": "steward-review", "value": {"keep": True}}))
    assert (made["key"], made["value"], made["version"]["number"]) == ("steward-review", {"keep": True}, 1)
    body = {"key": "steward-review", "value": {"keep": False}, "version": {"number": 2}}
    changed = agree(call("PUT", f"{path}/{made['id']}", json=body))
    assert (changed["value"], changed["version"]["number"]) == ({"keep": False}, 2)
    removed = call("DELETE", f"{path}/{made['id']}")
    assert (removed.status_code, agree(removed)) == (204, None)
    assert agree(call("GET", f"{path}?key=steward-review"))["results"] == []


def test_a_permission_check_is_answered_in_the_specified_shape(site: Site, known: dict[str, str], call: Caller) -> None:
    path = f"/wiki/rest/api/content/{known['page']}/permission/check"
    asked = {"subject": {"type": "user", "identifier": "u-eve"}, "operation": "update"}
    assert call("POST", path, json=asked).status_code == 403
    site.decides_for_apps = True
    assert agree(call("POST", path, json=asked))["hasPermission"] is True
    asked["subject"] = {"type": "user", "identifier": "u-nobody"}
    assert agree(call("POST", path, json=asked))["hasPermission"] is False


def test_people_archive_and_trash_answer_in_the_specified_shapes(known: dict[str, str], call: Caller) -> None:
    users = agree(call("POST", "/wiki/api/v2/users-bulk", json={"accountIds": ["u-eve", "u-hid", "nobody"]}))
    assert {user["accountId"]: user["email"] for user in users["results"]} == {"u-eve": "eve@example.com", "u-hid": ""}
    archived = call("POST", "/wiki/rest/api/content/archive", json={"pages": [{"id": int(known["page"])}]})
    assert archived.status_code == 202
    task = agree(call("GET", f"/wiki/rest/api/longtask/{agree(archived)['id']}"))
    assert (task["finished"], task["successful"], task["percentageComplete"]) == (True, True, 100)
    gone = call("DELETE", f"/wiki/api/v2/blogposts/{known['blogpost']}")
    assert (gone.status_code, agree(gone)) == (204, None)


def test_every_endpoint_demands_the_scope_of_the_specification(
    site: Site, known: dict[str, str], call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addon.sandbox.http import Rest
    from addon.sandbox.server import create_sandbox

    demanded: dict[tuple[str, str], str] = {}
    register = Rest.on

    def spying(self: Rest, method: str, rule: str, scope: str) -> Callable[..., Any]:
        demanded[method.lower(), rule] = scope
        return register(self, method, rule, scope)

    monkeypatch.setattr(Rest, "on", spying)
    create_sandbox(site)
    compared = 0
    for name in ("v1", "v2"):
        paths = json.loads((SPECS / f"confluence-{name}.json").read_text())["paths"]
        named = {_shape(path, "{", "}"): operations for path, operations in paths.items()}
        for (method, rule), scope in demanded.items():
            operation = named.get(_shape(rule, "<", ">"), {}).get(method)
            if operation is not None and "email" not in rule:
                compared += 1
                assert scope == operation["x-atlassian-connect-scope"], (method, rule)
    assert compared > 40


def _shape(path: str, opening: str, closing: str) -> str:
    return "/".join("*" if opening in part and closing in part else part for part in path.split("/"))
