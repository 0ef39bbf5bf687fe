"""The times of its schedules at which nothing started on a site, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from addon.base import Caller
from addon.engine import queries
from addon.screens import schemas
from addon.screens.api.base import Api
from addon.screens.operations import operation
from addon.screens.problems import known_cursor
from addon.screens.times import site_zone

REASONS = {
    "busy": "{} was running at that time.",
    "retry_waiting": "The retry of {} was waiting at that time, and went first.",
    "hold": "All schedules were on hold at that time.",
    "first_run": "No Confluence administrator had confirmed the first run at that time.",
    "closed": "The app was not installed and enabled on this site at that time.",
    "unknown": "Nothing was running and nothing was on hold at that time, as far as is recorded.",
    "changed": "The times of the schedule were changed before it could start.",
    "switched_off": "The schedule was switched off before it could start.",
    "removed": "The rule was removed before it could start.",
    "installed": "The app was installed again before it could start, and all schedules began again from then.",
    "unreadable": "The schedule's cron or time zone could not be read, and it stopped.",
}
"""Why a slot was missed, in words for people; an execution in the way is named by its job."""
MOSTLY = REASONS | {
    "busy": "Mostly because {} was running.",
    "retry_waiting": "Mostly because the retry of {} was waiting and went first.",
    "hold": "Mostly because all schedules were on hold.",
    "first_run": "Mostly because no Confluence administrator had confirmed the first run.",
    "closed": "Mostly because the app was not installed and enabled on this site.",
    "unknown": "Nothing was running and nothing was on hold at these times, as far as is recorded.",
}
"""The same of many slots that share one record: what was in the way for the longest."""
OUTCOMES: dict[str, Literal["coalesced", "skippedLate", "withdrawn"]] = {
    "coalesced": "coalesced",
    "skipped_late": "skippedLate",
    "withdrawn": "withdrawn",
}


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
    outcome: Literal["coalesced", "skippedLate", "withdrawn"] = Field(
        description="Covered by the execution of a later time, skipped as too late, or withdrawn by a change meanwhile"
    )
    reason: str = Field(description="Why nothing started at that time, as far as is recorded")
    blocked_by: str | None = Field(description="The execution that was in the way, as long as that is kept")
    execution_id: str | None = Field(description="The execution that covered it, as long as that is kept")
    at: datetime
    earlier: int = Field(
        description="So many earlier times of the schedule became the same and are not listed one by one"
    )
    earlier_since: datetime | None = Field(description="The first of these")


class MissedSlots(schemas.List[MissedSlot]):
    """One page of the missed slots, and the zone in which the site plans."""

    time_zone: str


class SlotsApi(Api):
    """The missed slots."""

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
            outcome=OUTCOMES[slot.outcome],
            reason=self._reason(slot),
            blocked_by=slot.blocked_by,
            execution_id=slot.execution_id,
            at=slot.at,
            earlier=slot.earlier,
            earlier_since=slot.earlier_since,
        )

    def _reason(self, slot: queries.Slot) -> str:
        blocking = self._presenter.title(slot.blocked_job) if slot.blocked_job else "another execution"
        reason = (MOSTLY if slot.earlier else REASONS)[slot.reason or "unknown"].format(blocking)
        return reason[:1].upper() + reason[1:]
