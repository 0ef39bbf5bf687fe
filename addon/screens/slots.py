"""At which times of its schedules did nothing start on a site, and what became of them?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from addon.base import Caller
from addon.engine import queries
from addon.screens import schemas
from addon.screens.access import Access
from addon.screens.jobs import site_zone
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.parts import Parts
from addon.screens.present import Presenter
from addon.screens.problems import known_cursor

DAY = timedelta(hours=24)


class MissedQuery(schemas.Query):
    """One page of the missed slots. They are the site's: no space is named."""

    cursor: schemas.Cursor | None = None
    limit: schemas.Limit = 25


class MissedSlot(schemas.Model):
    """A time of a schedule at which nothing started; `at` is when it was decided what becomes of it."""

    job: str
    title: str
    rule_id: str | None = Field(description="The rule or automation; null for a job's only schedule")
    name: str
    scheduled_for: datetime
    outcome: Literal["coalesced", "skippedLate"]
    reason: str
    execution_id: str | None = Field(description="The execution that covered it, as long as that is kept")
    at: datetime


class MissedSlots(schemas.List[MissedSlot]):
    """One page of the missed slots, and the zone in which the site plans."""

    time_zone: str


class SlotsApi:
    """The missed slots."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        self._parts = parts
        self._access = access
        self._presenter = presenter

    @operation(
        "GET",
        "/missed-slots",
        query=MissedQuery,
        answers={200: MissedSlots},
        problems=(401, 403, 422, 503),
        name="missed_slots",
    )
    def missed(self, caller: Caller, *, query: MissedQuery) -> MissedSlots:
        """List the times of schedules at which nothing started, the latest first, and what became of each."""
        self._access.site(caller)
        with self._parts.db.read(caller.tenant_id) as session:
            with known_cursor():
                slots, cursor = queries.missed(session, caller.tenant_id, limit=query.limit, cursor=query.cursor)
            _, policies = self._parts.policies.current(session, caller.tenant_id)
        return MissedSlots(
            items=[self._missed(slot) for slot in slots], next_cursor=cursor, time_zone=site_zone(policies)
        )

    def _missed(self, slot: queries.Slot) -> MissedSlot:
        return MissedSlot(
            job=slot.job_type,
            title=self._presenter.title(slot.job_type),
            rule_id=slot.rule_id or None,
            name=slot.name,
            scheduled_for=slot.scheduled_for,
            outcome="coalesced" if slot.outcome == "coalesced" else "skippedLate",
            reason=_reason(slot),
            execution_id=slot.execution_id,
            at=slot.at,
        )


def _reason(slot: queries.Slot) -> str:
    if slot.outcome == "coalesced":
        return "Nothing could start at this time. The execution of a later time of the same schedule covered it."
    if slot.at - slot.scheduled_for > DAY:
        return "Nothing could start at this time nor within 24 hours after it, so it was skipped."
    return "Nothing could start at this time, and later it was too late for it, so it was skipped."
