"""Keyset cursors: where the next page of a list begins, as a text that callers pass back unread."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime

MAX_PAGE = 500
"""The most rows that one page has."""


def page_size(limit: int) -> int:
    """Return `limit`, or MAX_PAGE where that is less. Raises ValueError below one row."""
    if limit < 1:
        raise ValueError("a page has at least one row")
    return min(limit, MAX_PAGE)


def encode_cursor(*key: str | int) -> str:
    """Return the cursor of the page after the row with this key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> Sequence[str | int]:
    """Return the key in a cursor, whose parts are of `kinds` (str or int). Raises ValueError on anything else."""
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise ValueError("malformed cursor") from error
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise ValueError("malformed cursor")
    # What a column cannot hold, a database answers with an error of its own.
    if not all(part.isprintable() if isinstance(part, str) else 0 <= part < 2**31 for part in key):
        raise ValueError("malformed cursor")
    return key


def read_time(text: str | int) -> datetime:
    """Read a time of a cursor. Raises ValueError."""
    try:
        when = datetime.fromisoformat(str(text))
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("malformed cursor") from error
    raise ValueError("malformed cursor")
