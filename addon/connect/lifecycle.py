"""The lifecycle: four addresses that a site calls when it installs, enables, disables or uninstalls the add-on.

Calls may come in any order and more than once; `iat`, the time at which the token was signed, orders them.

Installed and uninstalled are proved by Atlassian's own RS256 signature with every check of docs/rules/connect.md 2.3;
enabled and disabled by the tenant's secret. The caller of `installed` waits, so it is one short transaction and nothing
else.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Blueprint, Request, Response, request
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, get_logger
from addon.config import Settings
from addon.connect import tenant_writes as store
from addon.connect import tokens
from addon.connect.authenticate import check_request_qsh
from addon.connect.errors import Unauthenticated
from addon.connect.hosts import AllowedHosts
from addon.connect.installkeys import InstallKeys
from addon.connect.payload import Payload, lifecycle_body
from addon.connect.qsh import CONTEXT_QSH
from addon.connect.route_access import admits, current_claims, current_installation
from addon.connect.tenants import Tenants

log = get_logger(__name__)

LIFECYCLE_PATHS = {name: f"/connect/{name}" for name in ("installed", "uninstalled", "enabled", "disabled")}
"""The lifecycle's addresses below the base URL, as the descriptor names them."""


class LifecycleListener(Protocol):
    """What else happens inside the lifecycle's transaction. The session is bound to the tenant."""

    def on_installed(self, session: Session, tenant_id: TenantId, *, first: bool, returning: bool) -> None:
        """A site installed the add-on: for the `first` time, `returning` after an uninstall, or once more (neither)."""
        ...

    def on_uninstalled(self, session: Session, tenant_id: TenantId) -> None:
        """A site uninstalled the add-on."""
        ...

    def on_enabled(self, session: Session, tenant_id: TenantId) -> None:
        """The add-on was enabled on the site."""
        ...

    def on_disabled(self, session: Session, tenant_id: TenantId) -> None:
        """The add-on was disabled on the site."""
        ...


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What the lifecycle's views work with."""

    db: Database
    tenants: Tenants
    keys: InstallKeys
    clock: Clock
    settings: Settings
    allowed: AllowedHosts
    listener: LifecycleListener

    def asymmetric(self, event: str) -> tuple[Payload, int]:
        """Return the verified body of installed or uninstalled, and the token's `iat`.

        Raises Unauthenticated (not proved), BadPayload (naming the fields), PayloadTooLarge, CannotVerify (install keys
        unreachable).
        """
        claims = self._atlassian_claims(request)
        body = lifecycle_body(request, event, self.settings.addon_key, self.allowed)
        if claims.get("iss") != body.client_key:
            raise Unauthenticated("token-issuer", "The token was not made for this clientKey.")
        return body, issued_at(claims)

    def spend(self, session: Session, body: Payload) -> None:
        """Use the request's token up, in the transaction that does what it asks for.

        The body is no part of what Atlassian signs (docs/rules/connect.md 3.2): anyone who saw a token could send it
        once more with a secret of their own. The same body again is a repeated delivery and fine. Raises
        Unauthenticated token-used.
        """
        token = tokens.token_of(request)
        expires = tokens.number(tokens.parse(token).claims, "exp") or 0.0
        if not store.spend(session, token, body, expires=expires, now=self.clock.now()):
            raise Unauthenticated("token-used", "The token was used for another call already.")

    def _atlassian_claims(self, call: Request) -> dict[str, Any]:
        token = tokens.parse(tokens.token_of(call))
        if token.header.get("alg") != "RS256":
            raise Unauthenticated("token-algorithm", "The token must be signed with RS256.")
        # What is cheap to see is seen first: only a token that would pass otherwise is worth asking a host for its key.
        claims = token.claims
        tokens.check_times(claims, self.clock.now())
        audience = claims.get("aud")
        names = audience if isinstance(audience, list) else [audience]
        own = self.settings.base_url.removesuffix("/")
        if not any(isinstance(name, str) and name.removesuffix("/") == own for name in names):
            raise Unauthenticated("token-audience", "The token was made for another add-on.")
        if tokens.qsh_of(claims) == CONTEXT_QSH:
            raise Unauthenticated("token-qsh", "A context token proves no installation.")
        check_request_qsh(claims, call, self.settings)
        return tokens.verified(token, self.keys.get(token.header.get("kid")), "RS256")

    def switch(self, event: str, apply: Callable[[Session, TenantId], None]) -> Response:
        """Apply enabled or disabled, which the boundary verified. Raises Unauthenticated or BadPayload."""
        installation = current_installation()
        body = lifecycle_body(request, event, self.settings.addon_key, self.allowed)
        if not hmac.compare_digest(body.client_key, installation.client_key):
            raise Unauthenticated("token-issuer", "The token was not made for this clientKey.")
        issued = issued_at(current_claims())
        with self.db.write_all() as session:
            changed = store.switch(
                session, installation.id, enabled=event == "enabled", issued=issued, now=self.clock.now()
            )
            if changed:
                session.info["tenant_id"] = installation.id
                apply(session, installation.id)
        log.info(
            "the site has switched the app",
            action="tenant_switched",
            tenant=installation.id,
            to=event,
            stale=not changed,
        )
        return Response(status=204)


