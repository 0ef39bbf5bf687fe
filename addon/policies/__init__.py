"""The policies: everything an administrator configures, in one versioned document per tenant.

The document
    `PolicyDocument` has statuses, schemes, schedules, mail templates and assignments of schemes to spaces. It is
    immutable. A space's scheme is the one that the first assignment for it names, else the default scheme. `exclusion`
    says whether a space takes part at all: not when it is excluded, and, if some spaces are chosen, only when it is one
    of these (docs/adr/0032).

Versions
    ::

        shipped (0) --seed--> 1 --put--> 2 --put--> 3 ...        put is accepted only for the version it was made on

    A stored version never changes, but for a person who is taken out of it. A run keeps to the version it began with.
    Of two puts at the same moment one is stored and the other one is refused with `PoliciesChanged`: the version's
    number is the primary key. A document that changes nothing makes no version. A tenant stores at most 200 versions in
    a day.

    A status id that was removed can never be used again: pages may still carry it (`StatusSlug`).

Checks
    text -> `parse` -> `PolicyDocument.read` -> `Policies.check` -> `put`. Reading refuses what has the wrong
    shape, checking what does not fit together, both naming each field by its JSON pointer. The checks of CQL and of
    mail templates belong to other rooms and are handed to `Policies` when it is built. `check` may return a corrected
    CQL and notices for the author.

One draft
    The screen edits one draft of the whole document and puts it once (docs/adr/0013), so the parts that refer to each
    other are always checked together.

On failure
    Everything raised is a `PolicyError` with what the author needs. Sessions are the caller's: a version and what
    follows from it, such as schedules, are stored together or not at all.
"""

from addon.policies.checks import CheckCql, CheckTemplates, Notice
from addon.policies.codec import MAX_BYTES, MEDIA_TYPES, dump, lines, parse
from addon.policies.defaults import digest_template, refresh_cron, shipped
from addon.policies.document import PolicyDocument
from addon.policies.elements import (
    Action,
    Assignment,
    Automation,
    AutomationScheme,
    Hold,
    NotificationScheme,
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
from addon.policies.schemes import NOT_INCLUDED, matches
from addon.policies.store import Accepted, Checked, Policies
from addon.policies.usage import keys_named
from addon.policies.versions import forget_versions, newest_versions

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
    "forget_versions",
    "keys_named",
    "lines",
    "matches",
    "newest_versions",
    "parse",
    "people_named",
    "refresh_cron",
    "shipped",
]
