"""With which public key did Atlassian sign this installation? Keys are fetched by id from configured hosts only.

connect.md 2.3: a key never comes from the token (`jku`, `x5u`, `jwk`), its id must look like one, no redirects, and a
rotated key has a new id.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from addon.base import Clock, Problem
from addon.connect.hosts import is_loopback
from addon.connect.tokens import refused

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.05
READ_SECONDS = 4.0
MAX_PEM_BYTES = 16_384
MIN_KEY_BITS = 2048
CACHE_FOR = timedelta(hours=24)
CACHE_SIZE = 64
_KID = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z")
_ABSENT = frozenset({403, 404, 410})
"""A storage behind a CDN answers 403 for an object that does not exist when listing is not public."""


class _HostDown(Exception):
    """This host could not tell whether the key exists."""


class InstallKeys:
    """The public keys of installs, by key id; kept for a day."""

    def __init__(self, hosts: Sequence[str], clock: Clock) -> None:
        """Ask `hosts` (URLs; the key id is appended as a path segment) in this order."""
        self._hosts = tuple(host.rstrip("/") for host in hosts)
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[datetime, RSAPublicKey]] = OrderedDict()

    def get(self, kid: object) -> RSAPublicKey:
        """Return the key with this id.

        Raises Problem 401 install-key-unknown (not an id, or no host has it), 503 install-keys-unreachable (a host
        that may have it does not answer; Atlassian tries again).
        """
        if not isinstance(kid, str) or not _KID.match(kid) or ".." in kid or kid == ".":
            raise refused("install-key-unknown", "The token names no install key.")
        key = self._cached(kid)
        if key is None:
            key = self._fetch(kid)
            with self._lock:
                self._known[kid] = (self._clock.now() + CACHE_FOR, key)
                self._known.move_to_end(kid)
                while len(self._known) > CACHE_SIZE:
                    self._known.popitem(last=False)
        return key

    def _cached(self, kid: str) -> RSAPublicKey | None:
        with self._lock:
            until, key = self._known.get(kid, (None, None))
            return key if until is not None and until > self._clock.now() else None

    def _fetch(self, kid: str) -> RSAPublicKey:
        down = False
        for host in self._hosts:
            try:
                key = _ask(host, kid)
            except _HostDown as error:
                log.warning("install key host %s: %s", host, error)
                down = True
                continue
            if key is not None:
                return key
        if down or not self._hosts:
            raise Problem(
                503, "install-keys-unreachable", "The install keys of Atlassian cannot be read now.", retry_after=60
            )
        raise refused("install-key-unknown", "No host knows the install key that the token names.")


def _ask(host: str, kid: str) -> RSAPublicKey | None:
    """Return the key, or None when the host says there is none. Raises _HostDown."""
    try:
        with requests.Session() as session:
            # A proxy from the environment is for the internet, never for this machine.
            session.trust_env = not is_loopback(urlsplit(host).hostname or "")
            with session.get(
                f"{host}/{kid}",
                allow_redirects=False,
                stream=True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                headers={"Accept": "text/plain, application/x-pem-file, */*"},
            ) as answer:
                if answer.status_code in _ABSENT:
                    return None
                if answer.status_code != 200:
                    raise _HostDown(f"answered {answer.status_code}")
                return _rsa_key(_body(answer))
    except requests.RequestException as error:
        raise _HostDown(type(error).__name__) from error


def _body(answer: requests.Response) -> bytes:
    body = b""
    for chunk in answer.iter_content(4096):
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
