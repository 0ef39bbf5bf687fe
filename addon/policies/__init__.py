"""What administrators configure: one versioned document per tenant, its shapes, its checks, its defaults."""

from addon.policies.checks import CheckCql, CheckTemplates, Notice
from addon.policies.codec import MAX_BYTES, MEDIA_TYPES, dump, lines, parse
from addon.policies.defaults import digest_template, refresh_cron, shipped
from addon.policies.document import (
    Action,
    Assignment,
    Automation,
    AutomationScheme,
    Hold,
    NotificationScheme,
    PolicyDocument,
    Recipient,
    Rule,
    Selector,
    Status,
    StatusEntry,
    StatusScheme,
    Template,
)
from addon.policies.errors import (
    InvalidPolicies,
    NoSuchVersion,
    PoliciesChanged,
    PolicyError,
    SavedTooOften,
    TooLarge,
    Unreadable,
    UnsupportedMediaType,
)
from addon.policies.people import forget_person, people_named
from addon.policies.schemes import NOT_INCLUDED
from addon.policies.store import Accepted, Checked, Policies
from addon.policies.usage import keys_named

__all__ = [
    "MAX_BYTES",
    "MEDIA_TYPES",
    "NOT_INCLUDED",
    "Accepted",
    "Action",
    "Assignment",
    "Automation",
    "AutomationScheme",
    "CheckCql",
    "CheckTemplates",
    "Checked",
    "Hold",
    "InvalidPolicies",
    "NoSuchVersion",
    "Notice",
    "NotificationScheme",
    "Policies",
    "PoliciesChanged",
    "PolicyDocument",
    "PolicyError",
    "Recipient",
    "Rule",
    "SavedTooOften",
    "Selector",
    "Status",
    "StatusEntry",
    "StatusScheme",
    "Template",
    "TooLarge",
    "Unreadable",
    "UnsupportedMediaType",
    "digest_template",
    "dump",
    "forget_person",
    "keys_named",
    "lines",
    "parse",
    "people_named",
    "refresh_cron",
    "shipped",
]
