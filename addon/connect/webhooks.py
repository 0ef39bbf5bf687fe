"""The webhooks of a site: one address per event, because a webhook's body does not name its event.

See docs/rules/connect.md 6.1.

The site signs the request, so the tenant and the event are known for sure. The body is not part of the signature and
deliveries get lost, repeated and reordered: what it says is a hint to look, never a fact to act on. Every call is
answered at once and may be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from flask import Blueprint, Request, Response, request

from addon.base import FieldError, TenantId, get_logger
from addon.connect.errors import BadPayload
from addon.connect.payload import json_object
from addon.connect.route_access import admits, current_installation

log = get_logger(__name__)

Subject = Literal["page", "blogpost", "space", "user", "group"]

WEBHOOK_EVENTS: Mapping[str, Subject] = {
    "page_created": "page",
    "page_updated": "page",
    "page_moved": "page",
    "page_trashed": "page",
    "page_restored": "page",
    "page_removed": "page",
    "page_archived": "page",
    "blog_created": "blogpost",
    "blog_updated": "blogpost",
    "blog_moved": "blogpost",
    "blog_trashed": "blogpost",
    "blog_restored": "blogpost",
    "blog_removed": "blogpost",
    "space_removed": "space",
    "space_permissions_updated": "space",
    "user_removed": "user",
    "user_deactivated": "user",
    "user_reactivated": "user",
    "group_created": "group",
    "group_removed": "group",
}
"""The events that the descriptor asks for, and what each is about."""

_FIELDS: Mapping[Subject, str] = {"page": "page", "blogpost": "blog", "space": "space", "user": "user"}
_ID = re.compile(r"[0-9]{1,20}\Z")
_SPACE_KEY = re.compile(r"~?[A-Za-z0-9._:@+-]{1,254}\Z")
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


@dataclass(frozen=True, slots=True)
class SiteEvent:
    """Something happened to `subject` on a site.

    `subject_id` is a content id, a space's id (its key when the call names no id), an account id, or "" for groups.
    """

    event: str
    subject: Subject
    subject_id: str
    space_key: str | None = None


class WebhookListener(Protocol):
    """What takes note of events. Calls may come twice, late and in any order."""

    def on_event(self, tenant_id: TenantId, event: SiteEvent) -> None:
        """Take note of `event`, in well under a second."""
        ...


def webhook_path(event: str) -> str:
    """Return the address of an event below the base URL."""
    return f"/connect/webhooks/{event}"


def webhook_blueprint(listener: WebhookListener) -> Blueprint:
    """Return the blueprint with one address per event; each answers 204. `install_boundary` must be in place.

    Besides the boundary's 401 they answer 413 (too large) and 400 naming the field that is not right.
    """
    blueprint = Blueprint("connect_webhooks", __name__)
    for name in WEBHOOK_EVENTS:
        blueprint.add_url_rule(webhook_path(name), name, _view(name, listener), methods=["POST"])
    return blueprint


def _view(name: str, listener: WebhookListener) -> Callable[[], Response]:
    @admits("host")
    def received() -> Response:
        event = read_event(request, name)
        tenant_id = current_installation().id
        listener.on_event(tenant_id, event)
        log.debug("an event of the site has arrived", action="webhook_received", tenant=tenant_id, webhook=name)
        return Response(status=204)

    return received


def read_event(call: Request, name: str) -> SiteEvent:
    """Return what the body of webhook `name` is about. Raises PayloadTooLarge, or BadPayload naming the field."""
    body = json_object(call, "webhook-body")
    subject = WEBHOOK_EVENTS[name]
    if subject == "group":
        return SiteEvent(name, subject, "")
    field = _FIELDS[subject]
    about = body.get(field)
    if not isinstance(about, dict):
        raise _malformed(f"/{field}", "must be an object")
    if subject == "user":
        return SiteEvent(name, subject, _text(about, field, "accountId", _ACCOUNT_ID))
    if subject == "space":
        key = _text(about, field, "key", _SPACE_KEY, required="id" not in about)
        return SiteEvent(name, subject, _content_id(about, field) if "id" in about else key, key or None)
    key = _text(about, field, "spaceKey", _SPACE_KEY, required=False)
    return SiteEvent(name, subject, _content_id(about, field), key or None)


def _content_id(about: Mapping[str, Any], field: str) -> str:
    """Return an id, which captures show as a number and REST writes as text."""
    value = about.get("id")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
        return str(value)
    if not isinstance(value, str) or not _ID.match(value):
        raise _malformed(f"/{field}/id", "must be 1 to 20 digits")
    return value


def _text(about: Mapping[str, Any], field: str, name: str, pattern: re.Pattern[str], *, required: bool = True) -> str:
    value = about.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not pattern.match(value):
        raise _malformed(f"/{field}/{name}", "is not of the form that Confluence uses")
    return value


def _malformed(pointer: str, detail: str) -> BadPayload:
    return BadPayload(
        "webhook-body",
        f"The body of this call is not acceptable: {pointer.lstrip('/')} {detail}.",
        errors=[FieldError(pointer, detail)],
    )
