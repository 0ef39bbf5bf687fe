"""How much of this hour's API points has the site used? For Confluence administrators, on the Jobs screen."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from addon.base import Caller
from addon.parts import Parts
from addon.screens.access import Access
from addon.screens.api.schemas import Model
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.present import Presenter


class Points(Model):
    """Points of one share of the hour."""

    used: int = Field(description="By this site; what a run has set aside for its next calls counts as used")
    limit: int = Field(description="For all sites together: one site alone gets seven eighths of it")


class QuotaUsage(Model):
    """This site's API points in the present hour."""

    resets_at: datetime
    jobs: Points
    people: Points = Field(description="Kept apart for people's requests, so that jobs never lock them out")
    closed_until: datetime | None = Field(description="Set while Confluence refuses further calls")
    reason: str | None = None


class QuotaApi:
    """The hour's points."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        self._parts = parts
        self._access = access

    @operation("GET", "/quota", answers={200: QuotaUsage}, problems=(401, 403, 503), name="get_quota")
    def get(self, caller: Caller) -> QuotaUsage:
        """Return how many of this hour's API points the site has used, and when they start anew."""
        self._access.site(caller)
        used = self._parts.confluence.quota.usage(caller.tenant_id)
        return QuotaUsage(
            resets_at=used.resets_at,
            jobs=Points(used=used.jobs_used, limit=used.jobs_limit),
            people=Points(used=used.people_used, limit=used.people_limit),
            closed_until=used.closed_until,
            reason=used.reason,
        )
