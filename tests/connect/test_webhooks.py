"""Webhooks: one address per event, signed by the site, answered at once, remembered as hints and never believed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from addon.base import Caller, TenantId
from addon.confluence import Permissions, forget_hints, hints_since, note_hint, rights_changes
from addon.confluence.models import SiteHint
from addon.connect import WEBHOOK_EVENTS, webhook_path
from addon.connect.payload import MAX_BODY_BYTES
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import ADMIN, Site
from descriptor import build
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over

PAGE = {"page": {"id": 4711, "spaceKey": "DOCS", "title": "Never stored"}, "timestamp": 1, "userAccountId": "u-eve"}
BODIES: dict[str, dict[str, Any]] = {
    "page": PAGE,
    "blogpost": {"blog": {"id": "4712", "spaceKey": "~712020:ab-cd"}},
    "space": {"space": {"key": "DOCS"}},
    "user": {"user": {"accountId": "712020:ab-cd"}},
    "group": {"group": {"name": "editors"}},
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    clock = VirtualClock()
    site = Site(clock)
    seed_sized(site, spaces=2, pages=4)
    with house_over(site, clock, tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_hints(house: House) -> None:
    with house.parts.db.write_all() as session:
        session.execute(sa.delete(SiteHint))


def _hints(house: House) -> list[tuple[str, str, str, str | None]]:
    with house.parts.db.read_all() as session:
        rows = session.scalars(sa.select(SiteHint).order_by(SiteHint.kind, SiteHint.subject_id))
        return [(row.kind, row.subject_id, row.event, row.space_key) for row in rows]


def _tenant(house: House) -> TenantId:
    [installation] = house.parts.tenants.installed()
    return installation.id


def _post(house: House, event: str, body: bytes | str | dict[str, Any], token: str | None = None) -> requests.Response:
    path = webhook_path(event)
    if token is None:
        host = house.site.host
        token = host.token(host.addon(), "POST", path, "", None)
    data = json.dumps(body) if isinstance(body, dict) else body
    headers = {"Authorization": f"JWT {token}", "Content-Type": "application/json"}
    return requests.post(house.url + path, data=data, headers=headers, timeout=10)


def test_the_descriptor_asks_for_exactly_the_events_that_have_an_address(house: House) -> None:
    hooks = build(house.parts.settings)["modules"]["webhooks"]
    assert {hook["event"]: hook["url"] for hook in hooks} == {name: webhook_path(name) for name in WEBHOOK_EVENTS}
    bodyless = {hook["event"] for hook in hooks if hook.get("excludeBody")}
    assert bodyless == {name for name, about in WEBHOOK_EVENTS.items() if about in ("page", "blogpost")}


@pytest.mark.parametrize("event", sorted(WEBHOOK_EVENTS))
def test_every_event_is_answered_204_without_asking_the_site_however_often_it_comes(house: House, event: str) -> None:
    body = BODIES[WEBHOOK_EVENTS[event]]
    asked = len(house.site.meter.log)
    for _ in range(3):
        assert house.site.host.send_webhook(event, body) == [204]
    assert len(house.site.meter.log) == asked
    kind = WEBHOOK_EVENTS[event]
    assert len(_hints(house)) == (0 if kind in ("user", "group") else 1)


def test_what_changed_is_remembered_once_per_subject_with_the_newest_event(house: House) -> None:
    begun = house.clock.now()
    host = house.site.host
    host.send_webhook("page_created", PAGE)
    house.clock.advance(5)
    middle = house.clock.now()
    host.send_webhook("page_updated", PAGE)
    host.send_webhook("blog_trashed", BODIES["blogpost"])
    host.send_webhook("space_removed", {"space": {"key": "HR", "id": "77"}})
    assert _hints(house) == [
        ("blogpost", "4712", "blog_trashed", "~712020:ab-cd"),
        ("page", "4711", "page_updated", "DOCS"),
        ("space", "77", "space_removed", "HR"),
    ]
    tenant_id = _tenant(house)
    with house.parts.db.read(tenant_id) as session:
        assert len(hints_since(session, tenant_id, begun)) == 3
        assert [hint.subject_id for hint in hints_since(session, tenant_id, middle, ["page"])] == ["4711"]
        assert hints_since(session, tenant_id, middle + timedelta(seconds=1)) == []


def test_a_hint_heard_earlier_never_replaces_a_later_one_and_old_ones_are_dropped(house: House) -> None:
    tenant_id, now = _tenant(house), house.clock.now()
    with house.parts.db.write(tenant_id) as session:
        for event, at in (("page_trashed", now), ("page_created", now - timedelta(seconds=3))):
            note_hint(session, tenant_id, kind="page", subject_id="1", event=event, space_key=None, at=at)
    assert _hints(house) == [("page", "1", "page_trashed", None)]
    with house.parts.db.write_all() as session:
        forget_hints(session, now + timedelta(seconds=1))
    assert _hints(house) == []


@pytest.mark.parametrize(
    ("event", "body", "field"),
    [
        ("page_updated", {}, "/page"),
        ("page_updated", {"page": []}, "/page"),
        ("page_updated", {"page": {}}, "/page/id"),
        ("page_updated", {"page": {"id": "12/../3"}}, "/page/id"),
        ("page_updated", {"page": {"id": "1" * 21}}, "/page/id"),
        ("page_updated", {"page": {"id": 10**20}}, "/page/id"),
        ("page_updated", {"page": {"id": -1}}, "/page/id"),
        ("page_updated", {"page": {"id": True}}, "/page/id"),
        ("page_updated", {"page": {"id": 1.5}}, "/page/id"),
        ("page_updated", {"page": {"id": "٣"}}, "/page/id"),
        ("page_updated", {"page": {"id": "1\n"}}, "/page/id"),
        ("page_updated", {"page": {"id": 1, "spaceKey": "a b"}}, "/page/spaceKey"),
        ("blog_created", PAGE, "/blog"),
        ("space_removed", {"space": {}}, "/space/key"),
        ("space_removed", {"space": {"key": "K" * 300}}, "/space/key"),
        ("space_removed", {"space": {"id": "x", "key": "DOCS"}}, "/space/id"),
        ("user_removed", {"userAccountId": "u-eve"}, "/user"),
        ("user_removed", {"user": {"accountId": "a'b"}}, "/user/accountId"),
    ],
)
def test_a_malformed_body_is_refused_with_the_field_at_fault(
    house: House, event: str, body: dict[str, Any], field: str
) -> None:
    answer = _post(house, event, body)
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [field]
    assert _hints(house) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'"page"', b"[" * 5000])
def test_what_is_no_json_object_is_refused(house: House, body: bytes) -> None:
    assert _post(house, "page_updated", body).status_code == 400


def test_a_body_over_the_limit_is_refused_as_too_large(house: House) -> None:
    padded = {**PAGE, "padding": "x" * MAX_BODY_BYTES}
    assert _post(house, "page_updated", padded).status_code == 413
    assert _hints(house) == []


def test_a_webhook_needs_a_token_of_the_site_for_this_very_event(house: House) -> None:
    host = house.site.host
    addon = host.addon()
    elsewhere = host.token(addon, "POST", webhook_path("page_created"), "", None)
    tokens = (
        "",
        "nonsense",
        elsewhere,
        host.context_token(ADMIN),
        host.token(addon, "GET", webhook_path("page_updated"), "", None),
    )
    for token in tokens:
        answer = _post(house, "page_updated", PAGE, token=token)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (401, "no-store, no-cache")
    assert _hints(house) == []
    assert _post(house, "page_viewed", PAGE).status_code == 404
    assert requests.get(house.url + webhook_path("page_updated"), timeout=10).status_code == 405


def test_many_at_once_leave_one_hint(house: House) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(house.site.host.send_webhook("page_updated", PAGE)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [204] * 8
    assert len(_hints(house)) == 1


@pytest.mark.parametrize(
    "event", ["space_permissions_updated", "space_removed", "group_created", "group_removed", "user_deactivated"]
)
def test_remembered_permissions_are_asked_anew_after_what_may_have_changed_them(house: House, event: str) -> None:
    caller = Caller(_tenant(house), ADMIN)

    def changes(tenant_id: TenantId) -> int:
        with house.parts.db.read(tenant_id) as session:
            return rights_changes(session, tenant_id)

    elsewhere = Permissions(house.parts.confluence, house.clock, changes=changes)
    for permissions in (house.parts.permissions, elsewhere):
        assert permissions.is_site_admin(caller)
    before = house.site.meter.calls
    for permissions in (house.parts.permissions, elsewhere):
        assert permissions.is_site_admin(caller)
    assert house.site.meter.calls == before, "remembered"
    house.site.host.send_webhook(event, BODIES[WEBHOOK_EVENTS[event]] | {"user": {"accountId": ADMIN}})
    for number, permissions in enumerate((house.parts.permissions, elsewhere), start=1):
        assert permissions.is_site_admin(caller)
        assert house.site.meter.calls == before + number, "asked again, in the process that heard nothing as well"


def test_a_site_that_uninstalled_the_add_on_is_not_listened_to(tmp_path: Path) -> None:
    clock = VirtualClock()
    site = Site(clock)
    with house_over(site, clock, tmp_path) as house:
        addon = site.host.addon()
        clock.advance(1)
        site.host.uninstall()
        token = site.host.token(addon, "POST", webhook_path("page_updated"), "", None)
        assert _post(house, "page_updated", PAGE, token=token).status_code == 401
        assert _hints(house) == []
