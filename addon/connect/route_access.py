"""The audience of each route: who is let in. A view that declares none keeps the server from starting.

Views only declare, with `admits`. `install_boundary` enforces it before the view runs and leaves the Caller on flask.g,
so a Forge invocation token could be verified here and no screen would notice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from flask import Flask, g, request

from addon.base import Caller, Clock, bind, unbind
from addon.config import Settings
from addon.connect.authenticate import HostCall, authenticate_context, authenticate_host, caller_of
from addon.connect.headers import set_headers
from addon.connect.hosts import AllowedHosts
from addon.connect.tenants import Installation, Tenants

Audience = Literal["public", "page", "api", "host", "switch", "install"]
"""public: everyone. page: a person through the host's frame, qsh of the request. api: a person with a context token.

host: the site itself (webhooks), qsh of the request. switch: the same, also while the app is disabled there (enabled,
disabled). install: the view verifies Atlassian's own signature (installed, uninstalled).
"""

AUDIENCES: frozenset[str] = frozenset(("public", "page", "api", "host", "switch", "install"))
_ATTRIBUTE = "__steward_audience__"
View = TypeVar("View", bound=Callable[..., Any])


class UndeclaredRoute(Exception):
    """A route was added without saying who is let in. The server does not start."""


def admits(name: Audience) -> Callable[[View], View]:
    """Declare who is let in to a view function. Put it below the route decorator. Raises ValueError on another name."""
    if name not in AUDIENCES:
        raise ValueError(f"no such audience: {name!r}")

    def declare(view: View) -> View:
        setattr(view, _ATTRIBUTE, name)
        return view

    return declare


def audience_of(app: Flask, endpoint: str) -> Audience | None:
    """Return the audience of an endpoint, None when its view declares none. Flask's own static files are public."""
    if endpoint == "static" or endpoint.endswith(".static"):
        return "public"
    view = app.view_functions.get(endpoint)
    found = getattr(view, _ATTRIBUTE, None) or getattr(getattr(view, "view_class", None), _ATTRIBUTE, None)
    return found if found in AUDIENCES else None


def check_routes(app: Flask) -> None:
    """Raise UndeclaredRoute naming every route of `app` whose view declares no audience, or that would redirect.

    Called once all are added.
    """
    missing = sorted(
        f"{route.rule} ({route.endpoint})"
        for route in app.url_map.iter_rules()
        if audience_of(app, route.endpoint) is None
    )
    if missing:
        raise UndeclaredRoute(f"routes that do not say who is let in: {', '.join(missing)}")
    ending = sorted(route.rule for route in app.url_map.iter_rules() if route.rule.endswith("/") and route.rule != "/")
    if ending:
        raise UndeclaredRoute(f"routes that end in a slash and would redirect without it: {', '.join(ending)}")


def install_boundary(app: Flask, tenants: Tenants, settings: Settings, clock: Clock) -> None:
    """Enforce the declared audience before every view of `app`, and set the security headers on every answer.

    Register it before any other before_request hook. Raises ValueError on a malformed STEWARD_ALLOWED_HOSTS entry.
    """
    allowed = AllowedHosts(settings.allowed_hosts)
    # A redirect would send the token on to whatever host and scheme the request named.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False

    def enforce() -> None:
        if request.url_rule is None:
            return  # No such address or method: Flask answers 404 or 405.
        name = audience_of(app, request.url_rule.endpoint)
        if name in ("public", "install"):
            return
        if name == "api":
            _admit(authenticate_context(request, tenants, clock), person=True)
        elif name in ("page", "host", "switch"):
            call = authenticate_host(request, tenants, clock, settings, disabled_too=name == "switch")
            _admit(call, person=name == "page")
        else:
            raise UndeclaredRoute(request.url_rule.rule)

    app.before_request(enforce)
    app.teardown_request(lambda _error: unbind("tenant"))
    app.after_request(lambda response: set_headers(response, settings, allowed, g.get("steward_installation")))


def current_caller() -> Caller:
    """Return the verified person behind the request. Raises LookupError in a view that admits no person."""
    caller = known_caller()
    if caller is None:
        raise LookupError("this view admits no person")
    return caller


def known_caller() -> Caller | None:
    """Return the verified person behind the request, None in a view that admits no person."""
    caller = g.get("steward_caller")
    return caller if isinstance(caller, Caller) else None


def current_installation() -> Installation:
    """Return the installation that signed the request. Raises LookupError in a view that verifies none."""
    installation = g.get("steward_installation")
    if not isinstance(installation, Installation):
        raise LookupError("this view verifies no installation")
    return installation


def current_claims() -> dict[str, Any]:
    """Return the verified claims of a host call, for the lifecycle and webhooks only. Raises LookupError without."""
    claims = g.get("steward_claims")
    if not isinstance(claims, dict):
        raise LookupError("this view verifies no host call")
    return claims


def _admit(call: HostCall, *, person: bool) -> None:
    g.steward_installation = call.installation
    bind(tenant=call.installation.id)
    if person:
        g.steward_caller = caller_of(call)
    else:
        g.steward_claims = call.claims
