"""The time zones known here: IANA's names, spelt as IANA spells them, the same on every machine.

`localtime` and `Factory` are files of a machine rather than zones: what they mean depends on where one asks.
"""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

NOT_ZONES = {"localtime", "Factory", "posixrules"}


def known_zone(name: str) -> ZoneInfo:
    """Return the time zone that IANA calls `name`. Raises ValueError, with the name in it, when there is none."""
    if name not in zone_names():
        raise ValueError(f"unknown time zone {name!r}")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names of all time zones known here."""
    return frozenset(available_timezones() - NOT_ZONES)
