"""The only way out to a Confluence site: signed, metered, typed.

`Confluence` makes a `SiteClient` per tenant; `Permissions` says who administers what. CQL is read and written by
`addon.confluence.cql.parser`, built by `addon.confluence.cql.queries`, checked by `addon.confluence.cql.rules`.
"""

from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Kind, LongTask, Operation, Property, SystemInfo, User
from addon.confluence.cql.parser import CqlSyntaxError, parse, to_cql
from addon.confluence.cql.queries import base, group_spaces
from addon.confluence.cql.rules import Checked, CqlRefused, check_administrators_cql
from addon.confluence.errors import (
    BadRequest,
    Conflict,
    CqlRejected,
    Forbidden,
    Malformed,
    Network,
    NotFound,
    Postponed,
    QuotaExhausted,
    RateLimited,
    Redirected,
    ServerError,
    SiteBusy,
    SiteError,
    Timeout,
)
from addon.confluence.gateway import Confluence
from addon.confluence.hints import HintKind, forget_hints, hints_since, note_hint
from addon.confluence.http.calls import APPROVED_CALLS, CALLS
from addon.confluence.http.channel import CallGuard
from addon.confluence.rights.permissions import READ_AGE, WRITE_AGE, Permissions
from addon.confluence.rights.rightschanges import note_rights_change, rights_changes

__all__ = [
    "APPROVED_CALLS",
    "CALLS",
    "READ_AGE",
    "WRITE_AGE",
    "BadRequest",
    "CallGuard",
    "Checked",
    "Conflict",
    "Confluence",
    "Content",
    "CqlRefused",
    "CqlRejected",
    "CqlSyntaxError",
    "Forbidden",
    "HintKind",
    "Kind",
    "LongTask",
    "Malformed",
    "Network",
    "NotFound",
    "Operation",
    "Permissions",
    "Postponed",
    "Property",
    "QuotaExhausted",
    "RateLimited",
    "Redirected",
    "ServerError",
    "SiteBusy",
    "SiteClient",
    "SiteError",
    "SystemInfo",
    "Timeout",
    "User",
    "base",
    "check_administrators_cql",
    "forget_hints",
    "group_spaces",
    "hints_since",
    "note_hint",
    "note_rights_change",
    "parse",
    "rights_changes",
    "to_cql",
]
