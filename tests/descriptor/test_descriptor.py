"""The descriptor that is served: complete, installable, and filled in without a way to break out."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from addon.config import Settings
from addon.connect import LIFECYCLE_PATHS, check_routes
from descriptor import DescriptorInvalid, build, descriptor_blueprint, implied, template_path, validate

ROOT = Path(__file__).parents[2]


def settings(**changes: Any) -> Settings:
    return Settings(**({"base_url": "https://steward.example.com"} | changes))


def test_the_descriptor_is_one_a_host_accepts() -> None:
    validate(build(settings()))


def test_it_is_served_to_everybody_as_json() -> None:
    app = Flask("descriptor", static_folder=None)
    app.register_blueprint(descriptor_blueprint(settings()))
    check_routes(app)
    answer = app.test_client().get("/atlassian-connect.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json == build(settings())


def test_it_asks_for_signed_installs_context_tokens_and_account_ids() -> None:
    descriptor = build(settings())
    assert descriptor["authentication"] == {"type": "jwt"}
    assert descriptor["apiMigrations"] == {"signed-install": True, "context-qsh": True, "gdpr": True}
    assert descriptor["lifecycle"] == LIFECYCLE_PATHS


def test_it_puts_jobs_where_administrators_look() -> None:
    modules = build(settings())["modules"]
    [admin] = modules["adminPages"]
    [space] = modules["spaceToolsTabs"]
    assert (admin["name"], admin["url"]) == ({"value": "Content Steward"}, "/jobs")
    assert space["location"] == "integrations"
    assert space["url"] == "/space-jobs?spaceKey={space.key}&spaceId={space.id}"
    assert modules["configurePage"]["url"] == modules["postInstallPage"]["url"] == "/jobs"


def test_values_fill_every_placeholder_and_cannot_break_out_of_their_strings() -> None:
    descriptor = build(settings(base_url='https://a.example.com/x","key":"evil', namespace="warden", addon_key="a.b"))
    assert descriptor["baseUrl"] == 'https://a.example.com/x","key":"evil'
    assert descriptor["key"] == "a.b"
    assert "{{" not in json.dumps(descriptor)
    assert "steward" not in json.dumps(descriptor["modules"]["confluenceContentProperties"]).lower().replace(
        "content steward", ""
    )


def test_the_namespace_names_properties_and_cql_aliases() -> None:
    [module] = build(settings(namespace="warden"))["modules"]["confluenceContentProperties"]
    found = {
        entry["propertyKey"]: {e["alias"]: (e["objectName"], e["type"]) for e in entry["extractions"]}
        for entry in module["keyConfigurations"]
    }
    assert found == {
        "warden-status": {
            "wardenStatus": ("id", "string"),
            "wardenStatusName": ("name.value", "string"),
            "wardenPreviousStatus": ("previous", "string"),
            "wardenStatusChangedOn": ("changedOn", "date"),
        },
        "warden-review": {
            "wardenExpirationDate": ("expirationDate", "date"),
            "wardenReviewedOn": ("reviewedOn", "date"),
        },
    }


def test_e_mail_addresses_are_asked_for_only_once_approved() -> None:
    assert build(settings())["scopes"] == ["READ", "WRITE", "DELETE"]
    approved = build(settings(email_api="approved"))
    assert approved["scopes"] == ["READ", "WRITE", "DELETE", "ACCESS_EMAIL_ADDRESSES"]
    validate(approved)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "http://localhost:9000", "https://a.example.com/steward"])
def test_a_base_url_on_this_machine_or_with_a_path_is_fine(base: str) -> None:
    validate(build(settings(base_url=base)))


def test_each_scope_includes_the_smaller_ones() -> None:
    assert implied(["DELETE"]) == {"READ", "WRITE", "DELETE"}
    assert implied(["read", "access_email_addresses"]) == {"READ", "ACCESS_EMAIL_ADDRESSES"}
    assert implied(["NONE"]) == {"NONE"}


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(descriptor: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        node: Any = descriptor
        for part in parents:
            node = node[int(part) if part.isdigit() else part]
        if value is None:
            del node[last]
        else:
            node[last] = value

    return change


EXTRACTION = "modules.confluenceContentProperties.0.keyConfigurations.0.extractions.0"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("key", None), "key"),
        (_set("key", "with space"), "key"),
        (_set("key", "k" * 65), "key"),
        (_set("name", "Confluence Steward"), "name"),
        (_set("name", "n" * 81), "name"),
        (_set("description", "d" * 1401), "description"),
        (_set("baseUrl", "http://steward.example.com"), "baseUrl"),
        (_set("baseUrl", "https://steward.example.com/"), "baseUrl"),
        (_set("baseUrl", "https://steward.example.com?x=1"), "baseUrl"),
        (_set("baseUrl", "steward.example.com"), "baseUrl"),
        (_set("baseUrl", "https://" + "s" * 200 + ".example.com"), "baseUrl"),
        (_set("authentication", {"type": "none"}), "authentication"),
        (_set("authentication", {"type": "JWT"}), "authentication"),
        (_set("apiMigrations.signed-install", False), "signed-install"),
        (_set("apiMigrations.context-qsh", None), "context-qsh"),
        (_set("apiMigrations.gdpr", "true"), "gdpr"),
        (_set("lifecycle.installed", None), "installed"),
        (_set("lifecycle.installed", "https://elsewhere.example.com/installed"), "installed"),
        (_set("lifecycle.enabled", "//elsewhere.example.com"), "enabled"),
        (_set("scopes", []), "scopes"),
        (_set("scopes", ["READ", "write"]), "scopes"),
        (_set("scopes", ["READ", "READ"]), "scopes"),
        (_set("scopes", ["EVERYTHING"]), "scopes"),
        (_set("modules.spaceAdminTabs", []), "spaceAdminTabs"),
        (_set("modules.adminPages.0.key", "site jobs"), "key"),
        (_set("modules.adminPages.0.key", "space-jobs"), "twice"),
        (_set("modules.adminPages.0.name", "Content Steward"), "name"),
        (_set("modules.adminPages.0.url", "jobs"), "url"),
        (_set("modules.spaceToolsTabs.0.location", "somewhere"), "location"),
        (_set("modules.spaceToolsTabs.0.cacheable", True), "cacheable"),
        (_set("modules.spaceToolsTabs.0.url", "/space-jobs?user={user.name}"), "url"),
        (_set("modules.configurePage", []), "configurePage"),
        (_set("modules.webhooks", [{"event": "page_updated", "url": "hook"}]), "webhooks"),
        (_set(f"{EXTRACTION}.type", "user"), "type"),
        (_set(f"{EXTRACTION}.alias", "stewardStatusName"), "alias"),
        (_set(f"{EXTRACTION}.alias", None), "uiSupport"),
        (_set(f"{EXTRACTION}.uiSupport.valueType", "status"), "valueType"),
        (
            _set("modules.confluenceContentProperties.0.keyConfigurations.1.propertyKey", "steward-status"),
            "configured twice",
        ),
        (_set("surprise", 1), "surprise"),
    ],
)
def test_a_broken_descriptor_is_refused_with_the_place(change: Callable[[dict[str, Any]], None], where: str) -> None:
    descriptor = copy.deepcopy(build(settings()))
    change(descriptor)
    with pytest.raises(DescriptorInvalid) as refused:
        validate(descriptor)
    assert where in str(refused.value)


@pytest.mark.parametrize("nothing", [None, [], "text", 7, {}])
def test_something_else_than_a_descriptor_is_refused(nothing: Any) -> None:
    with pytest.raises(DescriptorInvalid):
        validate(nothing)


def test_webhooks_need_the_read_scope() -> None:
    descriptor = build(settings())
    descriptor["modules"]["webhooks"] = [{"event": "page_updated", "url": "/hooks/page-updated"}]
    validate(descriptor)
    descriptor["scopes"] = ["NONE"]
    with pytest.raises(DescriptorInvalid):
        validate(descriptor)


def test_the_template_stands_at_the_top_of_the_source_tree() -> None:
    assert template_path() == ROOT / "atlassian-connect.json"


def test_the_wheel_carries_the_template_beside_the_code(tmp_path: Path) -> None:
    configuration = (ROOT / "pyproject.toml").read_text()
    assert '"atlassian-connect.json" = "descriptor/atlassian-connect.json"' in configuration
    package = tmp_path / "descriptor"
    package.mkdir()
    for source in (ROOT / "descriptor").glob("*.py"):
        (package / source.name).write_text(source.read_text())
    (package / "atlassian-connect.json").write_text((ROOT / "atlassian-connect.json").read_text())
    script = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "import descriptor\n"
        "from addon.config import Settings\n"
        "print(descriptor.template_path()); descriptor.validate(descriptor.build(Settings()))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert Path(found.stdout.strip()) == package / "atlassian-connect.json"
