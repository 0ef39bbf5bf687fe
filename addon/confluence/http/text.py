"""Text from outside that every database, mail and URL can carry.

JSON may spell half of a surrogate pair or a NUL in an escape; neither can be encoded as UTF-8 text or stored in
PostgreSQL. What `mended` returns holds none of them, at any depth.
"""

from __future__ import annotations

import re
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNFIT = re.compile("[\ud800-\udfff\0]")


def mended(value: Any) -> Any:
    """Return decoded JSON with every half surrogate pair and NUL replaced by U+FFFD, in names of fields as well."""
    if isinstance(value, str):
        return _UNFIT.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {mended(name): mended(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mended(inner) for inner in value]
    return value
