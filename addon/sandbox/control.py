"""The /sandbox/* control API, with which tests and the demo turn the site's knobs: JSON, loopback only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, jsonify, request

from addon.sandbox.addon_host import LOOPBACK, InstallRefused, NoSuchAddon
from addon.sandbox.faults import BadFault
from addon.sandbox.people import UnknownPerson
from addon.sandbox.site import UnknownContent, UnknownSpace

if TYPE_CHECKING:
    from addon.sandbox.site import Site

SETTINGS: dict[str, Callable[[Any], Any]] = {
    "indexLag": float,
    "latencyMs": float,
    "edition": str,
    "negation": str,
    "roleMode": str,
    "quotaPoints": int,
    "usedPoints": int,
    "archiveSeconds": float,
    "archiveQueueSeconds": float,
    "archiveUnknownSeconds": float,
    "archiveBusyWords": str,
    "emailApiApproved": bool,
}
WORDS = {
    "negation": ("inclusive", "exclusive"),
    "roleMode": ("PRE_ROLES", "ROLES_TRANSITION", "ROLES"),
    "edition": ("free", "standard", "premium", "enterprise"),
}


def blueprint(site: Site) -> Blueprint:
    """Return the control API of a site."""
    control = Blueprint("control", __name__, url_prefix="/sandbox")
    _lifecycle(control, site)
    _faults(control, site)
    _state(control, site)
    control.register_error_handler(InstallRefused, _explained(422))
    control.register_error_handler(BadFault, _explained(422))
    for missing in (NoSuchAddon, UnknownSpace, UnknownContent, UnknownPerson):
        control.register_error_handler(missing, _explained(404))
    return control


def only_loopback() -> None:
    """Refuse (403) callers and Host headers from beyond this machine, against DNS rebinding."""
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:
        host = None
    if request.remote_addr not in LOOPBACK or host not in LOOPBACK:
        abort(403)


def _explained(status: int) -> Callable[[Exception], tuple[Response, int]]:
    def answer(error: Exception) -> tuple[Response, int]:
        return jsonify({"error": str(error)}), status

    return answer


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _lifecycle(control: Blueprint, site: Site) -> None:
    @control.post("/install")
    def install() -> Any:
        addon = site.host.install(str(_body().get("descriptorUrl", "")))
        return jsonify({"key": addon.key, "clientKey": addon.client_key, "baseUrl": site.base_url}), 201

    @control.post("/uninstall")
    def uninstall() -> Any:
        site.host.uninstall(_body().get("key"))
        return "", 204

    @control.post("/rotate-secret")
    def rotate_secret() -> Any:
        site.host.rotate_secret(_body().get("key"))
        return "", 204

    @control.get("/context-token")
    def context_token() -> Any:
        account, space_key = request.args.get("account", ""), request.args.get("spaceKey") or None
        if account not in site.people:
            raise UnknownPerson(account)
        token = site.host.context_token(account, space_key=space_key, content_id=request.args.get("contentId") or None)
        return jsonify({"token": token})

    @control.get("/page-url")
    def page_url() -> Any:
        account, space_key = request.args.get("account", ""), request.args.get("spaceKey") or None
        if account not in site.people:
            raise UnknownPerson(account)
        url = site.host.page_url(
            account,
            request.args.get("module", ""),
            space_key=space_key,
            content_id=request.args.get("contentId") or None,
        )
        return jsonify({"url": url})


def _faults(control: Blueprint, site: Site) -> None:
    @control.get("/faults")
    def list_faults() -> Any:
        return jsonify({"items": [fault.as_json() for fault in site.faults.all()]})

    @control.post("/faults")
    def add_fault() -> Any:
        try:
            return jsonify(site.faults.add_json(_body()).as_json()), 201
        except TypeError as error:
            raise BadFault(str(error)) from error

    @control.delete("/faults")
    def clear_faults() -> Any:
        site.faults.clear()
        return "", 204

    @control.delete("/faults/<fault_id>")
    def remove_fault(fault_id: str) -> Any:
        site.faults.remove(fault_id)
        return "", 204


def _state(control: Blueprint, site: Site) -> None:
    @control.get("/usage")
    def usage() -> Any:
        with site.lock:
            return jsonify(site.meter.usage())

    @control.post("/usage/reset")
    def reset_usage() -> Any:
        with site.lock:
            site.meter.reset()
        return "", 204

    @control.get("/requests")
    def requests() -> Any:
        with site.lock:
            return jsonify({"items": [entry.as_json() for entry in site.meter.log]})

    @control.get("/settings")
    def settings() -> Any:
        with site.lock:
            return jsonify(_settings(site))

    @control.patch("/settings")
    def change_settings() -> Any:
        body = _body()
        try:
            wanted = {name: SETTINGS[name](value) for name, value in body.items()}
        except (KeyError, TypeError, ValueError) as error:
            return jsonify({"error": f"not a setting or its value: {error}"}), 422
        if any(name in WORDS and value not in WORDS[name] for name, value in wanted.items()):
            return jsonify({"error": f"words allowed: {WORDS}"}), 422
        with site.lock:
            _apply(site, wanted)
            return jsonify(_settings(site))

    @control.post("/index/catch-up")
    def catch_up() -> Any:
        with site.lock:
            site.index.catch_up()
        return "", 204


def _settings(site: Site) -> dict[str, Any]:
    return {
        "indexLag": site.index_lag,
        "latencyMs": site.latency_ms,
        "edition": site.edition,
        "negation": site.negation,
        "roleMode": site.access.role_mode,
        "quotaPoints": site.meter.quota,
        "usedPoints": site.meter.used,
        "archiveSeconds": site.tasks.archive_seconds,
        "archiveQueueSeconds": site.tasks.queue_seconds,
        "archiveUnknownSeconds": site.tasks.unknown_seconds,
        "archiveBusyWords": site.tasks.busy_words,
        "emailApiApproved": site.email_api_approved,
    }


def _apply(site: Site, wanted: dict[str, Any]) -> None:
    owners: dict[str, tuple[object, str]] = {
        "indexLag": (site, "index_lag"),
        "latencyMs": (site, "latency_ms"),
        "edition": (site, "edition"),
        "negation": (site, "negation"),
        "roleMode": (site.access, "role_mode"),
        "quotaPoints": (site.meter, "quota"),
        "usedPoints": (site.meter, "used"),
        "archiveSeconds": (site.tasks, "archive_seconds"),
        "archiveQueueSeconds": (site.tasks, "queue_seconds"),
        "archiveUnknownSeconds": (site.tasks, "unknown_seconds"),
        "archiveBusyWords": (site.tasks, "busy_words"),
        "emailApiApproved": (site, "email_api_approved"),
    }
    for name, value in wanted.items():
        owner, attribute = owners[name]
        setattr(owner, attribute, value)
