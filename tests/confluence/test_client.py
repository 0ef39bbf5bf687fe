from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from addon.base import TenantId
from addon.confluence import Confluence, SiteClient
from addon.confluence.content import Property
from addon.confluence.errors import Conflict, Malformed, NotFound

BASE = "https://one.atlassian.net/wiki"
V1, V2 = f"{BASE}/rest/api", f"{BASE}/api/v2"
TENANT = TenantId("0192f000-0000-7000-8000-000000000001")


def listing(*results: Any, following: str | None = None) -> dict[str, Any]:
    return {"results": list(results), "_links": {"next": following} if following else {}}


def page(number: int, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "type": "page", "status": "current", "title": f"P{number}", **more}


def query(call: responses.Call) -> dict[str, list[str]]:
    return parse_qs(urlsplit(str(call.request.url)).query)


def test_a_search_is_read_over_all_its_pages_and_names_each_content_once(
    client: SiteClient, web: responses.RequestsMock, guard: Any
) -> None:
    url = f"{V1}/content/search"
    following = "/rest/api/content/search?next=true&cursor=_t_abc%3D_h_x&limit=200&cql=type+in+%28page%29"
    web.get(url, json=listing(page(1), page(2), following=following))
    web.get(url, json=listing(page(2), page(3)))
    found = list(client.search("type in (page)", expand=["history", "version"]))
    assert [content.id for content in found] == ["1", "2", "3"]
    first, second = (query(call) for call in web.calls)
    assert first == {"cql": ["type in (page)"], "expand": ["history,version"], "limit": ["200"]}
    assert second == {"next": ["true"], "cursor": ["_t_abc=_h_x"], "limit": ["200"], "cql": ["type in (page)"]}
    assert (guard.calls, guard.points) == (2, 6)


