"""The values and ports between packages that may not import each other: a caller, a site, a space, a schedule.

`connect` produces a `Caller` and implements `SiteSource`; a Forge invocation token could produce the same. Screens and
jobs never see a Connect token or a shared secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from addon.base.ids import TenantId


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified person behind a request.

    `account_id` is the Atlassian account id (the token's `sub`), never empty: anonymous requests are refused before a
    Caller exists. What the caller may do is asked of Confluence each time, never read from a token.
    """

    tenant_id: TenantId
    account_id: str


class RequestAuth(Protocol):
    """What signs a request, as the HTTP client calls it. The engine loads this module and no HTTP library."""

    def __call__(self, request: Any, /) -> Any:
        """Add the signature to a prepared request and return it."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """One Confluence site as its calls need it.

    `base_url` ends in `/wiki`, without a trailing slash. `auth` signs one prepared request (requests calls it for
    every attempt). `generation` rises at uninstall; `secret_version` at each new shared secret.
    """

    tenant_id: TenantId
    base_url: str
    generation: int
    secret_version: int
    auth: RequestAuth = field(repr=False)


class TenantGone(Exception):
    """The tenant is not installed any more, or was installed again since the work began. The run ends cancelled."""


class Unreachable(Exception):
    """The tenant is installed but its site refuses our signature: it needs to be installed again."""


class SiteSource(Protocol):
    """Where `confluence` gets a site's address and signature from."""

    def get(self, tenant_id: TenantId, stale: Site | None = None) -> Site:
        """Return the tenant's site.

        Pass the site that was just answered 401 as `stale`: a newer secret is returned if there is one, otherwise the
        tenant is marked as needing a new installation and Unreachable is raised.

        Raises TenantGone when the tenant is unknown, uninstalled, or of another generation than `stale`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """A Confluence space, as listed by `GET /wiki/api/v2/spaces` (docs/rules/confluence-api.md 2.1)."""

    id: str
    key: str
    name: str
    type: str
    status: str = "current"
    homepage_id: str | None = None
    labels: frozenset[str] | None = None
    """None: not asked for; no listing shows them."""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """One schedule that policies hand to the engine.

    `rule_id` tells schedules of one job type apart ("" for refresh-statuses, else the rule's or automation's id, made
    unique with its scheme's id). `cron` has five fields and is read in `time_zone` (an IANA name).
    """

    job_type: str
    rule_id: str
    name: str
    cron: str
    time_zone: str
    enabled: bool = True
    max_lateness: timedelta = timedelta(hours=24)
