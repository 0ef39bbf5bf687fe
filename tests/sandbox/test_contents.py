"""Reading and changing contents over v2 and v1: properties and their versions, trash, archive, what binds the app."""

from __future__ import annotations

import pytest

from addon.sandbox.access import ADMIN_ROLE
from addon.sandbox.records import Content
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import Caller

ARCHIVE = "/wiki/rest/api/content/archive"


def page_of(site: Site, title: str) -> Content:
    return next(page for page in site.contents(status=None) if page.title == title)


def properties(page: Content) -> str:
    return f"/wiki/api/v2/pages/{page.id}/properties"


def test_stamping_moves_neither_version_nor_dates(site: Site, call: Caller, clock: VirtualClock) -> None:
    before = page_of(site, "Runbook")
    clock.advance(60)
    call("POST", properties(before), json={"key": "steward-status", "value": {"id": "expired"}})
    after = site.get(before.id)
    assert (after.version, after.updated_at, after.updater_id) == (before.version, before.updated_at, before.updater_id)


def test_a_stale_version_is_a_conflict_that_names_both_versions(site: Site, call: Caller) -> None:
    page = page_of(site, "Runbook")
    made = site.set_property(page.id, "k", 1)
    body = {"key": "k", "value": 2, "version": {"number": 1}}
    refused = call("PUT", f"{properties(page)}/{made.id}", json=body)
    assert refused.status_code == 409
    error = refused.json()["errors"][0]
    assert (error["code"], "Current Version: [1]. Provided version: [1]" in error["title"]) == ("CONFLICT", True)
    assert site.get(page.id).properties["k"].value == 1


def test_properties_are_addressed_by_id_and_keys_are_unique(site: Site, call: Caller) -> None:
    page = page_of(site, "Runbook")
    site.set_property(page.id, "k", 1)
    assert call("POST", properties(page), json={"key": "k", "value": 2}).status_code == 400
    assert call.get(f"{properties(page)}/k").status_code == 400
    assert call.get(f"{properties(page)}/1").status_code == 404
    assert call("POST", properties(page), json={"key": "big", "value": "x" * 40_000}).status_code == 400
    assert call("POST", properties(page), data="[").status_code == 400


def test_what_the_app_may_not_edit_can_be_read_but_not_stamped(site: Site, call: Caller) -> None:
    guarded, other = page_of(site, "Runbook"), page_of(site, "Handbook")
    site.restrict(guarded.id, users=["u-eve"], operation="update")
    site.grant_app("HR", "view")
    for page in (guarded, other):
        assert call.get(f"/wiki/api/v2/pages/{page.id}").status_code == 200
        assert call("POST", properties(page), json={"key": "k", "value": 1}).status_code == 404
        assert site.get(page.id).properties == {}
    assert call("DELETE", f"/wiki/api/v2/pages/{other.id}").status_code == 404
    assert call("POST", ARCHIVE, json={"pages": [{"id": int(other.id)}]}).status_code == 403


def test_restricted_and_unknown_contents_look_alike(site: Site, call: Caller) -> None:
    page = page_of(site, "Runbook")
    site.restrict(page.id, groups=["confluence-admins"])
    hidden, unknown = (call.get(f"/wiki/api/v2/pages/{content_id}") for content_id in (page.id, "404404"))
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.json() == unknown.json()
    assert call.get("/wiki/api/v2/pages", id=page.id).json()["results"] == []
    assert call.get("/wiki/api/v2/pages/first").status_code == 400


def test_looking_up_by_id_leaves_out_other_statuses_and_kinds(site: Site, call: Caller) -> None:
    pages = [page_of(site, title) for title in ("Guide", "Runbook", "Handbook")]
    news = page_of(site, "News")
    site.archive(pages[1].id)
    site.trash(pages[2].id)
    ids = [record.id for record in (*pages, news)]
    current = call.get("/wiki/api/v2/pages", id=ids, status="current").json()["results"]
    assert [row["title"] for row in current] == ["Guide"]
    assert len(call.get("/wiki/api/v2/pages", id=ids).json()["results"]) == 2
    assert [row["title"] for row in call.get("/wiki/api/v2/blogposts", id=ids).json()["results"]] == ["News"]
    assert call.get("/wiki/api/v2/pages", id=["1"] * 251).status_code == 400
    assert call.get("/wiki/api/v2/pages", limit=251).status_code == 400


