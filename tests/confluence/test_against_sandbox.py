"""The client and the pretend site agree: on what is asked and answered, and on what it costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from addon.base import Caller, Clock, SystemClock, TenantId
from addon.base import Site as SiteOfTenant
from addon.base import Space as SpaceOfSite
from addon.confluence import Confluence, Permissions, SiteClient, errors
from addon.connect.siteauth import SiteAuth
from addon.sandbox.server import SandboxServer
from addon.sandbox.site import Site
from tests.support.answers import refused_with_problem

TENANT = TenantId("0192f000-0000-7000-8000-000000000001")
SECRET = "a-shared-secret-of-decent-length-0123456789"
EVERYTHING = ["history", "history.lastUpdated", "version", "space", "ancestors", "metadata.labels"]


@pytest.fixture
def site() -> Site:
    made = Site(SystemClock())
    made.register_addon("content-steward", "client-1", SECRET, {"scopes": ["READ", "WRITE", "DELETE"]}, "")
    made.add_user("u-writer", "Wanda Writer", "wanda@example.com", groups=("g-docs",))
    made.add_user("u-guest", "Gus Guest", "gus@example.com", email_visible=False)
    made.add_space("DOCS", "Documents", admin_groups=("g-docs",))
    made.add_space("~wanda", "Wanda", type="personal", admins=("u-writer",), admin_groups=())
    return made


@pytest.fixture(scope="module")
def started() -> Iterator[list[SandboxServer]]:
    """Servers take a second to stop: all together, at the end."""
    servers: list[SandboxServer] = []
    yield servers
    stopping = [threading.Thread(target=server.stop) for server in servers]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join(15)


@pytest.fixture
def server(site: Site, started: list[SandboxServer]) -> SandboxServer:
    started.append(SandboxServer(site, threads=4).start())
    return started[-1]


@pytest.fixture
def live(server: SandboxServer, sites: Any, make_confluence: Callable[..., Confluence]) -> Confluence:
    clock: Clock = SystemClock()
    auth = SiteAuth(
        addon_key="content-steward", client_key="client-1", base_url=server.site.base_url, secret=SECRET, clock=clock
    )
    sites.current[TENANT] = SiteOfTenant(TENANT, server.site.base_url, 1, 1, auth)
    return make_confluence()


@pytest.fixture
def asking(live: Confluence, guard: Any) -> Iterator[SiteClient]:
    with live.client(TENANT, run=guard, share="job") as client:
        yield client


def space_of(site: Site, key: str) -> SpaceOfSite:
    space = site.space(key)
    return SpaceOfSite(space.id, space.key, space.name, space.type)


def test_a_day_of_work_on_the_site(asking: SiteClient, site: Site, guard: Any) -> None:
    pages = [site.add_page("DOCS", f"Ü & co {number}", author="u-writer") for number in range(5)]
    child = site.add_page("DOCS", "Child", author="u-writer", parent=pages[0].id)
    post = site.add_blogpost("DOCS", "News", author="u-writer")

    docs, personal = asking.spaces()
    assert (docs.key, docs.homepage_id is not None, personal.type) == ("DOCS", True, "personal")
    assert [space.key for space in asking.spaces(keys=["~wanda"])] == ["~wanda"]
    assert asking.count('(type in (page, blogpost)) and (space in ("DOCS"))') == 8

    stamped = asking.create_property("page", pages[0].id, "steward-status", {"id": "expired"})
    stamped = asking.update_property("page", pages[0].id, stamped, {"id": "not-updated"})
    assert asking.property("page", pages[0].id, "steward-status") == stamped
    with pytest.raises(errors.Conflict):
        asking.update_property("page", pages[0].id, stamped.__class__(stamped.id, stamped.key, None, 1), {})

    found = {
        content.id: content
        for content in asking.search(
            'type in (page, blogpost) and space = "DOCS"', expand=[*EVERYTHING, "metadata.properties.steward-status"]
        )
    }
    assert len(found) == 8
    assert found[pages[0].id].properties == {"steward-status": replace(stamped, author_id=None)}
    assert found[pages[0].id].title == "Ü & co 0"
    assert found[child.id].ancestors[-1] == pages[0].id
    assert found[post.id].kind == "blogpost"
    assert found[post.id].author_id == "u-writer"
    assert found[post.id].space_key == "DOCS"

    assert asking.has_children(pages[0].id) is True
    assert asking.has_children(child.id) is False
    assert asking.ancestors(child.id)[-1] == pages[0].id
    assert asking.read_restricted(child.id) is False
    assert [content.id for content in asking.contents("page", [child.id, "999999"])] == [child.id]

    task = asking.long_task(asking.archive([child.id]))
    assert task is not None
    asking.trash("blogpost", post.id)
    with pytest.raises(errors.NotFound):
        asking.trash("blogpost", post.id)
    asking.delete_property("page", pages[0].id, stamped.id)

    people = {user.account_id: user for user in asking.users(["u-writer", "u-guest", "nobody"])}
    assert {name: user.email for name, user in people.items()} == {"u-writer": "wanda@example.com", "u-guest": None}
    assert "g-docs" in asking.groups_of("u-writer")
    assert asking.system_info().edition == "premium"
    assert asking.long_task("unknown") is None

    usage = site.meter.usage()
    assert (guard.points, guard.calls) == (usage["points"], usage["calls"])


def test_long_listings_are_read_to_their_end(asking: SiteClient, site: Site, guard: Any) -> None:
    for number in range(450):
        site.add_page("DOCS", f"P{number}", author="u-writer")
    ids = [content.id for content in asking.search('type = page and space = "DOCS"', expand=["version"])]
    assert len(ids) == len(set(ids)) == 451
    assert len(asking.contents("page", ids)) == 451
    assert (guard.points, guard.calls) == (site.meter.points, site.meter.calls)


@pytest.mark.parametrize("mode", ["PRE_ROLES", "ROLES_TRANSITION", "ROLES"])
def test_who_administers_is_told_apart_in_every_mode(asking: SiteClient, site: Site, guard: Any, mode: Any) -> None:
    site.access.role_mode = mode
    docs, personal = space_of(site, "DOCS"), space_of(site, "~wanda")
    assert [asking.is_site_admin(name) for name in ("u-admin", "u-writer", "nobody")] == [True, False, False]
    assert asking.is_space_admin("u-writer", docs.id) is True
    assert asking.is_space_admin("u-writer", personal.id) is True
    assert asking.is_space_admin("u-guest", docs.id) is False
    assert asking.is_space_admin("u-guest", personal.id) is False
    assert (guard.points, guard.calls) == (site.meter.points, site.meter.calls)


def test_permissions_follow_the_site_once_a_decision_is_too_old(live: Confluence, site: Site, clock: Any) -> None:
    permissions = Permissions(live, clock, changes=lambda _tenant: 0)
    caller, docs = Caller(TENANT, "u-writer"), space_of(site, "DOCS")
    permissions.require_space_admin(caller, "DOCS", lambda: docs)
    with refused_with_problem() as caught:
        permissions.require_site_admin(caller)
    assert caught.value.status == 403
    site.people["u-writer"].groups.discard("g-docs")
    permissions.require_space_admin(caller, "DOCS", lambda: docs)
    clock.advance(timedelta(seconds=61))
    with refused_with_problem():
        permissions.require_space_admin(caller, "DOCS", lambda: docs)


def test_cql_the_site_refuses_is_rejected_with_its_words(asking: SiteClient) -> None:
    with pytest.raises(errors.CqlRejected, match="parse"):
        list(asking.search("type = = page"))


def test_injected_faults_become_errors(asking: SiteClient, site: Site) -> None:
    site.faults.add_json({"method": "GET", "path": "/wiki/rest/api/content/search", "effect": "malformed", "count": 3})
    with pytest.raises(errors.Malformed):
        list(asking.search("type = page"))
    assert list(asking.search('type = page and title = "x"')) == []


def test_a_used_up_quota_is_told_by_the_site(asking: SiteClient, site: Site) -> None:
    site.meter.used = site.meter.quota
    with pytest.raises(errors.QuotaExhausted):
        asking.system_info()


def test_many_threads_share_one_client(asking: SiteClient, site: Site, guard: Any) -> None:
    pages = [site.add_page("DOCS", f"P{number}", author="u-writer").id for number in range(24)]
    failures: list[Exception] = []

    def stamp(mine: list[str]) -> None:
        try:
            for page_id in mine:
                asking.create_property("page", page_id, "steward-status", {"id": "expired"})
        except Exception as error:  # noqa: BLE001 (handed to the test's own thread)
            failures.append(error)

    threads = [threading.Thread(target=stamp, args=(pages[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert site.meter.points == 24
