"""The check of the add-on's requests: the HS256 token as Confluence verifies it, with a qsh of its own.

The qsh rules are those of docs/rules/connect.md 3.2, written here a second time on purpose: the add-on's own
implementation must agree with a reading it does not share.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

import jwt

from addon.sandbox.records import AddonInstallation

if TYPE_CHECKING:
    from addon.sandbox.site import Site

LEEWAY = 30.0
"""Seconds a token may be past its exp, for clocks that differ."""
_IMPLIED = {"SPACE_ADMIN": ("ADMIN",), "DELETE": ("SPACE_ADMIN", "ADMIN")}
_IMPLIED["WRITE"] = ("DELETE", *_IMPLIED["DELETE"])
_IMPLIED["READ"] = ("WRITE", *_IMPLIED["WRITE"])


class Unauthorized(Exception):
    """No acceptable token; the message says what is wrong with it."""


def authenticate(site: Site, environ: Mapping[str, Any]) -> AddonInstallation:
    """Return the add-on whose token signs this WSGI request. Raises Unauthorized."""
    token = _token(environ)
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError as error:
        raise Unauthorized("The token cannot be read") from error
    addon = site.addons.get(str(issuer))
    if addon is None or not addon.enabled:
        raise Unauthorized("The token's issuer is not installed")
    claims = _verified(token, addon)
    _check_time(claims, site.clock.now())
    path, query = target(environ)
    expected = query_hash(str(environ["REQUEST_METHOD"]), path.removeprefix("/wiki"), query)
    if not hmac.compare_digest(expected, str(claims.get("qsh", ""))):
        raise Unauthorized("The token's query hash does not fit the request")
    return addon


def target(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Return the raw, still encoded path and query of a request."""
    raw = str(environ.get("REQUEST_URI") or environ.get("RAW_URI"))
    path, _, query = raw.partition("?")
    return path, query


def query_hash(method: str, path: str, query: str) -> str:
    """Return the qsh of a request whose path is relative to the site's /wiki."""
    pairs: dict[str, list[str]] = {}
    for piece in query.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        if _plain(name) != "jwt":
            pairs.setdefault(_encode(_plain(name)), []).append(_plain(value))
    canonical = "&".join(
        f"{name}={','.join(_encode(value) for value in sorted(values))}" for name, values in sorted(pairs.items())
    )
    bare = path.rstrip("/") if path.endswith("/") and path != "/" else path
    text = f"{method.upper()}&{(bare or '/').replace('&', '%26')}&{canonical}"
    return hashlib.sha256(text.encode()).hexdigest()


def may(addon: AddonInstallation, scope: str) -> bool:
    """Tell whether the add-on's scopes include one, also by implication (READ in WRITE in DELETE …)."""
    return scope == "NONE" or not addon.scopes.isdisjoint((scope, *_IMPLIED.get(scope, ())))


def _token(environ: Mapping[str, Any]) -> str:
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.upper() != "JWT" or not token:
        raise Unauthorized("No Connect token")
    return token.strip()


def _verified(token: str, addon: AddonInstallation) -> dict[str, Any]:
    options: Any = {"require": ["exp", "iat", "iss"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        return dict(
            jwt.decode(token, addon.secret, ["HS256"], options=options | {"verify_aud": False}, issuer=addon.key)
        )
    except jwt.PyJWTError as error:
        raise Unauthorized("The token's signature or claims are not valid") from error


def _check_time(claims: Mapping[str, Any], now: datetime) -> None:
    # The site's clock may be a virtual one, so PyJWT's own check of exp cannot be used.
    try:
        expires, issued = float(claims["exp"]), float(claims["iat"])
    except (TypeError, ValueError) as error:
        raise Unauthorized("The token's times are not numbers") from error
    if expires + LEEWAY < now.timestamp():
        raise Unauthorized("The token has expired")
    if issued - LEEWAY > now.timestamp():
        raise Unauthorized("The token was issued in the future")


def _plain(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _encode(text: str) -> str:
    return quote(text, safe="-._~")
