"""Installing, enabling, disabling, uninstalling: in any order, repeated, in parallel, and out of date."""

from __future__ import annotations

from typing import Any

import pytest

from addon.base import TenantGone
from addon.connect.models import SpentToken
from tests.connect.conftest import Host
from tests.support.answers import typed
from tests.support.connect import (
    BASE_URL,
    CLIENT_KEY,
    SECRET,
    context_token,
    install_claims,
    install_payload,
    page_token,
)

OTHER_SECRET = "another-shared-secret-after-a-rotation-98765"


def test_the_first_install_stores_a_tenant_and_tells_the_listener(host: Host) -> None:
    answer = host.lifecycle("installed")

    assert answer.status_code == 204
    row = host.row()
    assert row is not None
    assert (row.state, row.enabled, row.needs_reinstall, row.generation, row.secret_version) == (
        "installed",
        True,
        False,
        1,
        1,
    )
    assert (row.base_url, row.oauth_client_id) == ("https://one.atlassian.net/wiki", "an-oauth-client")
    assert row.lifecycle_iat == int(host.clock.now().timestamp())
    assert host.listener.heard == [("installed", row.id, True, False)]


def test_the_shared_secret_is_never_stored_in_clear(installed: Host) -> None:
    row = installed.row()
    assert row is not None
    assert row.secret is not None
    assert SECRET.encode() not in row.secret
    found = installed.tenants.by_client_key(CLIENT_KEY)
    assert found is not None
    assert installed.tenants.secret_of(found) == SECRET
    assert SECRET not in repr(found)


def test_an_upgrade_rename_and_rotation_keep_the_tenant_and_take_the_new_values(installed: Host) -> None:
    before = installed.row()
    installed.clock.advance(60)
    answer = installed.lifecycle(
        "installed",
        install_payload(
            sharedSecret=OTHER_SECRET,
            baseUrl="https://renamed.atlassian.net/wiki/",
            displayUrl="https://wiki.example.org/wiki",
        ),
    )

    assert answer.status_code == 204
    row = installed.row()
    assert before is not None
    assert row is not None
    assert (row.id, row.generation, row.secret_version) == (before.id, 1, 2)
    assert (row.base_url, row.display_url) == ("https://renamed.atlassian.net/wiki", "https://wiki.example.org/wiki")
    assert installed.listener.heard[-1] == ("installed", row.id, False, False)
    assert installed.get("/page").status_code == 401, "the old secret is invalid at once"
    assert (
        installed.get("/page", token=page_token(OTHER_SECRET, path="/page", now=installed.clock.now())).status_code
        == 200
    )


def test_uninstall_drops_the_secret_raises_the_generation_and_closes_every_door(installed: Host) -> None:
    installed.clock.advance(5)
    assert installed.lifecycle("uninstalled").status_code == 204

    row = installed.row()
    assert row is not None
    assert (row.state, row.secret, row.generation) == ("uninstalled", None, 2)
    assert row.uninstalled_at == installed.clock.now()
    assert installed.listener.heard[-1] == ("uninstalled", row.id)
    assert installed.get("/page").status_code == 401
    with pytest.raises(TenantGone):
        installed.tenants.get(row.id)


def test_a_second_uninstall_changes_nothing_and_tells_nobody(installed: Host) -> None:
    for _ in range(3):
        installed.clock.advance(1)
        assert installed.lifecycle("uninstalled").status_code == 204
    row = installed.row()
    assert row is not None
    assert row.generation == 2
    assert [heard[0] for heard in installed.listener.heard] == ["installed", "uninstalled"]


def test_a_site_that_returns_finds_its_tenant_again(installed: Host) -> None:
    before = installed.row()
    installed.clock.advance(5)
    installed.lifecycle("uninstalled")
    installed.clock.advance(5)
    assert installed.lifecycle("installed", install_payload(sharedSecret=OTHER_SECRET)).status_code == 204

    row = installed.row()
    assert before is not None
    assert row is not None
    assert (row.id, row.state, row.enabled, row.needs_reinstall) == (before.id, "installed", True, False)
    assert (row.generation, row.secret_version, row.uninstalled_at) == (2, 2, None)
    assert installed.listener.heard[-1] == ("installed", row.id, False, True)


def test_uninstalling_an_unknown_site_is_fine_and_stores_nothing(host: Host) -> None:
    assert host.lifecycle("uninstalled").status_code == 204
    assert host.row() is None
    assert host.listener.heard == []


