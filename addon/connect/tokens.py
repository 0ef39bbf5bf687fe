"""JSON Web Tokens: parsing, signatures and times. Who signed one is found out elsewhere.

Every failure is an Unauthenticated with a stable kind. Nothing in a token chooses the algorithm or the key
(docs/rules/connect.md 3.1).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import jwt
from flask import Request
from jwt.algorithms import HMACAlgorithm

from addon.connect.errors import Unauthenticated

LEEWAY_SECONDS = 30
LONGEST_SECONDS = 3600
"""The longest time from `iat` to `exp`. Confluence's own are valid for minutes (docs/rules/connect.md 3.3)."""
MAX_TOKEN_CHARS = 16_384
_END_OF_TIME = 100_000_000_000
"""Seconds since 1970 in the year 5138; also keeps infinity, NaN and integers that no float can hold out of sums."""

_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,255}\Z")
_QSH = re.compile(r"[0-9a-f]{64}\Z|context-qsh\Z")


class _SharedSecret(HMACAlgorithm):
    """HS256 whose key length is the host's choice: the library's warning about short keys cannot be acted on."""

    def check_key_length(self, key: Any) -> str | None:
        """Accept any non-empty secret."""
        return None


_jws = jwt.PyJWS()
_jws.unregister_algorithm("HS256")
_jws.register_algorithm("HS256", _SharedSecret(HMACAlgorithm.SHA256))


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was sent. Header and claims are not to be trusted before `verified` returned."""

    text: str = field(repr=False)
    header: dict[str, Any]
    claims: dict[str, Any]


def token_of(request: Request, *, from_query: bool = True) -> str:
    """Return the one token of a request: `Authorization: JWT …`, or the query's `jwt` unless `from_query` is False.

    Raises Unauthenticated: token-missing, token-conflict (two that differ), token-malformed (too long, not ASCII).
    """
    found = set(request.args.getlist("jwt"))
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    header = value.strip() if scheme.lower() == "jwt" else ""
    if header:
        found.add(header)
    if len(found) > 1:
        raise Unauthenticated("token-conflict", "The request carries two tokens that differ.")
    if not found or (not from_query and not header):
        raise Unauthenticated("token-missing", "This address needs a token of your Confluence site.")
    token = found.pop()
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise Unauthenticated("token-malformed", "The token is not a JSON Web Token.")
    return token


def parse(text: str) -> Token:
    """Return the token's parts without trusting them. Raises Unauthenticated token-malformed."""
    try:
        parts = _jws.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Unauthenticated("token-malformed", "The token is not a JSON Web Token.") from error
    return Token(text, parts["header"], _claims(parts["payload"]))


def verified(token: Token, key: Any, algorithm: Literal["HS256", "RS256"]) -> dict[str, Any]:
    """Return the claims once the signature fits `key` under the one `algorithm` the caller fixed.

    Raises Unauthenticated: token-algorithm, token-signature.
    """
    if token.header.get("alg") != algorithm:
        raise Unauthenticated("token-algorithm", f"The token must be signed with {algorithm}.")
    try:
        parts = _jws.decode_complete(token.text, key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Unauthenticated(
            "token-signature", "The token's signature is not that of your Confluence site."
        ) from error
    return _claims(parts["payload"])


def check_times(claims: dict[str, Any], now: datetime) -> None:
    """Check `exp` (required), `nbf` and `iat` (when present): 30 s of leeway, valid for an hour at most.

    Raises Unauthenticated: token-claims (missing, not a number, or too long), token-expired, token-early.
    """
    seconds = now.timestamp()
    expires = number(claims, "exp")
    if expires is None:
        raise Unauthenticated("token-claims", "The token has no exp claim.")
    if expires + LEEWAY_SECONDS <= seconds:
        raise Unauthenticated("token-expired", "The token has expired. Reload the page.")
    starts = number(claims, "nbf")
    issued = number(claims, "iat")
    for moment in (starts, issued):
        if moment is not None and moment - LEEWAY_SECONDS > seconds:
            raise Unauthenticated("token-early", "The token is not valid yet. Check the clocks.")
    if issued is not None and issued > expires:
        raise Unauthenticated("token-claims", "The token ends before it begins.")
    if issued is not None and expires - issued > LONGEST_SECONDS:
        raise Unauthenticated("token-claims", "The token is valid for longer than an hour.")


def number(claims: dict[str, Any], name: str) -> float | None:
    """Return a claim's seconds since 1970, or None when it is absent. Raises Unauthenticated token-claims."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unauthenticated("token-claims", f"The token's {name} claim is not a number.")
    if not 0 <= value < _END_OF_TIME:
        raise Unauthenticated("token-claims", f"The token's {name} claim is not a time.")
    return float(value)


def identifier(claims: dict[str, Any], name: str) -> str | None:
    """Return a claim that is an id (printable ASCII, <= 255), or None when absent.

    Raises Unauthenticated token-claims.
    """
    value = claims.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _IDENTIFIER.match(value):
        raise Unauthenticated("token-claims", f"The token's {name} claim is not an id.")
    return value


def qsh_of(claims: dict[str, Any]) -> str:
    """Return the qsh claim: 64 hexadecimal digits or the literal of context tokens.

    Raises Unauthenticated token-qsh.
    """
    value = claims.get("qsh")
    if not isinstance(value, str) or not _QSH.match(value):
        raise Unauthenticated("token-qsh", "The token is not bound to a request.")
    return value


def sign(claims: dict[str, Any], secret: str) -> str:
    """Return a token over `claims`, signed with HS256."""
    return _jws.encode(json.dumps(claims, separators=(",", ":")).encode(), secret, "HS256")


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Unauthenticated("token-malformed", "The token is not a JSON Web Token.") from error
    if not isinstance(claims, dict):
        raise Unauthenticated("token-malformed", "The token is not a JSON Web Token.")
    return claims
