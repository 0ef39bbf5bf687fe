"""The JSON body of a lifecycle call, field by field; unknown fields are ignored.

See docs/rules/connect.md 2.2.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from addon.base import FieldError
from addon.connect.errors import BadPayload, PayloadTooLarge
from addon.connect.hosts import AllowedHosts, origin_of

MAX_BODY_BYTES = 65_536
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Payload:
    """The fields of a lifecycle call that the add-on uses. Secret and URLs are empty where the event has none."""

    client_key: str
    base_url: str = ""
    display_url: str | None = None
    oauth_client_id: str | None = None
    shared_secret: str = field(default="", repr=False)

    def digest(self, key: str) -> str:
        """Return a keyed hash over all fields: equal for equal calls, and without `key` of no use to guess them."""
        fields = json.dumps([getattr(self, each.name) for each in fields_of(self)])
        return hmac.new(key.encode(), fields.encode(), "sha256").hexdigest()


def lifecycle_body(request: Request, event: str, addon_key: str, allowed: AllowedHosts) -> Payload:
    """Return the checked body of a lifecycle call for `event`.

    Only `installed` needs baseUrl and sharedSecret. Raises PayloadTooLarge, or BadPayload with one FieldError per
    field.
    """
    body = json_object(request, "lifecycle-body")
    errors: list[FieldError] = []

    def text(name: str, *, required: bool, limit: int = 255) -> str | None:
        value = body.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, str) or not value or len(value) > limit or "\0" in value or not _encodable(value):
            errors.append(FieldError(f"/{name}", f"must be a text of 1 to {limit} characters"))
            return None
        return value

    def fixed(name: str, expected: str) -> None:
        if body.get(name) != expected:
            errors.append(FieldError(f"/{name}", f"must be {expected!r}"))

    fixed("key", addon_key)
    fixed("eventType", event)
    client_key = text("clientKey", required=True)
    if client_key is not None and (not _IDENTIFIER.match(client_key) or client_key == addon_key):
        errors.append(FieldError("/clientKey", "must be the id of a site"))
    if event != "installed":
        payload = Payload(client_key or "")
    else:
        fixed("productType", "confluence")
        payload = Payload(
            client_key or "",
            _base_url(text("baseUrl", required=True, limit=500), allowed, errors),
            _display_url(body.get("displayUrl"), allowed),
            text("oauthClientId", required=False),
            text("sharedSecret", required=True, limit=4096) or "",
        )
    if errors:
        names = ", ".join(error.pointer.removeprefix("/") for error in errors)
        raise BadPayload("lifecycle-body", f"The body of this call is not acceptable: {names}.", errors=errors)
    return payload


def json_object(request: Request, kind: str) -> dict[str, Any]:
    """Return the JSON object in the body of a host's call. Raises PayloadTooLarge, and BadPayload of this `kind`."""
    request.max_content_length = MAX_BODY_BYTES
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise PayloadTooLarge("too-large", f"A call of the host has at most {MAX_BODY_BYTES} bytes.") from error
    try:
        body = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadPayload(kind, "The body is not JSON in UTF-8.") from error
    if not isinstance(body, dict):
        raise BadPayload(kind, "The body is not a JSON object.")
    return body


def _base_url(url: str | None, allowed: AllowedHosts, errors: list[FieldError]) -> str:
    if url is None:
        return ""
    url = url.removesuffix("/")
    if not allowed.allows(url):
        errors.append(FieldError("/baseUrl", "is not the https address of a site that this add-on serves"))
    elif not url.endswith("/wiki"):
        errors.append(FieldError("/baseUrl", "must be the address of Confluence, which ends in /wiki"))
    return url


def _display_url(url: object, allowed: AllowedHosts) -> str | None:
    """Return the custom domain's address; anything unclean is dropped, for links then use the base URL."""
    if not isinstance(url, str) or not url:
        return None
    url = url.removesuffix("/")
    origin = origin_of(url)
    return url if origin is not None and (origin[0] == "https" or allowed.allows(url)) else None


def _encodable(text: str) -> bool:
    return all(not 0xD800 <= ord(character) <= 0xDFFF for character in text)
