"""The host's side of Connect for tests: install keys, signed lifecycle calls, page and context tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jwt
import responses
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from addon.connect.qsh import CONTEXT_QSH, query_hash

BASE_URL = "https://steward.example.com"
ADDON_KEY = "content-steward"
SECRET = "the-shared-secret-of-the-first-site-0123456789"
CLIENT_KEY = "c0ffee00-1111-2222-3333-444455556666"
KEY_HOSTS = ("https://keys-one.example.com", "https://keys-two.example.com")


@cache
def rsa_key(name: str = "atlassian", bits: int = 2048) -> RSAPrivateKey:
    """The same key for the same name in one test process: making one is slow."""
    return generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True)
class InstallKeys:
    """Atlassian's install key: signs with RS256, and can be served by `responses`."""

    kid: str = "0e50fccb-239d-4991-a5db-dc850ba3f236"
    private: RSAPrivateKey = field(default_factory=rsa_key)

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def serve(self, mock: responses.RequestsMock, *hosts: str) -> None:
        for host in hosts or KEY_HOSTS[:1]:
            mock.get(f"{host}/{self.kid}", body=self.pem, content_type="application/x-pem-file")

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode(claims, self.private, "RS256", headers={"kid": self.kid, **header})


def install_payload(event: str = "installed", **changes: Any) -> dict[str, Any]:
    """A lifecycle body as Confluence sends it; a change to None removes the field."""
    body: dict[str, Any] = {
        "key": ADDON_KEY,
        "clientKey": CLIENT_KEY,
        "oauthClientId": "an-oauth-client",
        "baseUrl": "https://one.atlassian.net/wiki",
        "displayUrl": "https://one.atlassian.net/wiki",
        "productType": "confluence",
        "description": "Atlassian Confluence at https://one.atlassian.net",
        "serverVersion": "6452",
        "pluginsVersion": "1.1000.0",
        "eventType": event,
    }
    if event == "installed":
        body["sharedSecret"] = SECRET
    body.update(changes)
    return {name: value for name, value in body.items() if value is not None}


def install_claims(event: str = "installed", *, now: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """The claims of an installed or uninstalled token; a change to None removes the claim."""
    issued = int((now or datetime.now(UTC)).timestamp())
    claims: dict[str, Any] = {
        "iss": CLIENT_KEY,
        "aud": [BASE_URL],
        "iat": issued,
        "exp": issued + 900,
        "qsh": query_hash("POST", f"/connect/{event}", ""),
    }
    return _changed(claims, changes)


def page_claims(
    client_key: str = CLIENT_KEY,
    account_id: str | None = "u-admin",
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    now: datetime | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The claims of a token bound to one request; `path` and `query` raw, relative to the base URL."""
    issued = int((now or datetime.now(UTC)).timestamp())
    claims: dict[str, Any] = {
        "iss": client_key,
        "sub": account_id,
        "iat": issued,
        "exp": issued + 180,
        "qsh": query_hash(method, path, query),
    }
    return _changed(claims, changes)


def page_token(
    secret: str = SECRET, client_key: str = CLIENT_KEY, account_id: str | None = "u-admin", **more: Any
) -> str:
    """A token bound to one request, as page URLs, enabled, disabled and webhooks carry it."""
    return jwt.encode(page_claims(client_key, account_id, **more), secret, "HS256")


def context_token(
    secret: str = SECRET,
    client_key: str = CLIENT_KEY,
    account_id: str | None = "u-admin",
    *,
    now: datetime | None = None,
    **changes: Any,
) -> str:
    """What `AP.context.getToken()` gives the frame."""
    issued = int((now or datetime.now(UTC)).timestamp())
    claims: dict[str, Any] = {
        "iss": client_key,
        "sub": account_id,
        "iat": issued,
        "exp": issued + 900,
        "qsh": CONTEXT_QSH,
        "context": {"confluence": {"space": {"key": "DOCS", "id": "1"}}},
    }
    return jwt.encode(_changed(claims, changes), secret, "HS256")


def raw_token(header: Any, claims: Any, signature: bytes = b"") -> str:
    """A token put together by hand: bytes are taken as they are, everything else becomes JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    return ".".join(jwt.utils.base64url_encode(part).decode() for part in (*parts, signature))


def _changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (claims | changes).items() if value is not None}
