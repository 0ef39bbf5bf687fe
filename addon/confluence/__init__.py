"""The only way out to a Confluence site: signed, metered, typed.

`Confluence` makes a `SiteClient` per tenant; `Permissions` says who administers what. CQL is a door of its own:
`addon.confluence.cql`.
"""

from addon.confluence.client import SiteClient
from addon.confluence.content import Content, Kind, LongTask, Operation, Property, Restriction, SystemInfo, User
from addon.confluence.errors import (
    AskedForFewer,
    BadRequest,
    Conflict,
    CqlRejected,
    Forbidden,
    Malformed,
    Network,
    NotAllowed,
    NotFound,
    Postponed,
    QuotaExhausted,
    RateLimited,
    Redirected,
    RightsError,
    RightsUnknown,
    ServerError,
    SiteBusy,
    SiteError,
    Timeout,
)
from addon.confluence.gateway import Confluence
from addon.confluence.hints import (
    HintKind,
    forget_hints,
    hints_since,
    note_hint,
    note_rights_change,
    rights_changes,
)
from addon.confluence.http.endpoints import APPROVED_ENDPOINTS, ENDPOINTS
from addon.confluence.http.site_requests import CallGuard
from addon.confluence.quota.quota_table import forget_old_hours, forget_quota
from addon.confluence.rights.permissions import READ_AGE, WRITE_AGE, Permissions

__all__ = [
    "APPROVED_ENDPOINTS",
    "ENDPOINTS",
    "READ_AGE",
    "WRITE_AGE",
    "AskedForFewer",
    "BadRequest",
    "CallGuard",
    "Conflict",
    "Confluence",
    "Content",
    "CqlRejected",
    "Forbidden",
    "HintKind",
    "Kind",
    "LongTask",
    "Malformed",
    "Network",
    "NotAllowed",
    "NotFound",
    "Operation",
    "Permissions",
    "Postponed",
    "Property",
    "QuotaExhausted",
    "RateLimited",
    "Redirected",
    "Restriction",
    "RightsError",
    "RightsUnknown",
    "ServerError",
    "SiteBusy",
    "SiteClient",
    "SiteError",
    "SystemInfo",
    "Timeout",
    "User",
    "forget_hints",
    "forget_old_hours",
    "forget_quota",
    "hints_since",
    "note_hint",
    "note_rights_change",
    "rights_changes",
]