def test_a_search_without_expansion_takes_larger_pages_and_archived_content_needs_a_context(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    web.get(f"{V1}/content/search", json=listing())
    assert list(client.search("type = page", statuses=["archived"])) == []
    assert query(web.calls[0]) == {
        "cql": ["type = page"],
        "cqlcontext": ['{"contentStatuses":["archived"]}'],
        "limit": ["1000"],
    }


def test_a_limited_search_asks_for_no_more_than_it_gives(client: SiteClient, web: responses.RequestsMock) -> None:
    following = "/rest/api/content/search?cursor=c&limit=2"
    web.get(f"{V1}/content/search", json=listing(page(1), page(2), following=following))
    assert len(list(client.search("type = page", limit=2))) == 2
    assert query(web.calls[0])["limit"] == ["2"]
    assert len(web.calls) == 1


def test_what_a_search_expands_arrives_as_plain_values(client: SiteClient, web: responses.RequestsMock) -> None:
    row = page(
        7,
        space={"id": 65537, "key": "ENG"},
        history={
            "createdBy": {"accountId": "u-1"},
            "createdDate": "2024-01-02T03:04:05.000Z",
            "lastUpdated": {"by": {"accountId": "u-2"}, "when": "2025-01-02T03:04:05.000+01:00", "number": 4},
        },
        version={"number": 4, "when": "2025-01-02T02:04:05.000Z"},
        ancestors=[{"id": "1"}, {"id": "5"}],
        metadata={
            "labels": {"results": [{"name": "keep"}]},
            "properties": {
                "steward-status": {
                    "id": "99",
                    "key": "steward-status",
                    "value": {"id": "expired"},
                    "version": {"number": 2},
                },
                "_expandable": {"editor": ""},
            },
        },
        _links={"webui": "/spaces/ENG/pages/7"},
    )
    web.get(f"{V1}/content/search", json=listing(row))
    (content,) = client.search("id = 7", expand=["history", "metadata.properties.steward-status"])
    assert (content.space_id, content.space_key, content.author_id, content.updater_id) == (
        "65537",
        "ENG",
        "u-1",
        "u-2",
    )
    assert content.updated_at is not None
    assert content.updated_at.isoformat() == "2025-01-02T02:04:05+00:00"
    assert (content.version, content.parent_id, content.ancestors) == (4, "5", ("1", "5"))
    assert content.labels == {"keep"}
    assert content.properties == {"steward-status": Property("99", "steward-status", {"id": "expired"}, 2)}
    assert content.path == "/spaces/ENG/pages/7"


@pytest.mark.parametrize("total", [{}, {"totalSize": None}, {"totalSize": -1}, {"totalSize": 10**30}])
def test_a_number_of_results_that_is_missing_or_cannot_be_is_no_number(
    client: SiteClient, web: responses.RequestsMock, total: dict[str, Any]
) -> None:
    web.get(f"{V1}/search", json={**listing(), **total})
    with pytest.raises(Malformed):
        client.count("type = page")


def test_counting_costs_one_point(client: SiteClient, web: responses.RequestsMock, guard: Any) -> None:
    web.get(f"{V1}/search", json={**listing(), "totalSize": 4711})
    assert client.count("type = page") == 4711
    assert query(web.calls[0]) == {"cql": ["type = page"], "limit": ["0"], "excerpt": ["none"]}
    assert guard.points == 1


def test_spaces_are_listed_over_pages_and_archived_ones_left_out(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    rows = [
        {"id": "1", "key": "A", "name": "Alpha", "type": "global", "status": "current", "homepageId": "10"},
        {"id": "2", "key": "~b", "name": "Bob", "type": "personal", "status": "current"},
        {"id": "3", "key": "C", "name": "Old", "type": "global", "status": "archived"},
    ]
    web.get(f"{V2}/spaces", json=listing(rows[0], following="/wiki/api/v2/spaces?cursor=c1&limit=250"))
    web.get(f"{V2}/spaces", json=listing(*rows[1:]))
    spaces = client.spaces()
    assert [(space.key, space.homepage_id) for space in spaces] == [("A", "10"), ("~b", None)]
    assert query(web.calls[1]) == {"cursor": ["c1"], "limit": ["250"]}


def test_spaces_by_key_are_asked_with_repeated_parameters(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V2}/spaces", json=listing())
    client.spaces(keys=["A", "~b"])
    assert query(web.calls[0]) == {"keys": ["A", "~b"], "status": ["current"], "limit": ["250"]}
    assert client.spaces(keys=[]) == []
    assert len(web.calls) == 1


def test_each_type_of_space_is_a_listing_of_its_own(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V2}/spaces", json=listing({"id": "1", "key": "A", "name": "A", "type": "global", "status": "current"}))
    web.get(f"{V2}/spaces", json=listing())
    assert [space.key for space in client.spaces(types=["global", "collaboration"])] == ["A"]
    assert [query(call)["type"] for call in web.calls] == [["global"], ["collaboration"]]


def test_many_ids_are_read_250_a_call_each_asked_once(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V2}/pages", json=listing({**page(1), "spaceId": "9", "authorId": "u", "version": {"number": 3}}))
    web.get(f"{V2}/pages", json=listing({**page(300), "status": "archived"}))
    found = client.contents("page", [str(number) for number in [*range(1, 301), 1, 2]])
    assert [(content.id, content.space_id, content.version) for content in found] == [("1", "9", 3)]
    assert [len(query(call)["id"]) for call in web.calls] == [250, 50]
    assert client.contents("blogpost", []) == []


def test_properties_are_read_made_changed_and_removed(client: SiteClient, web: responses.RequestsMock) -> None:
    stored = {"id": "5", "key": "steward-status", "value": {"id": "expired"}, "version": {"number": 3}}
    web.get(f"{V2}/blogposts/12/properties", json=listing(stored))
    web.post(f"{V2}/blogposts/12/properties", json=stored)
    web.put(f"{V2}/blogposts/12/properties/5", json={**stored, "version": {"number": 4}})
    web.delete(f"{V2}/blogposts/12/properties/5", status=204)
    read = client.property("blogpost", "12", "steward-status")
    assert read == Property("5", "steward-status", {"id": "expired"}, 3)
    assert client.create_property("blogpost", "12", "steward-status", {"id": "expired"}) == read
    assert client.update_property("blogpost", "12", read, {"id": "x"}).version == 4
    client.delete_property("blogpost", "12", "5")
    sent = [json.loads(call.request.body) for call in web.calls if call.request.body]
    assert sent == [
        {"key": "steward-status", "value": {"id": "expired"}},
        {"key": "steward-status", "value": {"id": "x"}, "version": {"number": 4}},
    ]


def test_a_property_that_is_not_there_is_none_and_a_hidden_page_is_not_found(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    web.get(f"{V2}/pages/1/properties", json=listing())
    web.get(f"{V2}/pages/2/properties", status=404, json={"errors": [{"status": 404, "title": "Not Found"}]})
    assert client.property("page", "1", "k") is None
    with pytest.raises(NotFound):
        client.property("page", "2", "k")


def test_a_stale_version_is_a_conflict_in_confluences_words(client: SiteClient, web: responses.RequestsMock) -> None:
    problem = {
        "errors": [{"status": 409, "code": "CONFLICT", "title": "Version must be incremented", "detail": "is 3"}]
    }
    web.put(f"{V2}/pages/1/properties/5", status=409, json=problem)
    with pytest.raises(Conflict) as caught:
        client.update_property("page", "1", Property("5", "k", None, 2), {})
    assert caught.value.message == "Version must be incremented: is 3"


@pytest.mark.parametrize(
    ("children", "answer"),
    [([], False), (["current"], True), (["archived", "archived"], False), (["archived", "current"], True)],
)
def test_only_current_children_count(
    client: SiteClient, web: responses.RequestsMock, children: list[str], answer: bool
) -> None:
    rows = [{"id": str(number), "status": status} for number, status in enumerate(children)]
    web.get(
        f"{V2}/pages/1/direct-children",
        json=listing(*rows[:1]),
        match=[responses.matchers.query_param_matcher({"limit": "1"})],
    )
    web.get(
        f"{V2}/pages/1/direct-children",
        json=listing(*rows),
        match=[responses.matchers.query_param_matcher({"limit": "250"})],
    )
    assert client.has_children("1") is answer


def test_ancestors_come_topmost_first_however_deep(client: SiteClient, web: responses.RequestsMock) -> None:
    near = [{"id": str(number), "type": "page"} for number in range(100, 350)]
    web.get(f"{V2}/pages/999/ancestors", json=listing(*near))
    web.get(f"{V2}/pages/100/ancestors", json=listing({"id": "7", "type": "page"}))
    assert client.ancestors("999") == ["7", *(str(number) for number in range(100, 350))]


def restricted(users: Any, groups: Any) -> dict[str, Any]:
    return {"restrictions": {"user": users, "group": groups}}


def listed(*rows: dict[str, str], size: int | None = None) -> dict[str, Any]:
    return {"results": list(rows), "start": 0, "limit": 100, "size": len(rows) if size is None else size}


OPEN = restricted(listed(), listed())


def test_a_view_restriction_is_seen_on_users_or_groups(client: SiteClient, web: responses.RequestsMock) -> None:
    by_user, by_group = restricted(listed({"accountId": "u"}), listed()), restricted(listed(), listed({"id": "g"}))
    for number, read in enumerate((OPEN, by_user, by_group), 1):
        web.get(f"{V1}/content/{number}/restriction/byOperation", json={"read": read, "update": OPEN})
    assert [client.read_restricted(number) for number in ("1", "2", "3")] == [False, True, True]


@pytest.mark.parametrize(
    "read",
    [
        None,
        {},
        [],
        "open",
        {"restrictions": None},
        {"restrictions": {"user": listed()}},
        restricted(listed(), None),
        restricted(listed(), {"results": []}),
        restricted(listed(), {"results": None, "size": 0}),
        restricted(listed(), {"size": 0}),
        restricted(listed(), listed(size=3)),
        restricted(listed(size=1), listed()),
        restricted({"results": 0}, listed()),
        restricted(listed(), {"results": [], "size": "0"}),
    ],
    ids=lambda read: str(read)[:60],
)
def test_a_restriction_that_is_not_understood_admits_nobody(
    client: SiteClient, web: responses.RequestsMock, read: Any
) -> None:
    web.get(f"{V1}/content/1/restriction/byOperation", json={"read": read, "update": read})
    web.get(f"{V1}/content/1/restriction/byOperation", json={})
    for _ in range(2):
        assert client.read_restricted("1")
        for restriction in client.restrictions("1").values():
            assert restriction is not None
            assert not restriction.admits("u", {"g"})


def test_a_restriction_that_is_not_complete_admits_those_it_names(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    rows: Any = ({"accountId": "u"}, {"accountId": ["x"]}, {}, None)
    read = restricted({"results": rows, "size": 900}, listed({"id": "g"}, size=2))
    web.get(f"{V1}/content/1/restriction/byOperation", json={"read": read})
    restriction = client.restrictions("1")["read"]
    assert restriction is not None
    assert [restriction.admits(person, ()) for person in ("u", "x", "")] == [True, False, False]
    assert restriction.admits("v", {"g"})


def test_archiving_is_a_task_that_can_be_followed(client: SiteClient, web: responses.RequestsMock) -> None:
    web.post(f"{V1}/content/archive", status=202, json={"id": "t-1", "links": {}})
    web.get(
        f"{V1}/longtask/t-1",
        json={
            "id": "t-1",
            "finished": True,
            "successful": False,
            "percentageComplete": 100,
            "errors": [{"translation": "No permission"}],
        },
    )
    web.get(f"{V1}/longtask/t-2", status=404, json={})
    assert client.archive(["12", "13"]) == "t-1"
    assert json.loads(web.calls[0].request.body or "") == {"pages": [{"id": 12}, {"id": 13}]}
    task = client.long_task("t-1")
    assert task is not None
    assert (task.finished, task.successful, task.errors) == (True, False, ("No permission",))
    assert client.long_task("t-2") is None
    with pytest.raises(ValueError, match="300"):
        client.archive([str(number) for number in range(301)])


def test_people_are_looked_up_250_at_a_time_with_what_their_profiles_show(
    client: SiteClient, web: responses.RequestsMock, guard: Any
) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        ids = json.loads(request.body)["accountIds"]
        rows = [
            {"accountId": each, "displayName": each.upper(), "email": "", "accountStatus": "active"} for each in ids
        ]
        return 200, {}, json.dumps(listing(*rows))

    web.add_callback("POST", f"{V2}/users-bulk", callback=answer)
    people = client.users([*(f"u{number}" for number in range(260)), "u1"])
    assert len(people) == 260
    assert (people[0].display_name, people[0].email, people[0].active) == ("U0", None, True)
    assert (guard.calls, guard.points) == (2, 2 + 2 * 260)
    assert guard.writes == [False, False]


def test_approved_apps_see_addresses_that_profiles_hide(make_confluence: Any, web: responses.RequestsMock) -> None:
    web.post(f"{V2}/users-bulk", json=listing({"accountId": "u1"}, {"accountId": "u2", "email": "two@x.test"}))
    web.get(f"{V1}/user/email/bulk", json=[{"accountId": "u1", "email": "one@x.test"}])
    with make_confluence(email_api=True).client(TENANT) as client:
        found = client.users(["u1", "u2"])
    assert {user.account_id: user.email for user in found} == {"u1": "one@x.test", "u2": "two@x.test"}


def test_without_approval_the_e_mail_api_is_never_asked_and_its_refusal_stops_nothing(
    client: SiteClient, make_confluence: Any, web: responses.RequestsMock
) -> None:
    web.post(f"{V2}/users-bulk", json=listing({"accountId": "u1", "email": "one@x.test"}))
    web.get(f"{V1}/user/email/bulk", status=400, json={"message": "app not approved"})
    client.users(["u1"])
    assert len(web.calls) == 1
    with make_confluence(email_api=True).client(TENANT) as approved:
        assert [user.email for user in approved.users(["u1"])] == ["one@x.test"]


def test_the_sites_edition_is_in_lower_case(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(
        f"{V1}/settings/systemInfo",
        json={
            "cloudId": "c",
            "commitHash": "h",
            "edition": "PREMIUM",
            "siteTitle": "One",
            "defaultTimeZone": "Europe/Berlin",
        },
    )
    info = client.system_info()
    assert (info.cloud_id, info.edition, info.time_zone) == ("c", "premium", "Europe/Berlin")


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/wiki/api/v2/spaces?cursor=c",
        "http://one.atlassian.net/wiki/api/v2/spaces?cursor=c",
        "/wiki/api/v2/users?cursor=c",
    ],
)
def test_a_listing_never_leads_to_another_host_or_path(
    client: SiteClient, web: responses.RequestsMock, following: str
) -> None:
    web.get(f"{V2}/spaces", json=listing(following=following))
    with pytest.raises(Malformed):
        client.spaces()
    assert len(web.calls) == 1


def test_a_listing_that_goes_round_in_circles_ends(client: SiteClient, web: responses.RequestsMock) -> None:
    web.get(f"{V2}/spaces", json=listing(following="/wiki/api/v2/spaces?cursor=same"))
    with pytest.raises(Malformed, match="already read"):
        client.spaces()


def test_ids_cannot_change_the_path(client: SiteClient, web: responses.RequestsMock) -> None:
    for bad in ("../spaces", "1/2", "..", "", "1?x=y"):
        with pytest.raises(Malformed, match="not an id"):
            client.has_children(bad)
    assert len(web.calls) == 0


def test_every_request_is_signed_accepts_json_and_writes_are_marked(
    confluence: Confluence, web: responses.RequestsMock
) -> None:
    web.get(f"{V1}/settings/systemInfo", json={"cloudId": "c"})
    web.delete(f"{V2}/pages/1", status=204)
    with confluence.client(TENANT) as client:
        client.system_info()
        client.trash("page", "1")
    read, write = (call.request for call in web.calls)
    assert read.headers["Authorization"] == "JWT v1-0"
    assert write.headers["Authorization"] == "JWT v1-1"
    assert read.headers["Accept"] == "application/json"
    assert read.headers["User-Agent"] == "content-steward/test"
    assert "X-Atlassian-Token" not in read.headers
    assert write.headers["X-Atlassian-Token"] == "no-check"
    assert read.body is None
