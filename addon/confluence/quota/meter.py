"""The price of a call in Atlassian's points: before it, at most; after it, exactly.

A read costs 1 and the objects it returns: 1 for each, 2 for each user, group or permission; a write costs 1 flat
(docs/rules/confluence-api.md 4). POST reads are ambiguous there; they are priced as the dearer, per object.
"""

from __future__ import annotations

from typing import Any

from addon.confluence.http import endpoints
from addon.confluence.http.endpoints import Endpoint

_IDENTITY = frozenset(
    {
        endpoints.USER,
        endpoints.MEMBER_OF,
        endpoints.GROUP_MEMBERS,
        endpoints.USERS_BULK,
        endpoints.EMAILS,
        endpoints.SPACE_PERMISSIONS,
        endpoints.ROLE_ASSIGNMENTS,
        endpoints.ROLES,
        endpoints.RESTRICTIONS,
    }
)


def weight(endpoint: Endpoint) -> int:
    """Return the points of one object that `endpoint` returns."""
    return 2 if endpoint in _IDENTITY else 1


def ceiling(endpoint: Endpoint, most: int) -> int:
    """Return what a call may cost at most when it returns up to `most` objects."""
    return 1 if endpoints.writes(endpoint) else 1 + most * weight(endpoint)


def cost(endpoint: Endpoint, status: int, answer: Any) -> int:
    """Return what a call cost that was answered with `status` and `answer` (decoded JSON, None without any).

    What was turned away at the door (401, 429) costs nothing, other failures the request alone.
    """
    if status in (401, 429):
        return 0
    if endpoints.writes(endpoint) or not 200 <= status < 300:
        return 1
    return 1 + objects(endpoint, answer) * weight(endpoint)


def objects(endpoint: Endpoint, answer: Any) -> int:
    """Return how many objects `answer` holds: a listing's rows, else one."""
    if answer is None:
        return 0
    if isinstance(answer, list):
        return len(answer)
    if not isinstance(answer, dict):
        return 0
    if endpoint == endpoints.RESTRICTIONS:
        return sum(_restricted(entry) for entry in answer.values() if isinstance(entry, dict) and "operation" in entry)
    results = answer.get("results")
    return len(results) if isinstance(results, list) else 1


def _restricted(permission: dict[str, Any]) -> int:
    # The permission itself, and all whom it names.
    named = permission.get("restrictions")
    lists = [named.get(kind) for kind in ("user", "group")] if isinstance(named, dict) else []
    results = [entry.get("results") for entry in lists if isinstance(entry, dict)]
    return 1 + sum(len(rows) for rows in results if isinstance(rows, list))