def test_trash_purge_and_restore(site: Site, call: Caller) -> None:
    path = f"/wiki/api/v2/pages/{page_of(site, 'Runbook').id}"
    assert call("DELETE", f"{path}?purge=true").status_code == 404
    assert call("DELETE", path).status_code == 204
    assert call("DELETE", path).status_code == 404
    runbook = page_of(site, "Runbook")
    assert runbook.status == "trashed"
    assert call("PUT", path, json={"id": runbook.id, "status": "current", "title": "Runbook"}).status_code == 200
    assert site.get(runbook.id).status == "current"
    call("DELETE", path)
    assert call("DELETE", f"{path}?purge=true").status_code == 204
    assert call.get(path).status_code == 404


def test_archiving_is_a_task_that_takes_its_time_and_keeps_others_waiting(
    site: Site, call: Caller, clock: VirtualClock
) -> None:
    site.tasks.archive_seconds = 20
    runbook, handbook = page_of(site, "Runbook"), page_of(site, "Handbook")
    accepted = call("POST", ARCHIVE, json={"pages": [{"id": int(runbook.id)}]})
    assert accepted.status_code == 202
    task = f"/wiki/rest/api/longtask/{accepted.json()['id']}"
    assert (call.get(task).json()["finished"], site.get(runbook.id).status) == (False, "current")
    busy = call("POST", ARCHIVE, json={"pages": [{"id": int(handbook.id)}]})
    assert (busy.status_code, "already running" in busy.json()["message"]) == (400, True)
    clock.advance(20)
    done = call.get(task).json()
    assert (done["finished"], done["successful"], done["percentageComplete"]) == (True, True, 100)
    assert site.get(runbook.id).status == "archived"
    assert call("POST", properties(runbook), json={"key": "k", "value": 1}).status_code == 400
    assert call.get("/wiki/rest/api/longtask/unknown").status_code == 404


def test_an_archive_job_waits_in_a_queue_and_is_not_known_at_first(
    site: Site, call: Caller, clock: VirtualClock
) -> None:
    site.tasks.queue_seconds, site.tasks.archive_seconds, site.tasks.unknown_seconds = 60, 40, 10
    runbook = page_of(site, "Runbook")
    task = f"/wiki/rest/api/longtask/{call('POST', ARCHIVE, json={'pages': [{'id': int(runbook.id)}]}).json()['id']}"
    assert (call.get(task).status_code, call.get("/wiki/rest/api/longtask").json()["size"]) == (404, 0)
    clock.advance(10)
    assert call.get(task).json()["percentageComplete"] == 0
    clock.advance(70)
    assert (call.get(task).json()["percentageComplete"], site.get(runbook.id).status) == (50, "current")
    clock.advance(20)
    assert (call.get(task).json()["finished"], site.get(runbook.id).status) == (True, "archived")


@pytest.mark.parametrize("listed", [True, False])
def test_another_apps_archive_job_keeps_ours_out_in_words_of_its_own(
    site: Site, call: Caller, clock: VirtualClock, listed: bool
) -> None:
    site.tasks.busy_words = "Bitte versuchen Sie es spaeter"
    site.tasks.occupy(300, listed=listed)
    pages = {"pages": [{"id": int(page_of(site, "Runbook").id)}]}
    refused = call("POST", ARCHIVE, json=pages)
    assert (refused.status_code, "Bitte versuchen Sie es spaeter" in refused.json()["message"]) == (400, True)
    unfinished = [task for task in call.get("/wiki/rest/api/longtask").json()["results"] if not task["finished"]]
    assert len(unfinished) == listed
    clock.advance(300)
    assert call("POST", ARCHIVE, json=pages).status_code == 202


def test_a_page_that_fails_to_archive_stays_and_is_reported(site: Site, call: Caller) -> None:
    runbook, handbook = page_of(site, "Runbook"), page_of(site, "Handbook")
    site.tasks.fail_page(runbook.id, "Runbook is locked")
    pages = {"pages": [{"id": int(page.id)} for page in (runbook, handbook)]}
    task_id = call("POST", ARCHIVE, json=pages).json()["id"]
    done = call.get(f"/wiki/rest/api/longtask/{task_id}").json()
    assert (done["finished"], done["successful"]) == (True, False)
    assert [error["translation"] for error in done["errors"]] == ["Runbook is locked"]
    assert (site.get(runbook.id).status, site.get(handbook.id).status) == ("current", "archived")


