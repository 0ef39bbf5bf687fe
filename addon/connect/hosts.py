"""The addresses that a tenant's site may have: patterns such as `*.atlassian.net` or `http://127.0.0.1:*`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_PATTERN = re.compile(
    rf"(?:(?P<scheme>https?)://)?(?P<wild>\*\.)?(?P<host>{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>\*|\d{{1,5}}))?\Z"
)
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class HostPattern:
    """One allowed entry. Without a scheme it means https; plain http is for loopback only."""

    scheme: str
    host: str
    wildcard: bool
    port: int | None
    """None: any port."""

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Return the pattern in `text`. Raises ValueError when it is malformed or plain http to another machine."""
        match = _PATTERN.match(text.strip().lower())
        if match is None:
            raise ValueError(f"not a host pattern: {text!r}")
        scheme, host, port = match["scheme"] or "https", match["host"], match["port"]
        if scheme == "http" and (match["wild"] or not is_loopback(host)):
            raise ValueError(f"plain http is for loopback only: {text!r}")
        if match["wild"] and "." not in host:
            raise ValueError(f"too wide a host pattern: {text!r}")
        number = None if port == "*" else int(port) if port else _PORTS[scheme]
        return cls(scheme, host, bool(match["wild"]), number)

    def allows(self, scheme: str, host: str, port: int) -> bool:
        """Return whether the pattern covers an origin. A wildcard means one or more labels."""
        if scheme != self.scheme or (self.port is not None and port != self.port):
            return False
        return host.endswith("." + self.host) if self.wildcard else host == self.host

    @property
    def csp_source(self) -> str:
        """The pattern as a source expression of a Content-Security-Policy."""
        port = ":*" if self.port is None else "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{'*.' if self.wildcard else ''}{self.host}{port}"


class AllowedHosts:
    """The configured patterns together."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Take the entries of STEWARD_ALLOWED_HOSTS. Raises ValueError on a malformed one."""
        self.patterns = tuple(HostPattern.parse(pattern) for pattern in patterns)

    def allows(self, url: str) -> bool:
        """Return whether `url` is a clean absolute URL on an allowed host."""
        origin = origin_of(url)
        return origin is not None and any(pattern.allows(*origin) for pattern in self.patterns)

    @property
    def csp_sources(self) -> tuple[str, ...]:
        """The patterns as source expressions of a Content-Security-Policy."""
        return tuple(pattern.csp_source for pattern in self.patterns)


def is_loopback(host: str) -> bool:
    """Return whether `host` names this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of a clean http(s) URL, or None.

    Clean: printable ASCII, a plain host name, no user, no query, no fragment, no dot segments.
    """
    if not re.fullmatch(r"[\x21-\x7e]{1,500}", url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _HOST.match(host) or "@" in parts.netloc or "?" in url or "#" in url:
        return None
    if any(segment in ("..", ".") for segment in parts.path.split("/")):
        return None
    return parts.scheme, host, port or _PORTS[parts.scheme]


def csp_origin(url: str | None) -> str | None:
    """Return the origin of a stored URL as a source expression of a Content-Security-Policy, or None."""
    origin = origin_of(url) if url else None
    if origin is None:
        return None
    scheme, host, port = origin
    return f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")
