"""The query string hash (qsh), which binds a token to one method, path and query.

The algorithm is that of docs/rules/connect.md 3.2. It works on the raw, still encoded request target: a decoded path
has lost the difference between `/a/b` and `/a%2Fb`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

CONTEXT_QSH = "context-qsh"
"""The fixed literal that tokens of `AP.context.getToken()` carry instead of a hash (docs/rules/connect.md 3.3)."""

_UNRESERVED = "-._~"


def relative_path(raw_path: str, base_path: str) -> str:
    """Return `raw_path` relative to `base_path`, cut on a segment boundary only (`/app` is no prefix of `/apple`).

    A path outside `base_path` is returned as it is: a proxy may have taken the prefix away already.
    """
    base = base_path.rstrip("/")
    if base and (raw_path == base or raw_path.startswith(base + "/")):
        raw_path = raw_path[len(base) :]
    return raw_path or "/"


def canonical(method: str, raw_path: str, raw_query: str) -> str:
    """Return the canonical request of docs/rules/connect.md 3.2.

    `raw_path` is relative to the base URL and, like `raw_query` (without "?"), percent-encoded as it was sent.
    """
    path = raw_path or "/"
    if len(path) > 1 and path.endswith("/"):
        path = path[:-1]
    return "&".join((method.upper(), path.replace("&", "%26"), _canonical_query(raw_query)))


def query_hash(method: str, raw_path: str, raw_query: str) -> str:
    """Return the qsh: the SHA-256 of the canonical request as 64 lower-case hexadecimal digits.

    Raises UnicodeError for octets that are no UTF-8: replaced by a sign of their own, two requests would share a hash.
    """
    return hashlib.sha256(canonical(method, raw_path, raw_query).encode()).hexdigest()


def raw_target(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path and the query of a WSGI request exactly as the client sent them, still percent-encoded.

    Servers keep the target in REQUEST_URI (waitress, werkzeug, mod_wsgi) or RAW_URI (gunicorn). Without either the
    path is encoded again, which cannot bring back what decoding lost. Non-ASCII octets are read as UTF-8. Raises
    UnicodeError where they are not.
    """
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if not isinstance(target, str) or not target:
        path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
        return quote(path.encode("latin-1"), safe="/!$&'()*+,;=:@-._~"), str(environ.get("QUERY_STRING", ""))
    target = target.encode("latin-1").decode("utf-8").partition("#")[0]
    if not target.startswith("/") and "://" in target.partition("?")[0]:
        # The absolute form that a proxy may send (RFC 9112 3.2.2).
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return path, query


def base_path_of(url: str) -> str:
    """Return the path of a base URL without a trailing slash ("" for none)."""
    return urlsplit(url).path.rstrip("/")


def _canonical_query(raw_query: str) -> str:
    values: dict[str, list[str]] = {}
    for piece in raw_query.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        values.setdefault(_decode(name), []).append(_decode(value))
    values.pop("jwt", None)
    return "&".join(
        f"{name}={joined}"
        for name, joined in sorted(
            (_encode(name), ",".join(_encode(value) for value in sorted(many))) for name, many in values.items()
        )
    )


def _decode(text: str) -> str:
    return unquote(text.replace("+", " "), encoding="utf-8", errors="strict")


def _encode(text: str) -> str:
    return quote(text, safe=_UNRESERVED)
