"""Secrets at rest: encrypted with Fernet, several keys at once so that keys can be rotated."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class SecretUnreadable(Exception):
    """A stored secret was encrypted with a key that is not configured any more."""


class SecretBox:
    """Encrypts with the first key, decrypts with any of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys (url-safe base64 of 32 bytes), newest first. Raises ValueError on a malformed or no key."""
        if not keys:
            raise ValueError("at least one encryption key is needed")
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: str) -> bytes:
        """Return `secret` encrypted."""
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Return the secret in clear. Raises SecretUnreadable when no configured key fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise SecretUnreadable("no configured encryption key opens this secret") from error

    def rotate(self, sealed: bytes) -> bytes:
        """Return the same secret encrypted with the newest key. Raises SecretUnreadable as `open` does."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken as error:
            raise SecretUnreadable("no configured encryption key opens this secret") from error
