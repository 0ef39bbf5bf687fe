"""The ground floor: what at least two packages need that may not import each other, and nothing of theirs.

`base` imports nothing of ours and knows no HTTP library. Each module is one thing:

    clock       the passing of time, the one sleep that a stop interrupts, the time zones
    backoff     how long to wait after so many failures
    cache       a bounded memory of answers
    chunks      sequences cut into what one call or statement takes
    database    sessions for reading and writing that see one tenant only
    patience    how long a database may take, and which of its errors say that it is away
    piecemeal   rows written together, and one by one where the database refuses some
    sweep       old rows deleted in batches
    bounds      numbers, ids and times from outside that every column and calendar can take
    logs        one event a line, with an action and ids
    ids         UUIDv7, in order of time
    secrets     shared secrets at rest
    ports       values and protocols between packages: Caller, Site, SiteSource, Space, ScheduleSpec
    refusals    the root of all errors that people read
    resources   templates, from a checkout and from a wheel

Three promises hold all of it together. Time is UTC, aware, and comes from the injected Clock. A session that is bound
to a tenant (`Database.read`, `Database.write`) reads, changes and creates rows of that tenant only, whatever the
statement says; only ticks, the lifecycle and operators open one over all tenants. On SQLite a write transaction takes
its lock when it begins, so that both databases run the same code.

On failure: a statement that the database does not answer within the patience fails, and `is_away`, `is_blocked` and
`is_temporary` tell the caller whether the same statement may succeed later. A row of another tenant raises
ForeignTenant, which is a bug and never an input error. A secret that no configured key opens raises SecretUnreadable.
"""

from addon.base.backoff import backoff
from addon.base.cache import Cache
from addon.base.chunks import chunks
from addon.base.clock import Clock, SystemClock, known_zone, seconds_since, sleep, within, zone_names
from addon.base.database import Base, Database, TenantScoped, UtcDateTime, insert, metadata
from addon.base.ids import REMOVED_PERSON, TenantId, new_id
from addon.base.logs import about, bind, configure, get_logger, unbind
from addon.base.patience import PATIENCE, cause_of, is_away, is_blocked, is_temporary
from addon.base.piecemeal import write_piecemeal
from addon.base.ports import Caller, ScheduleSpec, Site, SiteSource, Space, TenantGone, Unreachable
from addon.base.refusals import FieldError, Location, Refusal, dotted, field_errors, plain, pointer
from addon.base.secrets import SecretBox, SecretUnreadable

__all__ = [
    "PATIENCE",
    "REMOVED_PERSON",
    "Base",
    "Cache",
    "Caller",
    "Clock",
    "Database",
    "FieldError",
    "Location",
    "Refusal",
    "ScheduleSpec",
    "SecretBox",
    "SecretUnreadable",
    "Site",
    "SiteSource",
    "Space",
    "SystemClock",
    "TenantGone",
    "TenantId",
    "TenantScoped",
    "Unreachable",
    "UtcDateTime",
    "about",
    "backoff",
    "bind",
    "cause_of",
    "chunks",
    "configure",
    "dotted",
    "field_errors",
    "get_logger",
    "insert",
    "is_away",
    "is_blocked",
    "is_temporary",
    "known_zone",
    "metadata",
    "new_id",
    "plain",
    "pointer",
    "seconds_since",
    "sleep",
    "unbind",
    "within",
    "write_piecemeal",
    "zone_names",
]
