"""The public keys of Atlassian's installs, fetched by id from configured hosts only.

A key never comes from the token (`jku`, `x5u`, `jwk`), its id must look like one, no redirect is followed, and a
rotated key has a new id (docs/rules/connect.md 2.3). Anyone can send a token with an id of their own making, so asking
is bounded: one fetch at a time, a few requests that wait for it, one total time, and a key that no host knows is not
asked for again for a minute.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from addon.base import Cache, Clock, get_logger
from addon.connect.errors import CannotVerify, Unauthenticated
from addon.connect.hosts import is_loopback

log = get_logger(__name__)

TOTAL_SECONDS = 5.0
"""How long one request may take to learn a key, over all hosts and its wait for the turn."""
HOST_SECONDS = 3.0
"""Of these, what one host may take before the next is asked."""
WAITING = 8
"""Requests that wait for a key at once, the one that fetches included: half of the server's threads, because anyone may
send tokens and the other half has to work. Further ones are asked to come back."""
MISS_FOR = timedelta(minutes=1)
MISSES = 1000
MAX_PEM_BYTES = 16_384
MIN_KEY_BITS = 2048
CACHE_FOR = timedelta(hours=24)
CACHE_SIZE = 64
_KID = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z")
_ABSENT = frozenset({404, 410})
"""Not 403: that is a host which refuses us, and says nothing of the key."""


class _HostDown(Exception):
    """This host could not tell whether the key exists."""


class InstallKeys:
    """The public keys of installs, by key id; kept for a day."""

    def __init__(self, hosts: Sequence[str], clock: Clock) -> None:
        """Ask `hosts` (URLs; the key id is appended as a path segment) in this order."""
        self._hosts = tuple(host.rstrip("/") for host in hosts)
        self._turn = threading.Lock()
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._known: Cache[str, RSAPublicKey] = Cache(clock, most=CACHE_SIZE, lasts=CACHE_FOR)
        self._missed: Cache[str, None] = Cache(clock, most=MISSES, lasts=MISS_FOR)

    def get(self, kid: object) -> RSAPublicKey:
        """Return the key with this id.

        Raises Unauthenticated (not an id, or no host has it), CannotVerify (a host
        that may have it does not answer, or too many wait; Atlassian tries again).
        """
        if not isinstance(kid, str) or not _KID.match(kid) or ".." in kid or kid == ".":
            raise Unauthenticated("install-key-unknown", "The token names no install key.")
        key = self._remembered(kid)
        if key is not None:
            return key
        if not self._waiting.acquire(blocking=False):
            raise _unreachable(5)
        try:
            deadline = time.monotonic() + TOTAL_SECONDS
            if not self._turn.acquire(timeout=TOTAL_SECONDS):
                raise _unreachable(5)
            try:
                return self._remembered(kid) or self._fetch(kid, deadline)
            finally:
                self._turn.release()
        finally:
            self._waiting.release()

    def _remembered(self, kid: str) -> RSAPublicKey | None:
        """Return a key that is known. Raises Unauthenticated for one that no host knew a moment ago."""
        known = self._known.get(kid)
        if known is not None:
            return known.value
        if self._missed.get(kid) is not None:
            raise _unknown()
        return None

    def _fetch(self, kid: str, deadline: float) -> RSAPublicKey:
        down = False
        for host in self._hosts:
            try:
                key = _ask(host, kid, min(deadline, time.monotonic() + HOST_SECONDS))
            except _HostDown as error:
                log.warning(
                    "a host of install keys does not answer", action="key_host_down", host=host, error=str(error)
                )
                down = True
                continue
            if key is not None:
                self._known.put(kid, key)
                return key
        if down or not self._hosts:
            raise _unreachable(60)
        self._missed.put(kid, None)
        raise _unknown()


def _unknown() -> Unauthenticated:
    return Unauthenticated("install-key-unknown", "No host knows the install key that the token names.")


def _unreachable(seconds: int) -> CannotVerify:
    return CannotVerify(
        "install-keys-unreachable", "The install keys of Atlassian cannot be read now.", retry_after=seconds
    )


def _ask(host: str, kid: str, deadline: float) -> RSAPublicKey | None:
    """Return the key, or None when the host says there is none. Raises _HostDown."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise _HostDown("no time is left to ask it")
    try:
        with requests.Session() as session:
            # A proxy from the environment is for the internet, never for this machine.
            session.trust_env = not is_loopback(urlsplit(host).hostname or "")
            with session.get(
                f"{host}/{kid}",
                allow_redirects=False,
                stream=True,
                timeout=left,
                headers={"Accept": "text/plain, application/x-pem-file, */*"},
            ) as answer:
                if answer.status_code in _ABSENT:
                    return None
                if answer.status_code != 200:
                    raise _HostDown(f"answered {answer.status_code}")
                return _rsa_key(_body(answer, deadline))
    except (requests.RequestException, ValueError) as error:
        # requests reads where a redirect leads although it is not followed, and fails on what is no address.
        raise _HostDown(type(error).__name__) from error


def _body(answer: requests.Response, deadline: float) -> bytes:
    body = b""
    for chunk in answer.iter_content(4096):
        if time.monotonic() > deadline:
            raise _HostDown("answers too slowly")
        body += chunk
        if len(body) > MAX_PEM_BYTES:
            raise _HostDown("answered more than a key")
    return body


def _rsa_key(pem: bytes) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem.strip())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _HostDown("answered no PEM public key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_KEY_BITS:
        raise _HostDown("answered a key that is too weak or not RSA")
    return key
