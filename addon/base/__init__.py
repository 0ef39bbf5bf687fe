"""What every other package stands on: the clock, ids, the database, secrets, errors for people and the ports.

`base` imports nothing of ours. A name belongs here only when at least two packages that may not import each
other need it.
"""

from addon.base.backoff import backoff
from addon.base.clock import Clock, SystemClock, known_zone, seconds_since, sleep, within, zone_names
from addon.base.database import Database, TenantScoped, UtcDateTime, metadata
from addon.base.ids import REMOVED_PERSON, TenantId, new_id
from addon.base.patience import is_away, is_blocked, is_temporary
from addon.base.ports import Caller, ScheduleSpec, Site, SiteSource, Space, TenantGone, Unreachable
from addon.base.refusals import FieldError, Refusal, pointer
from addon.base.secrets import SecretBox

__all__ = [
    "REMOVED_PERSON",
    "Caller",
    "Clock",
    "Database",
    "FieldError",
    "Refusal",
    "ScheduleSpec",
    "SecretBox",
    "Site",
    "SiteSource",
    "Space",
    "SystemClock",
    "TenantGone",
    "TenantId",
    "TenantScoped",
    "Unreachable",
    "UtcDateTime",
    "backoff",
    "is_away",
    "is_blocked",
    "is_temporary",
    "known_zone",
    "metadata",
    "new_id",
    "pointer",
    "seconds_since",
    "sleep",
    "within",
    "zone_names",
]
