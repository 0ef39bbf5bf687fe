"""The proof of who calls: a request's token becomes a Caller, or the request is Unauthenticated.

There are two ways in and they never mix: pages, lifecycle and webhooks carry a token bound to the very request
(computed qsh); the JSON API carries the frame's context token with the fixed literal, and nothing else may
(docs/rules/connect.md 3.1 and 3.3).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from flask import Request

from addon.base import Caller, Clock
from addon.config import Settings
from addon.connect import tokens
from addon.connect.errors import Unauthenticated
from addon.connect.qsh import CONTEXT_QSH, base_path_of, query_hash, raw_target, relative_path
from addon.connect.tenants import Installation, Tenants

MAX_ACCOUNT_ID = 128


@dataclass(frozen=True, slots=True)
class HostCall:
    """A request that an installed site signed: which one, and the verified claims."""

    installation: Installation
    claims: dict[str, Any]


def expected_qsh(request: Request, settings: Settings) -> str:
    """Return the qsh a token for this very request must carry. Raises Unauthenticated token-qsh where there is none."""
    try:
        path, query = raw_target(request.environ)
        return query_hash(request.method, relative_path(path, base_path_of(settings.base_url)), query)
    except UnicodeError as error:
        raise Unauthenticated("token-qsh", "The address is not written in UTF-8.") from error


def check_request_qsh(claims: dict[str, Any], request: Request, settings: Settings) -> None:
    """Compare the token's qsh with the request's in constant time. Raises Unauthenticated token-qsh."""
    if not hmac.compare_digest(tokens.qsh_of(claims), expected_qsh(request, settings)):
        raise Unauthenticated("token-qsh", "The token was made for another request.")


def authenticate_host(
    request: Request, tenants: Tenants, clock: Clock, settings: Settings, *, disabled_too: bool = False
) -> HostCall:
    """Verify a call of the site (lifecycle, webhooks) or a page in its frame: a tenant's token, qsh computed.

    `disabled_too`: also of a site where the add-on is disabled. Raises Unauthenticated.
    """
    call = _signed_by_tenant(tokens.token_of(request), tenants, clock, disabled_too=disabled_too)
    check_request_qsh(call.claims, request, settings)
    tenants.proved(call.installation)
    return call


def authenticate_context(request: Request, tenants: Tenants, clock: Clock) -> HostCall:
    """Verify a JSON API call: a context token (the literal qsh is required), in the header only.

    Raises Unauthenticated.
    """
    call = _signed_by_tenant(tokens.token_of(request, from_query=False), tenants, clock)
    if not hmac.compare_digest(tokens.qsh_of(call.claims), CONTEXT_QSH):
        raise Unauthenticated("token-qsh", "The API takes context tokens (AP.context.getToken) only.")
    tenants.proved(call.installation)
    return call


def caller_of(call: HostCall) -> Caller:
    """Return the person behind a verified call. Raises Unauthenticated anonymous when there is none."""
    account_id = tokens.identifier(call.claims, "sub")
    if account_id is None:
        raise Unauthenticated("anonymous", "Log in to Confluence to use Content Steward.")
    if len(account_id) > MAX_ACCOUNT_ID:
        raise Unauthenticated("token-claims", "The token's sub claim is not an account id.")
    return Caller(call.installation.id, account_id)


def _signed_by_tenant(text: str, tenants: Tenants, clock: Clock, *, disabled_too: bool = False) -> HostCall:
    token = tokens.parse(text)
    client_key = tokens.identifier(token.claims, "iss")
    if client_key is None:
        raise Unauthenticated("token-claims", "The token has no iss claim.")
    installation = tenants.by_client_key(client_key)
    if installation is None or not installation.installed:
        raise Unauthenticated("tenant-unknown", "Content Steward is not installed on the site that made this token.")
    claims = tokens.verified(token, tenants.verification_secret(installation), "HS256")
    tokens.check_times(claims, clock.now())
    if not (installation.enabled or disabled_too):
        raise Unauthenticated(
            "tenant-disabled", "Content Steward is disabled on this site. Enable it under Manage apps."
        )
    return HostCall(installation, claims)
