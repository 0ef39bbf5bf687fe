"""Titles of problems: plain words for people who read the answer, one per kind and never the name of an HTTP status.

A kind's title stays the same from occurrence to occurrence (RFC 9457, 3.1.4); what is special about one is its detail.
A kind without a title of its own has that of its status (docs/adr/0034).
"""

from __future__ import annotations

_AGAIN = "Content Steward has to be installed again"
_BODY = "The request cannot be read"
_GONE = "Content Steward is not installed on this site"
_QUOTA = "Confluence's API limit is reached"
_SPACE_EXCLUDED = "This space is excluded"

BY_KIND = {
    "anonymous": "Log in to Confluence first",
    "asked-for-fewer": "Confluence asks for fewer requests",
    "bad-request": _BODY,
    "busy": "Another job is running",
    "changed-meanwhile": "Somebody else is changing this",
    "database-unavailable": "Content Steward cannot answer right now",
    "excluded": _SPACE_EXCLUDED,
    "first-run-confirmed": "The first run was confirmed before",
    "forbidden": "You may not see this",
    "install-key-unknown": "The installation could not be confirmed",
    "install-keys-unreachable": "The installation could not be confirmed",
    "invalid": "Something entered is not right",
    "invalid-cql": "This query is not right",
    "invalid-json": "The policies cannot be read",
    "invalid-policies": "The policies cannot be saved yet",
    "invalid-yaml": "The policies cannot be read",
    "lifecycle-body": _BODY,
    "method-not-allowed": "This cannot be done here",
    "needs-installation": _AGAIN,
    "no-such-version": "This version was not found",
    "not-acceptable": "There is no such format",
    "not-cancellable": "This cannot be cancelled",
    "not-editor": "Only people who may edit this can do that",
    "not-found": "Not found",
    "not-installed": _GONE,
    "not-json": _BODY,
    "not-retryable": "This cannot be retried",
    "notified-lately": "People were notified within the last day",
    "not-site-administrator": "For Confluence administrators only",
    "not-space-administrator": "For administrators of this space only",
    "not-startable": "This cannot start now",
    "policies-changed": "This is not the current version of the policies",
    "precondition-required": "The version is missing",
    "quota": _QUOTA,
    "quota-exhausted": _QUOTA,
    "read-only": "Content Steward may not change this",
    "reinstall-needed": _AGAIN,
    "saved-too-often": "Saved too often",
    "saving": "Somebody else is saving right now",
    "secret-unreadable": "Content Steward's operator is needed",
    "site-busy": "Confluence answers slowly",
    "site-unavailable": "Confluence does not answer as expected",
    "space-excluded": _SPACE_EXCLUDED,
    "space-not-included": "This space is not included",
    "space-not-visible": "Content Steward cannot see this space",
    "tenant-disabled": "Content Steward is disabled on this site",
    "tenant-unknown": _GONE,
    "token-expired": "This page was open for too long",
    "too-large": "This is too large",
    "too-many-requests": "Too many requests at once",
    "undecided": "The status cannot be decided now",
    "unexpected": "Something went wrong",
    "unknown-content": "Content Steward cannot read this",
    "unknown-execution": "This execution was not found",
    "unknown-job": "There is no such job",
    "unsupported-media-type": "This format cannot be read",
    "webhook-body": _BODY,
}
BY_STATUS = {
    400: _BODY,
    401: "Open this inside Confluence",
    403: BY_KIND["forbidden"],
    404: BY_KIND["not-found"],
    405: BY_KIND["method-not-allowed"],
    406: BY_KIND["not-acceptable"],
    408: "The request took too long",
    409: "This cannot be done now",
    410: "This is gone",
    412: BY_KIND["policies-changed"],
    413: BY_KIND["too-large"],
    414: BY_KIND["too-large"],
    415: BY_KIND["unsupported-media-type"],
    422: BY_KIND["invalid"],
    428: BY_KIND["precondition-required"],
    429: BY_KIND["too-many-requests"],
    431: BY_KIND["too-large"],
    503: BY_KIND["database-unavailable"],
}


def title(status: int, kind: str) -> str:
    """Return the title of a problem of this kind, which is answered with this HTTP status."""
    other = _BODY if status < 500 else BY_KIND["unexpected"]
    return BY_KIND.get(kind) or BY_STATUS.get(status, other)
