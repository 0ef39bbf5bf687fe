"""Ids: UUIDv7 as text, made here and not by the database, so that they sort by time on both databases (RFC 9562)."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import NewType

TenantId = NewType("TenantId", str)
"""Our own id of one installation (`tenant.id`). Never the clientKey, never a host name."""

REMOVED_PERSON = "removed-user"
"""Takes the place of an erased person's account id where the place cannot be empty. No account has this id."""


_RANDOM_BITS = 74
_lock = threading.Lock()
_last = (0, 0)


def new_id() -> str:
    """Return a new UUIDv7 as lower-case text of 36 characters; each sorts after all that this process made before."""
    global _last
    fresh = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)) >> (80 - _RANDOM_BITS)
    with _lock:
        milliseconds, random = _last = fresh if fresh[0] > _last[0] else (_last[0], _last[1] + 1)
    # A sum, not an OR: should the random part ever run over, the next millisecond begins early.
    value = (milliseconds << _RANDOM_BITS) + random
    high, middle, low = value >> _RANDOM_BITS, value >> 62 & 0xFFF, value & (1 << 62) - 1
    return str(uuid.UUID(int=high << 80 | 0x7 << 76 | middle << 64 | 0x2 << 62 | low))
