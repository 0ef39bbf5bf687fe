from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from addon.confluence import SiteClient
from addon.confluence.errors import Malformed, ServerError

BASE = "https://one.atlassian.net/wiki"
V1, V2 = f"{BASE}/rest/api", f"{BASE}/api/v2"
ADMINISTER = {"key": "administer", "targetType": "space"}


def row(kind: str, principal: str, operation: dict[str, str] | None = None) -> dict[str, Any]:
    return {"id": "1", "principal": {"type": kind, "id": principal}, "operation": operation or ADMINISTER}


def assignment(kind: str, principal: str, role: str) -> dict[str, Any]:
    return {"principal": {"principalType": kind, "principalId": principal}, "roleId": role}


def rights(web: responses.RequestsMock, *rows: Any, mode: str = "PRE_ROLES", groups: tuple[str, ...] = ()) -> None:
    web.get(f"{V2}/space-role-mode", json={"mode": mode})
    web.get(f"{V2}/spaces/9/permissions", json={"results": list(rows)})
    web.get(f"{V1}/user/memberof", json={"results": [{"id": each} for each in groups]})


def asked(web: responses.RequestsMock) -> list[str]:
    return [urlsplit(str(call.request.url)).path.rsplit("/", 1)[-1] for call in web.calls]


def test_the_search_for_a_space_administrator_ends_at_the_first_hit(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    web.get(f"{V2}/space-role-mode", json={"mode": "PRE_ROLES"})
    following = "/wiki/api/v2/spaces/9/permissions?cursor=c"
    web.get(f"{V2}/spaces/9/permissions", json={"results": [row("user", "sam")], "_links": {"next": following}})
    assert client.is_space_admin("sam", "9") is True
    assert asked(web) == ["space-role-mode", "permissions"]


def test_groups_are_asked_for_once_and_only_when_one_of_them_administers(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    read = {"key": "read", "targetType": "space"}
    rights(web, row("group", "g-readers", read), row("user", "sam", read), groups=("g-readers",))
    assert client.is_space_admin("sam", "9") is False
    assert "memberof" not in asked(web)
    web.replace("GET", f"{V2}/spaces/9/permissions", json={"results": [row("group", "g-1"), row("group", "g-2")]})
    assert client.is_space_admin("sam", "9") is False
    web.replace("GET", f"{V1}/user/memberof", json={"results": [{"id": "g-2"}]})
    assert client.is_space_admin("sam", "9") is True
    assert asked(web).count("memberof") == 2


@pytest.mark.parametrize(
    ("operation", "administers"),
    [
        ({"key": "administer", "targetType": "space"}, True),
        ({"key": "administer", "targetType": "page"}, False),
        ({"key": "restrict_content", "targetType": "space"}, False),
    ],
)
def test_only_administering_the_space_counts(
    client: SiteClient, web: responses.RequestsMock, operation: dict[str, str], administers: bool
) -> None:
    rights(web, row("user", "sam", operation))
    assert client.is_space_admin("sam", "9") is administers


def test_roles_count_for_the_person_and_for_groups_and_never_for_a_class_of_people(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    rights(web, mode="ROLES", groups=("g-1",))
    roles = [
        {"id": "r-admin", "spacePermissions": ["read/space", "administer/space"]},
        {"id": "r-reader", "spacePermissions": ["read/space"]},
    ]
    web.get(f"{V2}/space-roles", json={"results": roles})
    assigned = f"{V2}/spaces/9/role-assignments"
    for rows, answer in (
        ([assignment("USER", "sam", "r-admin")], True),
        ([assignment("USER", "sam", "r-reader")], False),
        ([assignment("USER", "someone-else", "r-admin")], False),
        ([assignment("GROUP", "g-1", "r-admin")], True),
        ([assignment("GROUP", "g-1", "r-reader")], False),
        ([assignment("ACCESS_CLASS", "all-licensed-users", "r-admin")], False),
        ([assignment("ROBOT", "sam", "r-admin")], False),
    ):
        web.upsert("GET", assigned, json={"results": rows})
        assert client.is_space_admin("sam", "9") is answer, rows


def test_unknown_principals_and_operations_grant_nothing(client: SiteClient, web: responses.RequestsMock) -> None:
    rights(web, row("everybody", "sam"), row("user", "someone-else"))
    assert client.is_space_admin("sam", "9") is False


def test_a_site_that_knows_no_roles_is_ruled_by_permissions(client: SiteClient, web: responses.RequestsMock) -> None:
    rights(web, row("user", "sam"))
    web.replace("GET", f"{V2}/space-role-mode", status=404, json={})
    assert client.is_space_admin("sam", "9") is True


def test_what_cannot_be_read_is_an_error_and_never_a_yes(client: SiteClient, web: responses.RequestsMock) -> None:
    rights(web, {"id": "1"})
    with pytest.raises(Malformed):
        client.is_space_admin("sam", "9")
    web.replace("GET", f"{V2}/space-role-mode", status=500)
    with pytest.raises(ServerError):
        client.is_space_admin("sam", "9")


@pytest.mark.parametrize(
    ("operations", "administers"),
    [
        ([{"operation": "administer", "targetType": "application"}], True),
        ([{"operation": "use", "targetType": "application"}], False),
        ([{"operation": "administer", "targetType": "space"}], False),
        (["administer"], False),
        (None, False),
    ],
)
def test_confluence_administrators_administer_the_application(
    client: SiteClient, web: responses.RequestsMock, operations: Any, administers: bool
) -> None:
    web.get(f"{V1}/user", json={"accountId": "ada", "operations": operations})
    assert client.is_site_admin("ada") is administers


def test_nobody_knows_nobody(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V1}/user", status=404, json={})
    assert client.is_site_admin("nobody") is False


def _paged(web: responses.RequestsMock, *pages: list[Any]) -> None:
    """The permissions of space 9 on several pages; the cursor is the page's number."""

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        number = int(dict(parse_qsl(urlsplit(request.url).query)).get("cursor", 0))
        if number >= len(pages):
            return 400, {}, "{}"
        links = {"next": f"/wiki/api/v2/spaces/9/permissions?cursor={number + 1}"} if number + 1 < len(pages) else {}
        return 200, {}, json.dumps({"results": pages[number], "_links": links})

    web.remove("GET", f"{V2}/spaces/9/permissions")
    web.add_callback("GET", f"{V2}/spaces/9/permissions", answer)


@pytest.mark.parametrize("grant", [row("user", "sam"), row("group", "g-1")], ids=["person", "group"])
def test_a_later_check_reads_only_the_page_where_the_right_was_found(
    client: SiteClient, web: responses.RequestsMock, grant: dict[str, Any]
) -> None:
    rights(web, groups=("g-1",))
    _paged(web, [row("user", "ann")], [row("group", "g-9")], [grant])
    assert client.is_space_admin("sam", "9") is True
    assert asked(web).count("permissions") == 3
    assert client.is_space_admin("sam", "9") is True
    assert asked(web).count("permissions") == 4


def test_a_right_that_left_its_page_is_looked_for_everywhere_and_one_that_is_gone_is_gone(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    rights(web)
    _paged(web, [row("user", "ann")], [row("user", "sam")])
    assert client.is_space_admin("sam", "9") is True
    _paged(web, [row("user", "ann")], [row("user", "bob")], [row("user", "sam")])
    assert client.is_space_admin("sam", "9") is True
    _paged(web, [row("user", "sam")])
    assert client.is_space_admin("sam", "9") is True, "the cursor of the third page is refused now"
    _paged(web, [row("user", "ann")])
    assert client.is_space_admin("sam", "9") is False