def test_a_lifecycle_call_older_than_the_newest_one_changes_nothing(host: Host) -> None:
    old_install = host.keys.sign(install_claims("installed", now=host.clock.now()))
    old_uninstall = host.keys.sign(install_claims("uninstalled", now=host.clock.now()))
    host.clock.advance(10)
    host.lifecycle("installed")
    assert host.lifecycle("uninstalled", token=old_uninstall).status_code == 204
    row = host.row()
    assert row is not None
    assert row.state == "installed"

    host.clock.advance(10)
    host.lifecycle("uninstalled")
    heard = list(host.listener.heard)
    assert host.lifecycle("installed", token=old_install).status_code == 204
    row = host.row()
    assert row is not None
    assert (row.state, row.secret) == ("uninstalled", None)
    assert host.listener.heard == heard


def test_disabled_and_enabled_switch_the_tenant(installed: Host) -> None:
    assert installed.switch("disabled").status_code == 204
    row = installed.row()
    assert row is not None
    assert row.enabled is False
    assert installed.switch("disabled").status_code == 204
    assert installed.switch("enabled").status_code == 204
    row = installed.row()
    assert row is not None
    assert row.enabled is True
    assert [heard[0] for heard in installed.listener.heard[1:]] == ["disabled", "disabled", "enabled"]


def test_while_the_app_is_disabled_every_door_but_the_lifecycles_is_closed(installed: Host) -> None:
    context = {"Authorization": f"JWT {context_token(now=installed.clock.now())}"}
    hook = page_token(account_id=None, path="/hook", method="POST", now=installed.clock.now())

    def answers() -> list[int]:
        return [
            installed.get("/page").status_code,
            installed.client.get("/api/thing", headers=context).status_code,
            installed.client.post("/hook", json={}, headers={"Authorization": f"JWT {hook}"}).status_code,
        ]

    assert answers() == [200, 200, 200]
    installed.switch("disabled")
    assert answers() == [401, 401, 401]
    row = installed.row()
    assert row is not None
    with pytest.raises(TenantGone, match="disabled"):
        installed.tenants.get(row.id)
    installed.switch("enabled")
    assert answers() == [200, 200, 200]


def test_an_install_token_is_good_for_one_body_only(installed: Host) -> None:
    """The body is not signed: someone who saw the token could send it once more with a secret that they know."""
    token = installed.keys.sign(install_claims(now=installed.clock.now()))
    assert installed.lifecycle("installed", token=token).status_code == 204
    assert installed.lifecycle("installed", token=token).status_code == 204, "a repeated delivery"
    for changed in (
        {"sharedSecret": "a secret of the attacker's own choice"},
        {"baseUrl": "https://x.atlassian.net/wiki"},
    ):
        answer = installed.lifecycle("installed", install_payload(**changed), token)
        assert (answer.status_code, answer.json["type"].rpartition(":")[2]) == (401, "token-used")
    row = installed.row()
    assert row is not None
    assert row.base_url == "https://one.atlassian.net/wiki"
    assert installed.get("/page").status_code == 200


def test_used_install_tokens_are_remembered_until_they_expire(installed: Host) -> None:
    def remembered() -> int:
        with installed.db.read_all() as session:
            return session.query(SpentToken).count()

    before = remembered()
    assert installed.lifecycle("installed").status_code == 204
    installed.clock.advance(1)
    assert installed.lifecycle("installed").status_code == 204
    assert remembered() >= before + 1
    installed.clock.advance(7200)
    assert installed.lifecycle("installed").status_code == 204
    assert remembered() == 1


def test_disabled_after_uninstalled_is_refused_and_uninstalled_after_disabled_works(installed: Host) -> None:
    installed.switch("disabled")
    assert installed.lifecycle("uninstalled").status_code == 204
    row = installed.row()
    for event in ("enabled", "disabled"):
        answer = installed.switch(event)
        assert (answer.status_code, answer.json["type"]) == (401, "urn:content-steward:problem:tenant-unknown")
    after = installed.row()
    assert row is not None
    assert after is not None
    assert (after.state, after.enabled, after.updated_at) == ("uninstalled", False, row.updated_at)


