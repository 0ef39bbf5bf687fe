"""Tenants as a source of sites: what a job gets when secrets rotate, sites refuse us, or installations end."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from addon.base import SecretBox, TenantGone, TenantId, Unreachable, new_id
from addon.connect import Tenants
from addon.connect.models import Tenant
from tests.connect.conftest import Host
from tests.support.connect import CLIENT_KEY, SECRET, context_token, install_payload

ROTATED = "the-secret-after-the-rotation-0123456789abcdef"


def _id(host: Host) -> TenantId:
    found = host.tenants.by_client_key(CLIENT_KEY)
    assert found is not None
    return found.id


def _needs_reinstall(host: Host) -> bool:
    row = host.row()
    assert row is not None
    return row.needs_reinstall


def test_an_installed_tenant_has_a_site(installed: Host) -> None:
    site = installed.tenants.get(_id(installed))
    assert (site.base_url, site.generation, site.secret_version) == ("https://one.atlassian.net/wiki", 1, 1)
    assert SECRET not in repr(site)


def test_an_unknown_tenant_is_gone(host: Host) -> None:
    with pytest.raises(TenantGone):
        host.tenants.get(TenantId(new_id()))
    assert host.tenants.by_id(TenantId(new_id())) is None


def test_after_a_rotation_the_refused_caller_gets_the_newer_secret(installed: Host) -> None:
    stale = installed.tenants.get(_id(installed))
    installed.clock.advance(1)
    installed.lifecycle("installed", install_payload(sharedSecret=ROTATED))
    fresh = installed.tenants.get(_id(installed), stale=stale)
    assert fresh.secret_version == 2
    assert _needs_reinstall(installed) is False


def test_a_site_that_refuses_the_newest_secret_needs_a_new_installation(installed: Host) -> None:
    site = installed.tenants.get(_id(installed))
    with pytest.raises(Unreachable):
        installed.tenants.get(_id(installed), stale=site)
    assert _needs_reinstall(installed) is True
    installed.clock.advance(1)
    installed.lifecycle("installed", install_payload(sharedSecret=ROTATED))
    assert _needs_reinstall(installed) is False


def test_a_site_that_signs_with_our_secret_needs_no_new_installation(installed: Host) -> None:
    site = installed.tenants.get(_id(installed))
    with pytest.raises(Unreachable):
        installed.tenants.get(_id(installed), stale=site)
    token = context_token(now=installed.clock.now())
    answer = installed.client.get("/api/thing", headers={"Authorization": f"JWT {token}"})
    assert answer.status_code == 200
    assert _needs_reinstall(installed) is False


def test_work_begun_before_an_uninstall_finds_its_tenant_gone_even_after_a_return(installed: Host) -> None:
    stale = installed.tenants.get(_id(installed))
    installed.clock.advance(1)
    installed.lifecycle("uninstalled")
    with pytest.raises(TenantGone):
        installed.tenants.get(_id(installed), stale=stale)
    installed.clock.advance(1)
    installed.lifecycle("installed")
    with pytest.raises(TenantGone):
        installed.tenants.get(_id(installed), stale=stale)
    assert installed.tenants.get(_id(installed)).generation == 2


def test_only_installed_tenants_are_listed(installed: Host) -> None:
    assert [found.client_key for found in installed.tenants.installed()] == [CLIENT_KEY]
    installed.clock.advance(1)
    installed.lifecycle("uninstalled")
    assert installed.tenants.installed() == []


def test_secrets_move_to_the_newest_encryption_key(installed: Host) -> None:
    old, new = installed.settings.encryption_keys[0], Fernet.generate_key().decode()
    both = Tenants(installed.db, SecretBox([new, old]), installed.clock, addon_key="content-steward")
    assert both.rotate_secrets() == 1
    only_new = Tenants(installed.db, SecretBox([new]), installed.clock, addon_key="content-steward")
    found = only_new.by_client_key(CLIENT_KEY)
    assert found is not None
    assert only_new.secret_of(found) == SECRET


def test_a_secret_that_cannot_be_read_makes_the_site_unreachable_without_a_mark(installed: Host) -> None:
    other = Tenants(installed.db, SecretBox([Fernet.generate_key().decode()]), installed.clock, addon_key="x")
    with pytest.raises(Unreachable):
        other.get(_id(installed))
    assert _needs_reinstall(installed) is False


def test_a_rotation_that_wins_the_race_is_not_marked(installed: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = installed.tenants.get(_id(installed))
    real = installed.tenants._set_needs_reinstall

    def rotated_first(*args: object) -> bool:
        monkeypatch.setattr(installed.tenants, "_set_needs_reinstall", real)
        with installed.db.write_all() as session:
            row = session.get_one(Tenant, stale.tenant_id)
            row.secret_version += 1
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(installed.tenants, "_set_needs_reinstall", rotated_first)
    assert installed.tenants.get(stale.tenant_id, stale=stale).secret_version == 2
    assert _needs_reinstall(installed) is False
