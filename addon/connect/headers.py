"""The headers that every answer carries, errors too: scanners and browsers see those as well.

See docs/rules/connect.md 4.1, 5.4.
"""

from __future__ import annotations

from flask import Response, request

from addon.config import AP_SCRIPT_URL, Settings
from addon.connect.hosts import AllowedHosts, csp_origin
from addon.connect.tenants import Installation

HSTS = "max-age=31536000; includeSubDomains"
BARE_HEADERS = {
    "Strict-Transport-Security": HSTS,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store, no-cache",
}
"""What an answer carries that no application made: nothing in it may load, run or be framed."""
TYPOGRAPHY_CDN = "https://ds-cdn.prod-east.frontend.public.atl-paas.net"
"""Where Atlassian's theming takes fonts and typography from, once it is switched on."""


def set_headers(
    response: Response, settings: Settings, allowed: AllowedHosts, installation: Installation | None
) -> Response:
    """Set the security headers. `installation` is the verified one of this request, if any.

    Static files keep their own caching; everything else is never stored. There are no cookies and no X-Frame-Options:
    who may frame a page is said by frame-ancestors alone.
    """
    headers = response.headers
    for name in ("Strict-Transport-Security", "Referrer-Policy", "X-Content-Type-Options"):
        headers[name] = BARE_HEADERS[name]
    headers["Content-Security-Policy"] = content_security_policy(settings, allowed, installation)
    if not _is_static() or response.status_code >= 400:
        headers["Cache-Control"] = BARE_HEADERS["Cache-Control"]
        headers.remove("Expires")
    headers.remove("X-Frame-Options")
    headers.remove("Set-Cookie")
    return response


def content_security_policy(settings: Settings, allowed: AllowedHosts, installation: Installation | None) -> str:
    """Return the policy: our own scripts and the host's bridge, framed by the tenant's site only.

    Without a verified installation the allowed host patterns may frame: what they get is an error in words, which
    should show inside Confluence.
    """
    bridge = csp_origin(settings.ap_script_url)
    scripts = _sources("'self'", bridge)
    typography = TYPOGRAPHY_CDN if settings.ap_script_url == AP_SCRIPT_URL else None
    framers: list[str | None] = [*allowed.csp_sources]
    if installation is not None:
        framers = [csp_origin(installation.base_url), csp_origin(installation.display_url)]
    directives = {
        "default-src": "'none'",
        "script-src": scripts,
        "style-src": _sources("'self'", bridge, typography),
        "font-src": _sources("'self'", typography),
        "img-src": "'self' data: https://*.atl-paas.net https://*.atlassian.net",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'self'",
        "object-src": "'none'",
        "frame-ancestors": _sources(*framers) or "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _sources(*sources: str | None) -> str:
    return " ".join(dict.fromkeys(source for source in sources if source))


def _is_static() -> bool:
    endpoint = request.endpoint or ""
    return endpoint == "static" or endpoint.endswith(".static")
