"""The Jobs screen: what can be started, what runs, what comes next, the hold, and the points of the hour."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from sqlalchemy.orm import Session

from addon.base import Caller, FieldError, bounds
from addon.confluence import READ_AGE
from addon.engine import JobRefused, Lane, no_worker, queries
from addon.jobs import apply_policies
from addon.policies import NOT_INCLUDED, PolicyDocument
from addon.policies import Hold as StoredHold
from addon.screens.access import Viewer
from addon.screens.api.base import Api
from addon.screens.api.executions.schemas import Execution, Retry, Scope
from addon.screens.api.executions.starting import PREVIEWABLE
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.schemas import Body, InSpace, List, Model, StatusInfo, statuses
from addon.screens.times import site_zone

FIRST_RUN = "Nothing starts before a Confluence administrator has confirmed the first run on the site's Jobs screen."
NO_WORKER = (
    "No worker is running, so that no job runs: what is started waits, and begins as soon as there is one. "
    "The operator of Content Steward starts one with the command steward worker."
)
UNREADABLE = "The schedule “{}” has stopped, because its times cannot be read ({}). Choose new ones in the policies."
BUSY = "Another execution is running: only one runs at a time."
DESCRIPTIONS = {
    "refresh-statuses": "Finds the pages and blog posts whose content status must change, and changes it.",
    "send-notifications": "Mails people one digest of their pages and posts that match the notification rules.",
    "execute-automations": "Archives or deletes the pages and posts that match the automations.",
}


class SetHold(Body):
    """Hold all schedules, or release them. Manual starts work either way."""

    on: bool
    reason: (
        Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] | None
    ) = None
    until: Annotated[AwareDatetime, AfterValidator(bounds.within_calendar)] | None = None


class JobState(Model):
    """One job type on the Jobs screen."""

    job: str
    title: str
    description: str
    next_at: datetime | None
    startable: bool
    reason: str | None = Field(description="Why it cannot be started now")
    dry_run: bool = Field(description="Whether a preview without changes is offered")
    retry: Retry | None = None


class SpaceInfo(Model):
    """The space a space screen is about."""

    id: str
    key: str
    name: str
    excluded: str | None = Field(description="Why jobs leave it alone: the rule that excludes it, or not chosen")
    included: bool = Field(True, description="False: it is not excluded, but not among the chosen spaces either")


class Hold(Model):
    """The hold on all schedules."""

    on: bool
    reason: str | None = None
    by: str | None = None
    by_name: str | None = None
    until: datetime | None = None


class Waiting(Model):
    """What starts when the lane is free: due since then. Others wait for a `retry` also until it is due."""

    job: str
    title: str
    due: datetime
    retry: Retry | None = None


class Jobs(List[JobState]):
    """Everything the Jobs screen shows of the present."""

    scope: Scope
    space: SpaceInfo | None
    current: Execution | None
    hold: Hold
    first_run: bool = Field(description="No Confluence administrator has confirmed the first run yet")
    retries: list[Retry]
    waiting: list[Waiting] = Field(
        default_factory=list, description="While one runs or is paused: what starts after it, the first one first"
    )
    revision: str = Field(description="Another one as soon as the list of executions has changed")
    time_zone: str
    statuses: list[StatusInfo]
    notices: list[str] = Field(
        default_factory=list, description="What keeps jobs from running as planned, and what to do about it"
    )


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


class JobsApi(Api):
    """The job types, the lane and its hold."""

    @operation("GET", "/jobs", query=InSpace, answers={200: Jobs}, problems=(401, 403, 422, 503))
    def jobs(self, caller: Caller, *, query: InSpace) -> Jobs:
        """Return the job types with their next times, and what runs, waits or is on hold in the given scope."""
        viewer = self._access.scope(caller, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session:
            _, policies = self._parts.policies.current(session, caller.tenant_id)
        excluded = None
        if viewer.space is not None:
            (space,) = self._lookups.labelled(caller.tenant_id, [viewer.space], policies, READ_AGE)
            excluded = policies.exclusion(space)
        with self._parts.db.read(caller.tenant_id) as session:
            seen = self._jobs(session, viewer, policies, excluded)
        wanted = [seen.hold.by, seen.current.started_by if seen.current else None]
        names = self._lookups.names(caller.tenant_id, wanted)
        seen.hold.by_name = names.get(seen.hold.by or "")
        if seen.current is not None:
            seen.current.started_by_name = names.get(seen.current.started_by or "")
        return seen

    def _jobs(self, session: Session, viewer: Viewer, policies: PolicyDocument, excluded: str | None) -> Jobs:
        tenant_id = viewer.caller.tenant_id
        lane = queries.lane(session, tenant_id)
        active = queries.active(session, tenant_id)
        current = None if active is None else self._presenter.execution(session, active, viewer)
        retries = self._presenter.retries(session, tenant_id) if viewer.space is None else {}
        next_fires = queries.next_fires(session, tenant_id)
        space = None
        if viewer.space is not None:
            space = SpaceInfo(
                id=viewer.space.id,
                key=viewer.space.key,
                name=viewer.space.name,
                excluded=excluded,
                included=excluded != NOT_INCLUDED,
            )
        first_run = lane is None or lane.first_run
        common = self._common_reason(space, first_run, current)
        return Jobs(
            items=[
                JobState(
                    job=job.type,
                    title=job.title,
                    description=DESCRIPTIONS.get(job.type, ""),
                    next_at=next_fires.get(job.type),
                    startable=(reason := common or self._refusal(session, viewer, job.type)) is None,
                    reason=reason,
                    dry_run=job.type in PREVIEWABLE,
                    retry=retries.get(job.type),
                )
                for job in self._parts.engine.jobs.values()
            ],
            scope="site" if space is None else "space",
            space=space,
            current=current,
            hold=self._hold_of(lane),
            first_run=first_run,
            retries=list(retries.values()),
            waiting=[] if active is None else self._waiting(session, viewer),
            revision=queries.revision(session, tenant_id),
            time_zone=site_zone(policies),
            statuses=statuses(policies),
            notices=self._notices(session, viewer),
        )

    def _notices(self, session: Session, viewer: Viewer) -> list[str]:
        """Return what keeps jobs from running as planned. Schedules are the site's: its screen shows them."""
        found = []
        if no_worker(session, self._parts.clock.now(), self._parts.settings.lease_seconds) is not None:
            found.append(NO_WORKER)
        if viewer.space is None:
            stopped = queries.unreadable(session, viewer.caller.tenant_id)
            found += [UNREADABLE.format(each.name, each.unreadable) for each in stopped]
        return found

    def _waiting(self, session: Session, viewer: Viewer) -> list[Waiting]:
        """Retries are shown where the site's runs are: on the site's screen."""
        return [
            Waiting(
                job=each.job_type,
                title=self._presenter.title(each.job_type),
                due=each.due,
                retry=None if each.retry is None else self._presenter.retry(each.retry),
            )
            for each in self._parts.engine.waiting(session, viewer.caller.tenant_id)
            if each.retry is None or viewer.space is None
        ]

    def _common_reason(self, space: SpaceInfo | None, first_run: bool, current: Execution | None) -> str | None:
        if space is not None and space.excluded is not None:
            return f"This space is {space.excluded}."
        if first_run:
            return FIRST_RUN
        return None if current is None else BUSY

    def _refusal(self, session: Session, viewer: Viewer, job_type: str) -> str | None:
        try:
            self._parts.engine.jobs[job_type].admit(session, viewer.caller.tenant_id)
        except JobRefused as error:
            return error.reason
        return None

    @operation(
        "POST",
        "/hold",
        body=SetHold,
        answers={200: Hold},
        problems=(400, 401, 403, 413, 415, 422, 503),
    )
    def hold(self, caller: Caller, *, body: SetHold) -> Hold:
        """Hold all schedules, or release them; scheduled starts stop, manual ones work."""
        self._access.site(caller, write=True, stop=body.on)
        if body.until is not None and body.until <= self._parts.clock.now():
            errors = [FieldError("/until", "This time has passed.")]
            raise Problem(422, "invalid", "The hold would end before it begins.", errors=errors)
        hold = StoredHold(
            on=body.on, reason=(body.reason or None) if body.on else None, until=body.until if body.on else None
        )
        with self._parts.db.write(caller.tenant_id) as session:
            if (lane := queries.lane(session, caller.tenant_id)) is None or lane.first_run:
                raise Problem(422, "not-startable", FIRST_RUN)
            self._parts.policies.set_hold(session, caller.tenant_id, hold, by=caller.account_id)
            _, policies = self._parts.policies.current(session, caller.tenant_id)
            apply_policies(self._parts.engine, session, caller.tenant_id, policies, by=caller.account_id)
            seen = self._hold_of(queries.lane(session, caller.tenant_id))
        seen.by_name = self._lookups.names(caller.tenant_id, [seen.by]).get(seen.by or "")
        return seen

    def _hold_of(self, lane: Lane | None) -> Hold:
        """Return the lane's hold. One whose time has come has ended, although its row still has it."""
        over = lane is not None and lane.hold_until is not None and lane.hold_until <= self._parts.clock.now()
        if lane is None or not lane.hold or over:
            return Hold(on=False)
        return Hold(on=True, reason=lane.hold_reason, by=lane.hold_by, until=lane.hold_until)

    @operation("GET", "/quota", answers={200: QuotaUsage}, problems=(401, 403, 503), name="get_quota")
    def quota(self, caller: Caller) -> QuotaUsage:
        """Return how many of this hour's API points the site has used, and when the next hour begins."""
        self._access.site(caller)
        used = self._parts.confluence.usage(caller.tenant_id)
        return QuotaUsage(
            resets_at=used.resets_at,
            jobs=Points(used=used.jobs_used, limit=used.jobs_limit),
            people=Points(used=used.people_used, limit=used.people_limit),
            closed_until=used.closed_until,
            reason=used.reason,
        )