def issued_at(claims: dict[str, Any]) -> int:
    """Return when a token was signed, which orders the lifecycle. Raises Unauthenticated when it does not say."""
    issued = tokens.number(claims, "iat")
    if issued is None:
        raise Unauthenticated("token-claims", "The token has no iat claim.")
    return int(issued)


def lifecycle_blueprint(
    *,
    db: Database,
    tenants: Tenants,
    keys: InstallKeys,
    clock: Clock,
    settings: Settings,
    listener: LifecycleListener,
) -> Blueprint:
    """Return the blueprint with the four addresses of LIFECYCLE_PATHS. `install_boundary` must be in place."""
    lifecycle = Lifecycle(db, tenants, keys, clock, settings, AllowedHosts(settings.allowed_hosts), listener)
    blueprint = Blueprint("connect_lifecycle", __name__)

    @blueprint.post(LIFECYCLE_PATHS["installed"])
    @admits("install")
    def installed() -> Response:
        body, issued = lifecycle.asymmetric("installed")
        with db.write_all() as session:
            lifecycle.spend(session, body)
            outcome = store.install(session, body, tenants.seal(body.shared_secret), issued=issued, now=clock.now())
            if outcome.changed:
                session.info["tenant_id"] = outcome.tenant_id
                listener.on_installed(session, outcome.tenant_id, first=outcome.first, returning=outcome.returning)
        log.info(
            "the add-on was installed on a site",
            action="tenant_installed",
            tenant=outcome.tenant_id,
            changed=outcome.changed,
            first=outcome.first,
            returning=outcome.returning,
        )
        return Response(status=204)

    @blueprint.post(LIFECYCLE_PATHS["uninstalled"])
    @admits("install")
    def uninstalled() -> Response:
        body, issued = lifecycle.asymmetric("uninstalled")
        with db.write_all() as session:
            lifecycle.spend(session, body)
            tenant_id = store.uninstall(session, body.client_key, issued=issued, now=clock.now())
            if tenant_id is not None:
                session.info["tenant_id"] = tenant_id
                listener.on_uninstalled(session, tenant_id)
        log.info(
            "the add-on was uninstalled from a site",
            action="tenant_uninstalled",
            tenant=tenant_id or "unknown or unchanged",
        )
        return Response(status=204)

    @blueprint.post(LIFECYCLE_PATHS["enabled"])
    @admits("switch")
    def enabled() -> Response:
        return lifecycle.switch("enabled", listener.on_enabled)

    @blueprint.post(LIFECYCLE_PATHS["disabled"])
    @admits("switch")
    def disabled() -> Response:
        return lifecycle.switch("disabled", listener.on_disabled)

    return blueprint
