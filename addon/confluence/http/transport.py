"""One request to a site: signed, to that host only, within one deadline, with a bounded answer.

atlassian-python-api is the transport, in this module and nowhere else. It carries the request: it encodes the body,
sends it on the session that it is given, and returns the response as it came (`advanced_mode`). Everything else it
offers stays off or unused, because it is not safe here (docs/rules/confluence-api.md 6):

* its retries (`backoff_and_retry`, `retry_with_header`) would send an old signature again and sleep for up to half an
  hour where no stop and no lease is checked; SiteRequests repeats instead, each time with a new signature;
* its joining of URLs and parameters: the URL is signed, so it is built once, in endpoints.py, and passed as `absolute`;
* its errors (`raise_for_status`): it reads the texts of v1 only, and 404 becomes the same error as a broken request;
* its helpers for Cloud: most go to paths that Confluence does not have, and none counts points;
* its log at DEBUG, which holds whole answers with people's names and addresses.

The limits are set below it, at the session that is passed in: one deadline over connect, headers and body, enforced at
the socket so that a server that drips bytes cannot stretch it, and a cap on the size of an answer.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from atlassian.rest_client import AtlassianRestAPI
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from addon.base import Site
from addon.confluence.errors import Malformed, Network, SiteError, Timeout

MAX_BYTES = 20 * 1024 * 1024
SITES = 32
"""Sites to which connections are kept open."""
CONNECTIONS = 64
"""Connections that are kept open to one site."""
CONNECT_SHARE = 0.25
"""The part of a call's time that one connection attempt may take; a host name may have several addresses."""

# At DEBUG the library logs whole answers, people's names and addresses included.
logging.getLogger("atlassian").setLevel(logging.INFO)

_current = threading.local()


class Transport:
    """One pool of connections for the whole process; every call gets a session of its own on top of it."""

    def __init__(self, user_agent: str, *, max_bytes: int = MAX_BYTES) -> None:
        """Take the User-Agent to send and the largest answer to accept, in bytes."""
        self._user_agent = user_agent
        self._max_bytes = max_bytes
        self._adapter = _DeadlineAdapter(pool_connections=SITES, pool_maxsize=CONNECTIONS, max_retries=0)

    def send(self, site: Site, method: str, url: str, body: Any, *, seconds: float) -> requests.Response:
        """Send one request and return its whole answer, of any status, read to the end.

        `body` is JSON-ready or None; `seconds` is the total limit. Raises Timeout, Network, or Malformed for an
        answer that is too large.
        """
        session = _BoundedSession(self._max_bytes, seconds)
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)
        session.trust_env = not _loopback(url)
        session.auth = site.auth
        rest = AtlassianRestAPI(
            site.base_url,
            session=session,
            cloud=True,
            backoff_and_retry=False,
            retry_with_header=False,
        )
        try:
            with _deadline(seconds):
                answer: requests.Response = rest.request(
                    method,
                    url,
                    data=body,
                    headers=self._headers(method),
                    absolute=True,
                    advanced_mode=True,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise _translated(error, seconds) from error
        return answer

    def close(self) -> None:
        """Close the pooled connections."""
        self._adapter.close()

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._user_agent}
        if method != "GET":
            headers["X-Atlassian-Token"] = "no-check"
        if method in ("POST", "PUT"):
            headers["Content-Type"] = "application/json"
        return headers


class _BoundedSession(requests.Session):
    """Reads the answer itself, within the call's time and size."""

    def __init__(self, max_bytes: int, seconds: float) -> None:
        super().__init__()
        self.stream = True
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None: no redirect is followed, and requests would read its address even so, whatever that says."""
        return None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send as requests does, then take the body in bounded pieces."""
        kwargs["timeout"] = (self._seconds * CONNECT_SHARE, self._seconds)
        response = super().send(request, **kwargs)
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in response.iter_content(64 * 1024):
                pieces.append(piece)
                size += len(piece)
                if size > self._max_bytes:
                    raise _TooLarge(f"more than {self._max_bytes} bytes")
                if time.monotonic() > self._until:
                    raise requests.Timeout("the answer took too long")
        finally:
            response.close()
        response._content = b"".join(pieces)
        response._content_consumed = True  # type: ignore[attr-defined]
        return response


class _TooLarge(requests.RequestException):
    """An answer beyond the cap."""


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes, each read given only the time that is left of the current call."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        until = getattr(_current, "until", None)
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the call's total time is over")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock))


class _PlainConnection(HTTPConnection):
    response_class = _DeadlineResponse


class _TlsConnection(HTTPSConnection):
    response_class = _DeadlineResponse


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        return manager


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    _current.until = time.monotonic() + seconds
    try:
        yield
    finally:
        _current.until = None


def _loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _translated(error: requests.RequestException, seconds: float) -> SiteError:
    if isinstance(error, _TooLarge):
        return Malformed(f"the answer is too large: {error}")
    # requests reports a timeout while reading the body as a ConnectionError around urllib3's ReadTimeoutError.
    if isinstance(error, requests.Timeout) or "Read timed out" in str(error) or "timed out" in str(error).lower():
        return Timeout(f"no complete answer within {seconds:.0f} s")
    return Network(f"the site could not be reached ({type(error).__name__})")