@pytest.mark.parametrize(
    ("edition", "titles", "status"),
    [
        ("free", ["Runbook"], 400),
        ("standard", ["Runbook"], 202),
        ("standard", ["Runbook", "Handbook"], 400),
        ("premium", ["Runbook", "Handbook"], 202),
        ("enterprise", ["News"], 400),
        ("premium", [], 400),
    ],
)
def test_editions_and_kinds_limit_archiving(
    site: Site, call: Caller, edition: str, titles: list[str], status: int
) -> None:
    site.edition = edition
    body = {"pages": [{"id": int(page_of(site, title).id)} for title in titles]}
    assert call("POST", ARCHIVE, json=body).status_code == status


def test_one_request_archives_at_most_300_pages(site: Site, call: Caller) -> None:
    ids = [int(site.add_page("ENG", f"Page {number}").id) for number in range(301)]
    assert call("POST", ARCHIVE, json={"pages": [{"id": id} for id in ids]}).status_code == 400
    assert call("POST", ARCHIVE, json={"pages": [{"id": id} for id in ids[:300]]}).status_code == 202


def test_what_left_v1_answers_gone(site: Site, call: Caller) -> None:
    page = page_of(site, "Guide")
    for path in ("content", f"content/{page.id}", f"content/{page.id}/property/steward-status", "space/DOCS", "space"):
        gone = call.get(f"/wiki/rest/api/{path}")
        assert (gone.status_code, gone.json()["statusCode"]) == (410, 410), path
    assert call.get("/wiki/rest/api/nothing/here").status_code == 404
    assert call.get("/wiki/api/v2/search").status_code == 404


def test_administrators_of_the_site_and_of_a_space_are_told(site: Site, call: Caller) -> None:
    operations = call.get("/wiki/rest/api/user", accountId="u-admin", expand="operations").json()["operations"]
    assert {"operation": "administer", "targetType": "application"} in operations
    assert call.get("/wiki/rest/api/user", accountId="nobody").status_code == 404
    docs = site.space("DOCS").id
    rows = call.get(f"/wiki/api/v2/spaces/{docs}/permissions", limit=250).json()["results"]
    administer = [row["principal"]["id"] for row in rows if row["operation"]["key"] == "administer"]
    assert administer == ["confluence-admins", "u-sam"]
    assert call.get(f"/wiki/api/v2/spaces/{docs}/role-assignments").json()["results"] == []


def test_in_role_mode_principals_hold_roles_and_rows_name_the_roles(site: Site, call: Caller) -> None:
    site.access.role_mode = "ROLES"
    docs = site.space("DOCS").id
    site.access.assign_role(docs, "ACCESS_CLASS", "all-product-admins", ADMIN_ROLE)
    assert call.get("/wiki/api/v2/space-role-mode").json() == {"mode": "ROLES"}
    path = f"/wiki/api/v2/spaces/{docs}/role-assignments"
    mine = call.get(path, **{"principal-id": "u-sam", "principal-type": "USER"}).json()["results"]
    assert [assignment["roleId"] for assignment in mine] == [ADMIN_ROLE]
    assert len(call.get(path, **{"role-id": ADMIN_ROLE}).json()["results"]) == 3
    rows = call.get(f"/wiki/api/v2/spaces/{docs}/permissions", limit=250).json()["results"]
    assert {row["principal"]["type"] for row in rows} == {"role"}
    assert site.access.permits("u-sam", docs, "administer")


def test_addresses_are_given_only_to_an_approved_app(site: Site, call: Caller) -> None:
    path = "/wiki/rest/api/user/email/bulk?accountId=u-hid,u-eve&accountId=nobody"
    assert call("GET", path).status_code == 400
    site.email_api_approved = True
    assert [row["email"] for row in call("GET", path).json()] == ["hida@example.com", "eve@example.com"]
    assert call.get("/wiki/rest/api/user/email", accountId="nobody").status_code == 404
