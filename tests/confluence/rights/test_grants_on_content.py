"""Who may view and edit a content, on sites that decide it for the app and on sites where it must be concluded."""

# ruff: noqa: F811  (fixtures that are imported)

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from addon.base import Caller, Database, TenantId
from addon.base import Site as SiteAddress
from addon.confluence import Confluence, Operation, Permissions, SiteClient
from addon.sandbox.people import BOT, EVERYONE
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import OneSite, SandboxAuth, sandbox_server, site  # noqa: F401  (fixtures)

TENANT = TenantId("0192f000-0000-7000-8000-000000000001")
EVE, SAM, HIDA = "u-eve", "u-sam", "u-hid"


@pytest.fixture
def confluence(sandbox_server: SandboxServer, database: Database, clock: VirtualClock) -> Iterator[Confluence]:
    address = SiteAddress(TENANT, sandbox_server.site.base_url, 1, 1, SandboxAuth(clock))
    made = Confluence(OneSite(address), database, clock, namespace="steward", user_agent="test", retry_waits=())
    yield made
    made.close()


@pytest.fixture
def client(confluence: Confluence) -> Iterator[SiteClient]:
    with confluence.client(TENANT) as client:
        yield client


@pytest.fixture
def permissions(confluence: Confluence, clock: VirtualClock) -> Permissions:
    return Permissions(confluence, clock, changes=lambda _tenant: 0)


@pytest.mark.parametrize("decides", [True, False], ids=["decided", "concluded"])
@pytest.mark.parametrize("mode", ["PRE_ROLES", "ROLES"])
def test_what_is_concluded_is_what_confluence_decides(
    site: Site,
    client: SiteClient,
    permissions: Permissions,
    decides: bool,
    mode: Literal["PRE_ROLES", "ROLES"],
) -> None:
    """Every person at every content of a site with restrictions of all sorts."""
    guide = next(content for content in site.contents() if content.title == "Guide")
    fresh = next(content for content in site.contents() if content.title == "Fresh page")
    site.access.restrict(fresh.id, "update", [SAM], [])
    site.access.revoke(site.space("HR").id, EVERYONE)
    site.access.role_mode = mode
    site.decides_for_apps = decides
    site.access.restrict(guide.id, "read", [EVE, SAM, BOT], [])
    seen = 0
    for record in site.contents():
        for content in client.contents(record.kind, [record.id]):
            for account in (EVE, SAM, HIDA, "u-admin", "u-nobody"):
                caller = Caller(TENANT, account)
                operations: dict[Operation, bool] = {
                    "read": site.access.can_view(account, record),
                    "update": site.access.can_edit(account, record),
                }
                for operation, expected in operations.items():
                    got = permissions.may(caller, content, operation)
                    assert got == expected, (account, record.title, operation)
                    seen += 1
    assert seen > 50


def test_a_site_that_does_not_decide_is_not_asked_again_for_an_hour(
    site: Site, client: SiteClient, permissions: Permissions, clock: VirtualClock
) -> None:
    record = next(content for content in site.contents() if content.title == "Runbook")
    [content] = client.contents("page", [record.id])
    asked = "POST /wiki/rest/api/content/{content_id}/permission/check"
    for account in (EVE, SAM):
        assert permissions.may(Caller(TENANT, account), content, "read")
    assert site.meter.by_endpoint[asked].calls == 1
    clock.advance(3601)
    site.decides_for_apps = True
    assert permissions.may(Caller(TENANT, EVE), content, "update")
    assert site.meter.by_endpoint[asked].calls == 2


def test_a_decision_about_a_content_is_remembered_for_a_minute(
    site: Site, client: SiteClient, permissions: Permissions, clock: VirtualClock
) -> None:
    site.decides_for_apps = True
    record = next(content for content in site.contents() if content.title == "Runbook")
    [content] = client.contents("page", [record.id])
    assert permissions.may(Caller(TENANT, EVE), content, "update")
    before = site.meter.points
    assert permissions.may(Caller(TENANT, EVE), content, "update")
    assert site.meter.points == before
    site.access.restrict(record.id, "update", [SAM], [])
    clock.advance(61)
    assert not permissions.may(Caller(TENANT, EVE), content, "update")
    assert site.meter.points == before + 2


def test_an_ancestor_that_cannot_be_read_keeps_nobody_from_what_is_below_it(
    site: Site, client: SiteClient, permissions: Permissions
) -> None:
    """A draft, a folder or a page in the trash answers 404 about its restrictions."""
    guide = next(content for content in site.contents() if content.title == "Guide")
    part = next(content for content in site.contents() if content.title == "Guide: old part")
    site.faults.add(status=404, path=f"/content/{guide.id}/restriction")
    [content] = client.contents("page", [part.id])
    assert permissions.may(Caller(TENANT, EVE), content, "read")
    assert permissions.may(Caller(TENANT, EVE), content, "update")
    site.access.restrict(part.id, "update", [SAM], [])
    assert not permissions.may(Caller(TENANT, HIDA), content, "update")


@pytest.mark.parametrize("mode", ["PRE_ROLES", "ROLES"])
def test_who_may_delete_in_a_space_is_a_person_with_the_right_to(
    site: Site, client: SiteClient, mode: Literal["PRE_ROLES", "ROLES"]
) -> None:
    site.access.role_mode = mode
    site.access.revoke(site.space("HR").id, EVERYONE)
    site.access.admit(site.space("ENG").id, "user", BOT, admin=True)
    site.people[HIDA].active = False
    allowed = set()
    for space in site.spaces():
        for account in (EVE, SAM, "u-admin"):
            for kind in ("page", "blogpost"):
                expected = all(
                    site.access.permits(account, space.id, operation, target)
                    for operation, target in (("read", "space"), ("delete", kind))
                )
                assert client.may_delete(account, kind, space.id) == expected, (account, space.key, kind)
                allowed.add(expected)
        assert not any(client.may_delete(account, "page", space.id) for account in (HIDA, BOT, "u-nobody"))
    assert allowed == {True, False}