def test_a_disabled_that_was_signed_before_the_newest_install_is_out_of_date(installed: Host) -> None:
    late = page_token(account_id=None, method="POST", path="/connect/disabled", now=installed.clock.now())
    installed.clock.advance(10)
    installed.lifecycle("installed")
    assert installed.switch("disabled", token=late).status_code == 204
    row = installed.row()
    assert row is not None
    assert row.enabled is True


@pytest.mark.parametrize(("late", "newer"), [("enabled", "disabled"), ("disabled", "enabled")])
def test_a_late_switch_does_not_beat_a_newer_one(installed: Host, late: str, newer: str) -> None:
    token = page_token(account_id=None, method="POST", path=f"/connect/{late}", now=installed.clock.now())
    installed.clock.advance(10)
    installed.switch(newer)
    heard = list(installed.listener.heard)
    assert installed.switch(late, token=token).status_code == 204
    row = installed.row()
    assert row is not None
    assert row.enabled is (newer == "enabled")
    assert installed.listener.heard == heard


@pytest.mark.parametrize("event", ["installed", "uninstalled"])
def test_an_install_or_uninstall_signed_before_the_newest_switch_changes_nothing(installed: Host, event: str) -> None:
    token = installed.keys.sign(install_claims(event, now=installed.clock.now()))
    installed.clock.advance(10)
    installed.switch("disabled")
    assert installed.lifecycle(event, token=token).status_code == 204
    row = installed.row()
    assert row is not None
    assert (row.state, row.enabled) == ("installed", False)


def test_of_switches_signed_in_the_same_second_the_last_one_heard_counts(installed: Host) -> None:
    for event in ("disabled", "enabled", "disabled"):
        assert installed.switch(event).status_code == 204
        row = installed.row()
        assert row is not None
        assert row.enabled is (event == "enabled")
    assert installed.lifecycle("uninstalled").status_code == 204
    row = installed.row()
    assert row is not None
    assert row.state == "uninstalled"


def test_a_switch_whose_token_does_not_say_when_it_was_signed_is_refused(installed: Host) -> None:
    claims = page_token(account_id=None, method="POST", path="/connect/disabled", now=installed.clock.now(), iat=None)
    answer = installed.switch("disabled", token=claims)
    assert (answer.status_code, answer.json["type"]) == (401, "urn:content-steward:problem:token-claims")


def test_what_the_listener_refuses_is_not_stored(host: Host) -> None:
    host.app.config["PROPAGATE_EXCEPTIONS"] = False
    host.listener.fail = RuntimeError("no room for another tenant")
    assert host.lifecycle("installed").status_code == 500
    assert host.row() is None


def test_two_sites_are_two_tenants(installed: Host) -> None:
    other = "beefbeef-0000-0000-0000-000000000000"
    token = installed.keys.sign(install_claims(now=installed.clock.now(), iss=other))
    body = install_payload(clientKey=other, baseUrl="https://two.jira.com/wiki", sharedSecret=OTHER_SECRET)
    assert installed.lifecycle("installed", body, token).status_code == 204
    one, two = installed.row(), installed.row(other)
    assert one is not None
    assert two is not None
    assert one.id != two.id
    assert one.base_url == "https://one.atlassian.net/wiki"


@pytest.mark.parametrize("audience", [BASE_URL, [BASE_URL], BASE_URL + "/", ["https://other.example.com", BASE_URL]])
def test_the_audience_may_be_a_text_or_a_list_with_or_without_a_slash(host: Host, audience: Any) -> None:
    token = host.keys.sign(install_claims(now=host.clock.now(), aud=audience))
    assert host.lifecycle("installed", token=token).status_code == 204


def test_installing_below_a_base_path_works_behind_a_proxy_that_strips_it_or_not(make_host: Any) -> None:
    host = make_host(base_url=f"{BASE_URL}/steward")
    token = host.keys.sign(install_claims(now=host.clock.now(), aud=f"{BASE_URL}/steward"))
    assert host.lifecycle("installed", token=token).status_code == 204
    mounted = host.client.post(
        "/connect/installed",
        json=install_payload(),
        headers={"Authorization": f"JWT {token}"},
        environ_overrides={"SCRIPT_NAME": "/steward", "REQUEST_URI": "/steward/connect/installed"},
    )
    assert mounted.status_code == 204


