"""What a site's events leave behind: hints to look, permissions asked again, a removed person erased."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from addon.base import REMOVED_PERSON, Database, TenantId
from addon.confluence import hints_since, rights_changes
from addon.connect import SiteEvent
from addon.listeners import SiteEvents
from addon.policies import Policies
from tests.support.clock import VirtualClock


@pytest.fixture
def tenant(new_tenant: Callable[..., TenantId]) -> TenantId:
    return new_tenant()


@pytest.fixture
def events(database: Database, clock: VirtualClock) -> SiteEvents:
    return SiteEvents(database, clock)


def _hints(database: Database, clock: VirtualClock, tenant: TenantId) -> set[tuple[str, str]]:
    with database.read(tenant) as session:
        return {(hint.kind, hint.subject_id) for hint in hints_since(session, tenant, clock.now())}


def test_a_page_that_changed_is_a_hint_however_often_the_site_says_so(
    database: Database, clock: VirtualClock, events: SiteEvents, tenant: TenantId
) -> None:
    for _ in range(2):
        events.on_event(tenant, SiteEvent("page_updated", "page", "1001", "DOCS"))
    assert _hints(database, clock, tenant) == {("page", "1001")}
    with database.read(tenant) as session:
        assert rights_changes(session, tenant) == 0


@pytest.mark.parametrize(
    "event",
    [
        SiteEvent("space_permissions_updated", "space", "77", "DOCS"),
        SiteEvent("group_created", "group", ""),
        SiteEvent("user_deactivated", "user", "u-1"),
    ],
    ids=lambda event: event.event,
)
def test_what_may_change_permissions_has_them_asked_again(
    event: SiteEvent, database: Database, events: SiteEvents, tenant: TenantId
) -> None:
    events.on_event(tenant, event)
    with database.read(tenant) as session:
        assert rights_changes(session, tenant) == 1


def test_a_removed_person_is_erased_from_the_policies(
    database: Database, clock: VirtualClock, events: SiteEvents, tenant: TenantId
) -> None:
    policies = Policies(clock)
    with database.write(tenant) as session:
        policies.seed(session, tenant)
        data = policies.current(session, tenant)[1].data()
        data["notificationSchemes"][0]["rules"][0]["recipients"] = [{"user": "u-gone"}]
        policies.put(session, tenant, policies.check(data), if_match=1, by="u-gone")
    events.on_event(tenant, SiteEvent("user_removed", "user", "u-gone"))
    with database.read(tenant) as session:
        document = policies.current(session, tenant)[1]
        newest = policies.history(session, tenant)[0]
    assert document.notification_schemes[0].rules[0].recipients[0].id == REMOVED_PERSON
    assert newest.by is None
