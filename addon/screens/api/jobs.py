"""What can be started, what runs, what comes next? Everything the Jobs screen shows of the present, and the hold."""

from __future__ import annotations

from sqlalchemy.orm import Session

from addon.base import Caller, FieldError
from addon.confluence import READ_AGE
from addon.engine import JobRefused, Lane, no_worker, queries
from addon.jobs import apply_policies
from addon.parts import Parts
from addon.policies import NOT_INCLUDED, Hold, PolicyDocument
from addon.screens.access import Access, Viewer
from addon.screens.api import schemas
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.present import DESCRIPTIONS, PREVIEWABLE, Presenter, statuses
from addon.screens.problems import Problem
from addon.screens.times import site_zone

FIRST_RUN = "Nothing starts before a Confluence administrator has confirmed the first run on the site's Jobs screen."
NO_WORKER = (
    "No worker is running, so that no job runs: what is started waits, and begins as soon as there is one. "
    "The operator of Content Steward starts one with the command steward worker."
)
UNREADABLE = "The schedule “{}” has stopped, because its times cannot be read ({}). Choose new ones in the policies."
BUSY = "Another execution is running: only one runs at a time."


class JobsApi:
    """The job types, the lane and its hold."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        self._parts = parts
        self._access = access
        self._lookups = lookups
        self._presenter = presenter

    @operation("GET", "/jobs", query=schemas.InSpace, answers={200: schemas.Jobs}, problems=(401, 403, 422, 503))
    def jobs(self, caller: Caller, *, query: schemas.InSpace) -> schemas.Jobs:
        """Return the job types with their next times, and what runs, waits or is held in the given scope."""
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

    def _jobs(self, session: Session, viewer: Viewer, policies: PolicyDocument, excluded: str | None) -> schemas.Jobs:
        tenant_id = viewer.caller.tenant_id
        lane = queries.lane(session, tenant_id)
        active = queries.current(session, tenant_id)
        current = None if active is None else self._presenter.execution(session, active, viewer)
        retries = self._presenter.retries(session, tenant_id) if viewer.space is None else {}
        next_fires = queries.next_fires(session, tenant_id)
        space = None
        if viewer.space is not None:
            space = schemas.SpaceInfo(
                id=viewer.space.id,
                key=viewer.space.key,
                name=viewer.space.name,
                excluded=excluded,
                included=excluded != NOT_INCLUDED,
            )
        first_run = lane is None or lane.first_run
        common = self._common_reason(space, first_run, current)
        return schemas.Jobs(
            items=[
                schemas.JobState(
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
            hold=self._held(lane),
            first_run=first_run,
            retries=list(retries.values()),
            waiting=[] if active is None else self._waiting(session, viewer),
            revision=queries.revision(session, tenant_id),
            time_zone=site_zone(policies),
            statuses=statuses(policies),
            notices=self._notices(session, viewer),
        )

    def _notices(self, session: Session, viewer: Viewer) -> list[str]:
        """Return what keeps jobs from running as planned. Schedules are the site's: its screen tells of them."""
        found = []
        if no_worker(session, self._parts.clock.now(), self._parts.settings.lease_seconds) is not None:
            found.append(NO_WORKER)
        if viewer.space is None:
            stopped = queries.unreadable(session, viewer.caller.tenant_id)
            found += [UNREADABLE.format(each.name, each.unreadable) for each in stopped]
        return found

    def _waiting(self, session: Session, viewer: Viewer) -> list[schemas.Waiting]:
        """Retries are shown where the site's runs are: on the site's screen."""
        return [
            schemas.Waiting(
                job=each.job_type,
                title=self._presenter.title(each.job_type),
                due=each.due,
                retry=None if each.retry is None else self._presenter.retry(each.retry),
            )
            for each in self._parts.engine.waiting(session, viewer.caller.tenant_id)
            if each.retry is None or viewer.space is None
        ]

    def _common_reason(
        self, space: schemas.SpaceInfo | None, first_run: bool, current: schemas.Execution | None
    ) -> str | None:
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
        body=schemas.SetHold,
        answers={200: schemas.Hold},
        problems=(400, 401, 403, 413, 415, 422, 503),
    )
    def hold(self, caller: Caller, *, body: schemas.SetHold) -> schemas.Hold:
        """Hold all schedules, or release them; scheduled starts stop, manual ones work."""
        self._access.site(caller, write=True, stop=body.on)
        if body.until is not None and body.until <= self._parts.clock.now():
            errors = [FieldError("/until", "This time has passed.")]
            raise Problem(422, "invalid", "The hold would end before it begins.", errors=errors)
        hold = Hold(
            on=body.on, reason=(body.reason or None) if body.on else None, until=body.until if body.on else None
        )
        with self._parts.db.write(caller.tenant_id) as session:
            if (lane := queries.lane(session, caller.tenant_id)) is None or lane.first_run:
                raise Problem(422, "not-startable", FIRST_RUN)
            self._parts.policies.set_hold(session, caller.tenant_id, hold, by=caller.account_id)
            _, policies = self._parts.policies.current(session, caller.tenant_id)
            apply_policies(self._parts.engine, session, caller.tenant_id, policies, by=caller.account_id)
            seen = self._held(queries.lane(session, caller.tenant_id))
        seen.by_name = self._lookups.names(caller.tenant_id, [seen.by]).get(seen.by or "")
        return seen

    def _held(self, lane: Lane | None) -> schemas.Hold:
        """A hold whose time has come has ended, though nobody wrote that down."""
        over = lane is not None and lane.hold_until is not None and lane.hold_until <= self._parts.clock.now()
        if lane is None or not lane.hold or over:
            return schemas.Hold(on=False)
        return schemas.Hold(on=True, reason=lane.hold_reason, by=lane.hold_by, until=lane.hold_until)