def test_a_plain_http_site_on_loopback_is_a_tenant_only_when_configured(make_host: Any) -> None:
    body = install_payload(baseUrl="http://127.0.0.1:8123/wiki", displayUrl="http://127.0.0.1:8123/wiki")
    assert make_host().lifecycle("installed", body).status_code == 400
    sandbox = make_host(allowed_hosts=("*.atlassian.net", "http://127.0.0.1:*"))
    assert sandbox.lifecycle("installed", body).status_code == 204


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "another-app"),
        ("key", None),
        ("eventType", "uninstalled"),
        ("eventType", None),
        ("productType", "jira"),
        ("clientKey", None),
        ("clientKey", 7),
        ("clientKey", "with space"),
        ("clientKey", "c" * 300),
        ("sharedSecret", None),
        ("sharedSecret", ""),
        ("sharedSecret", ["x"]),
        ("sharedSecret", "lone \ud800 surrogate"),
        ("baseUrl", None),
        ("baseUrl", 5),
        ("baseUrl", "http://one.atlassian.net/wiki"),
        ("baseUrl", "https://evil.example.com/wiki"),
        ("baseUrl", "https://one.atlassian.net.evil.example.com/wiki"),
        ("baseUrl", "https://evilatlassian.net/wiki"),
        ("baseUrl", "https://atlassian.net/wiki"),
        ("baseUrl", "https://user@one.atlassian.net/wiki"),
        ("baseUrl", "https://evil.example.com\\.atlassian.net/wiki"),
        ("baseUrl", "https://evil.example.com#.atlassian.net/wiki"),
        ("baseUrl", "https://one.atlassian.net:8443/wiki"),
        ("baseUrl", "https://one.atlassian.net:99999/wiki"),
        ("baseUrl", "https://one.atlassian.net/wiki?x=1"),
        ("baseUrl", "https://one.atlassian.net/a/../wiki"),
        ("baseUrl", "https://one.atlassian.net"),
        ("baseUrl", "https://[::1/wiki"),
        ("baseUrl", "https://127.0.0.1/wiki"),
        ("baseUrl", "file:///etc/wiki"),
        ("baseUrl", "https://one.atlassian.net\n/wiki"),
        ("oauthClientId", {"a": 1}),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(host: Host, field: str, value: Any) -> None:
    answer = host.lifecycle("installed", install_payload(**{field: value}))
    assert answer.status_code in (400, 401)
    assert answer.json["errors"][0]["pointer"] == f"/{field}"
    assert host.row() is None


@pytest.mark.parametrize(
    "display", ["javascript:alert(1)", "http://wiki.example.org", "https://x y", 7, "", "https://a;b/wiki"]
)
def test_an_unclean_display_url_is_dropped_and_links_use_the_base_url(host: Host, display: Any) -> None:
    assert host.lifecycle("installed", install_payload(displayUrl=display)).status_code == 204
    found = host.tenants.by_client_key(CLIENT_KEY)
    assert found is not None
    assert (found.display_url or found.base_url) == "https://one.atlassian.net/wiki"


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b'"text"', b"{", b"\xff\xfe{}", b"[" * 60_000, b'{"a": ' * 10_000, b"9" * 50_000],
    ids=["empty", "null", "list", "number", "text", "open", "utf16", "deep list", "deep object", "long number"],
)
@pytest.mark.parametrize("event", ["installed", "uninstalled", "enabled", "disabled"])
def test_a_garbage_body_is_a_bad_request(installed: Host, event: str, body: bytes) -> None:
    if event in ("installed", "uninstalled"):
        token = installed.keys.sign(install_claims(event, now=installed.clock.now()))
    else:
        token = page_token(method="POST", path=f"/connect/{event}", now=installed.clock.now())
    answer = typed(installed.client.post(f"/connect/{event}", data=body, headers={"Authorization": f"JWT {token}"}))
    assert answer.status_code == 400
    assert answer.json["type"] == "urn:content-steward:problem:lifecycle-body"


def test_an_oversized_body_is_refused_as_such(host: Host) -> None:
    assert host.lifecycle("installed", install_payload(description="x" * 70_000)).status_code == 413


def test_enabled_of_one_site_cannot_name_another(installed: Host) -> None:
    answer = installed.switch("disabled", body=install_payload("disabled", clientKey="another-site"))
    assert (answer.status_code, answer.json["type"]) == (401, "urn:content-steward:problem:token-issuer")
    row = installed.row()
    assert row is not None
    assert row.enabled is True


def test_a_get_on_a_lifecycle_address_is_not_allowed(host: Host) -> None:
    assert host.client.get("/connect/installed").status_code == 405
