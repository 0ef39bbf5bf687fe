"""Ids: UUIDv7 as text, made here and not by the database, so that they sort by time on both databases (RFC 9562)."""

from __future__ import annotations

import os
import time
import uuid
from typing import NewType

TenantId = NewType("TenantId", str)
"""Our own id of one installation (`tenant.id`). Never the clientKey, never a host name."""

REMOVED_PERSON = "removed-user"
"""Stands where an account id stood of a person who was erased and the place cannot be empty. Nobody has this id."""


def new_id() -> str:
    """Return a new UUIDv7 as lower-case text of 36 characters."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
