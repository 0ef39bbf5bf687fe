"""The signature of our requests to a site: each prepared request gets one of its own.

See docs/rules/connect.md 3.5.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from addon.base import Clock
from addon.connect import tokens
from addon.connect.qsh import base_path_of, query_hash

LIFETIME_SECONDS = 180
_DEFAULT_PORTS = {"http": 80, "https": 443}


class ForeignUrl(Exception):
    """A request to another address than the tenant's site was about to be signed. It is not sent."""


class SiteAuth(AuthBase):
    """Signs requests to one site. requests calls it for every attempt, so a retry never carries an old token."""

    def __init__(self, *, addon_key: str, client_key: str, base_url: str, secret: str, clock: Clock) -> None:
        """Sign as `addon_key` for the tenant `client_key`; only below `base_url` (such as `https://x/wiki`)."""
        self._addon_key = addon_key
        self._client_key = client_key
        self._origin = _origin(base_url)
        self._base_path = base_path_of(base_url)
        self._secret = secret
        self._clock = clock

    def __repr__(self) -> str:
        return f"SiteAuth({self._client_key!r}, {self._origin!r})"

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Set the Authorization header for the URL as it will be sent. Raises ForeignUrl for any other site."""
        path, query = self._relative(r.url or "")
        issued = int(self._clock.now().timestamp())
        claims = {
            "iss": self._addon_key,
            "aud": [self._client_key],
            "iat": issued,
            "exp": issued + LIFETIME_SECONDS,
            "qsh": query_hash(r.method or "GET", path, query),
        }
        r.headers["Authorization"] = f"JWT {tokens.sign(claims, self._secret)}"
        return r

    def _relative(self, url: str) -> tuple[str, str]:
        if _origin(url) != self._origin:
            raise ForeignUrl(f"not signing a request to {_shown(url)}: the site is {_shown(self._origin)}")
        parts = urlsplit(url)
        base = self._base_path
        if base and parts.path != base and not parts.path.startswith(base + "/"):
            raise ForeignUrl(f"not signing a request outside {base}")
        return parts.path[len(base) :] or "/", parts.query


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.username is not None or parts.password is not None:
            return None
        return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None


def _shown(url: str | tuple[str, str, int | None] | None) -> str:
    origin = _origin(url) if isinstance(url, str) else url
    return f"{origin[0]}://{origin[1]}:{origin[2]}" if origin else "an address without a host"
