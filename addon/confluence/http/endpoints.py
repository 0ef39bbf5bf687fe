"""The endpoints of Confluence that the add-on uses, and no others: every URL is built here.

Each is (method, path as in Atlassian's OpenAPI specs, with the `/wiki` prefix), so that the scopes a descriptor must
ask for can be derived from ENDPOINTS (docs/rules/confluence-api.md 1, `x-atlassian-connect-scope`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from addon.base.bounds import ACCOUNT_LENGTH, identifier
from addon.confluence.content import Kind
from addon.confluence.errors import Malformed


class Endpoint(NamedTuple):
    """One operation of a spec."""

    method: str
    path: str


SPACES = Endpoint("GET", "/wiki/api/v2/spaces")
SPACE_PERMISSIONS = Endpoint("GET", "/wiki/api/v2/spaces/{id}/permissions")
ROLE_ASSIGNMENTS = Endpoint("GET", "/wiki/api/v2/spaces/{id}/role-assignments")
ROLE_MODE = Endpoint("GET", "/wiki/api/v2/space-role-mode")
ROLES = Endpoint("GET", "/wiki/api/v2/space-roles")
CONTENT_SEARCH = Endpoint("GET", "/wiki/rest/api/content/search")
SEARCH = Endpoint("GET", "/wiki/rest/api/search")
CONTENTS: Mapping[Kind, Endpoint] = {
    "page": Endpoint("GET", "/wiki/api/v2/pages"),
    "blogpost": Endpoint("GET", "/wiki/api/v2/blogposts"),
}
PROPERTIES: Mapping[Kind, Endpoint] = {
    "page": Endpoint("GET", "/wiki/api/v2/pages/{page-id}/properties"),
    "blogpost": Endpoint("GET", "/wiki/api/v2/blogposts/{blogpost-id}/properties"),
}
CREATE_PROPERTY: Mapping[Kind, Endpoint] = {
    "page": Endpoint("POST", "/wiki/api/v2/pages/{page-id}/properties"),
    "blogpost": Endpoint("POST", "/wiki/api/v2/blogposts/{blogpost-id}/properties"),
}
UPDATE_PROPERTY: Mapping[Kind, Endpoint] = {
    "page": Endpoint("PUT", "/wiki/api/v2/pages/{page-id}/properties/{property-id}"),
    "blogpost": Endpoint("PUT", "/wiki/api/v2/blogposts/{blogpost-id}/properties/{property-id}"),
}
DELETE_PROPERTY: Mapping[Kind, Endpoint] = {
    "page": Endpoint("DELETE", "/wiki/api/v2/pages/{page-id}/properties/{property-id}"),
    "blogpost": Endpoint("DELETE", "/wiki/api/v2/blogposts/{blogpost-id}/properties/{property-id}"),
}
TRASH: Mapping[Kind, Endpoint] = {
    "page": Endpoint("DELETE", "/wiki/api/v2/pages/{id}"),
    "blogpost": Endpoint("DELETE", "/wiki/api/v2/blogposts/{id}"),
}
DIRECT_CHILDREN = Endpoint("GET", "/wiki/api/v2/pages/{id}/direct-children")
ANCESTORS = Endpoint("GET", "/wiki/api/v2/pages/{id}/ancestors")
RESTRICTIONS = Endpoint("GET", "/wiki/rest/api/content/{id}/restriction/byOperation")
PERMISSION_CHECK = Endpoint("POST", "/wiki/rest/api/content/{id}/permission/check")
ARCHIVE = Endpoint("POST", "/wiki/rest/api/content/archive")
LONG_TASK = Endpoint("GET", "/wiki/rest/api/longtask/{id}")
USERS_BULK = Endpoint("POST", "/wiki/api/v2/users-bulk")
USER = Endpoint("GET", "/wiki/rest/api/user")
MEMBER_OF = Endpoint("GET", "/wiki/rest/api/user/memberof")
GROUP_MEMBERS = Endpoint("GET", "/wiki/rest/api/group/{groupId}/membersByGroupId")
SYSTEM_INFO = Endpoint("GET", "/wiki/rest/api/settings/systemInfo")
EMAILS = Endpoint("GET", "/wiki/rest/api/user/email/bulk")
APP_PROPERTY = Endpoint("PUT", "/wiki/rest/atlassian-connect/1/addons/{addonKey}/properties/{propertyKey}")
"""Connect's own, about the app's own data (docs/rules/connect.md 1.4): in neither spec, and in need of no scope."""

ENDPOINTS: tuple[Endpoint, ...] = (
    SPACES,
    SPACE_PERMISSIONS,
    ROLE_ASSIGNMENTS,
    ROLE_MODE,
    ROLES,
    CONTENT_SEARCH,
    SEARCH,
    *CONTENTS.values(),
    *PROPERTIES.values(),
    *CREATE_PROPERTY.values(),
    *UPDATE_PROPERTY.values(),
    *DELETE_PROPERTY.values(),
    *TRASH.values(),
    DIRECT_CHILDREN,
    ANCESTORS,
    RESTRICTIONS,
    PERMISSION_CHECK,
    ARCHIVE,
    LONG_TASK,
    USERS_BULK,
    USER,
    MEMBER_OF,
    GROUP_MEMBERS,
    SYSTEM_INFO,
)
"""Every endpoint that the add-on calls by default."""

APPROVED_ENDPOINTS: tuple[Endpoint, ...] = (EMAILS,)
"""Endpoints called only with STEWARD_EMAIL_API=approved, which need ACCESS_EMAIL_ADDRESSES.

See docs/rules/confluence-api.md 2.5.
"""

_PARAMETER = re.compile(r"\{[^{}]+\}")

Params = Sequence[tuple[str, str]]
"""Query parameters in order; arrays repeat their name."""


def url(base_url: str, endpoint: Endpoint, ids: Sequence[str] = (), params: Params = ()) -> str:
    """Return the one encoded URL of a call: what is requested is what is signed.

    `base_url` ends in `/wiki`; `ids` fill the path's parameters in order. Raises Malformed on an id that could change
    the path: it came from an earlier answer of the site.
    """
    given = iter(ids)

    def fill(_match: re.Match[str]) -> str:
        value = next(given)
        try:
            return quote(identifier(value, ACCOUNT_LENGTH), safe="")
        except ValueError as error:
            raise Malformed(f"not an id: {value!r:.60}") from error

    path = _PARAMETER.sub(fill, endpoint.path.removeprefix("/wiki"))
    query = urlencode(list(params), quote_via=quote, safe="")
    return f"{base_url}{path}?{query}" if query else f"{base_url}{path}"


def writes(endpoint: Endpoint) -> bool:
    """Return whether a call changes something. Two are POSTs that only read."""
    return endpoint.method != "GET" and endpoint not in (USERS_BULK, PERMISSION_CHECK)


def repeatable(endpoint: Endpoint) -> bool:
    """Return whether the same call may be sent again after a failure that leaves its effect unknown.

    A property's PUT carries the version it makes, so a repetition is refused instead of applied twice.
    """
    return not writes(endpoint) or endpoint.method == "PUT" or endpoint in DELETE_PROPERTY.values()


def numbered(name: str, values: Sequence[Any]) -> list[tuple[str, str]]:
    """Return an array parameter: its name repeated, which every reading of the spec accepts."""
    return [(name, str(value)) for value in values]
