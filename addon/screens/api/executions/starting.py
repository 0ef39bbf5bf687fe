"""Starts by hand, retries of failed spaces and cancels, with the sentences for a person whose start is refused.

An administrator of one space can start its notifications, and the people a rule names cannot avoid the mail. So a start
by hand is refused for a day after any run that mailed about the space, unless a Confluence administrator asks for it
(docs/adr/0038).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from addon.base import Caller, FieldError, Space, TenantId
from addon.confluence import WRITE_AGE
from addon.engine import (
    Busy,
    JobExecution,
    JobRefused,
    NotAdmitted,
    NotCancellable,
    NotFound,
    NotRetryable,
    StartRequest,
    UnknownJob,
    queries,
)
from addon.mail import Mailer
from addon.policies import NOT_INCLUDED
from addon.screens.access import Viewer, find, unknown_execution
from addon.screens.api.base import Api
from addon.screens.api.executions import schemas
from addon.screens.api.executions.presenter import named
from addon.screens.operations import Answer, operation
from addon.screens.problems import Problem
from addon.screens.schemas import InSpace
from addon.screens.times import reader_zone, said

NOTIFICATIONS = "send-notifications"
PREVIEWABLE = frozenset({"execute-automations"})
"""The jobs that offer a dry run."""
QUIET = timedelta(hours=24)
"""How long after mails about a space its notifications are not started by hand again."""


class StartsApi(Api):
    """Start, retry and cancel."""

    @operation(
        "POST",
        "/executions",
        body=schemas.StartExecution,
        answers={201: schemas.Execution},
        problems=(400, 401, 403, 409, 413, 415, 422, 503),
    )
    def start(self, caller: Caller, *, body: schemas.StartExecution) -> Answer:
        """Start a job over the whole site or over one space.

        Raises Problem 403, 409 with the execution in the way, or 422 with the reason why it cannot start.
        """
        self._check(body)
        viewer = self._access.scope(caller, body.space_key, write=True)
        if body.again:
            self._access.site(caller, write=True)
        try:
            row = self._start(caller, body, viewer.space)
        except (NotAdmitted, JobRefused) as error:
            raise Problem(422, "not-startable", error.reason) from error
        except Busy as error:
            raise self._busy(caller, error.active.id, viewer) from error
        return self._started(caller, row, viewer)

    @operation(
        "POST",
        "/executions/{execution_id}/retry",
        query=InSpace,
        answers={201: schemas.Execution},
        problems=(401, 403, 404, 409, 422, 503),
    )
    def retry(self, caller: Caller, *, execution_id: str, query: InSpace) -> Answer:
        """Start a failed execution's job again over exactly the spaces that failed.

        Raises Problem 403, 404, 409 with the execution in the way or because there is nothing to retry, or 422 with
        the reason why it cannot start.
        """
        viewer = self._access.retry(caller, execution_id, query.space_key)
        self._not_excluded(caller, viewer.space)
        try:
            with self._parts.db.write(caller.tenant_id) as session:
                row = self._parts.engine.retry_failed(
                    session,
                    tenant_id=caller.tenant_id,
                    execution_id=execution_id,
                    space=viewer.space,
                    started_by=caller.account_id,
                )
        except NotFound as error:
            raise unknown_execution() from error
        except NotRetryable as error:
            raise Problem(409, "not-retryable", _not_retryable(error)) from error
        except UnknownJob as error:
            raise Problem(422, "unknown-job", f"There is no job called {error.job_type} any more.") from error
        except (NotAdmitted, JobRefused) as error:
            raise Problem(422, "not-startable", error.reason) from error
        except Busy as error:
            raise self._busy(caller, error.active.id, viewer) from error
        return self._started(caller, row, viewer)

    @operation(
        "POST",
        "/executions/{execution_id}/cancel",
        query=InSpace,
        answers={202: schemas.Execution},
        problems=(401, 403, 404, 409, 422, 503),
    )
    def cancel(self, caller: Caller, *, execution_id: str, query: InSpace) -> Answer:
        """Ask a running execution to stop: work already done stays done, spaces not finished are skipped."""
        viewer = self._access.cancel(caller, execution_id, query.space_key)
        try:
            with self._parts.db.write(caller.tenant_id) as session:
                row = self._parts.engine.cancel(
                    session, tenant_id=caller.tenant_id, execution_id=execution_id, actor_id=caller.account_id
                )
        except NotFound as error:
            raise unknown_execution() from error
        except NotCancellable as error:
            detail = _NOT_CANCELLABLE.get(error.status, f"The execution has ended: it is {error.status}.")
            raise Problem(409, "not-cancellable", detail, extra={"executionStatus": error.status}) from error
        with self._parts.db.read(caller.tenant_id) as session:
            seen = self._presenter.execution(session, row, viewer)
        return Answer(202, named(self._lookups, caller, [seen])[0])

    def _check(self, body: schemas.StartExecution) -> None:
        errors = []
        if body.job not in self._parts.engine.jobs:
            known = ", ".join(sorted(self._parts.engine.jobs))
            errors.append(FieldError("/job", f"There is no job of this name. Jobs: {known}."))
        elif body.dry_run and body.job not in PREVIEWABLE:
            errors.append(FieldError("/dryRun", "This job has no dry run."))
        if body.again and body.job != NOTIFICATIONS:
            errors.append(FieldError("/again", "Only notifications can be sent again within a day."))
        if body.scope == "space" and body.space_key is None:
            errors.append(FieldError("/spaceKey", "A space-scope start names its space."))
        if body.scope == "site" and body.space_key is not None:
            errors.append(FieldError("/spaceKey", "A site-scope start names no space."))
        if errors:
            raise Problem(422, "invalid", " ".join(error.detail for error in errors), errors=errors)

    def _start(self, caller: Caller, body: schemas.StartExecution, space: Space | None) -> JobExecution:
        self._not_excluded(caller, space)
        with self._parts.db.write(caller.tenant_id) as session:
            try:
                row = self._parts.engine.start(
                    session,
                    StartRequest(
                        tenant_id=caller.tenant_id,
                        job_type=body.job,
                        scope=body.scope,
                        space=space,
                        started_by=caller.account_id,
                        dry_run=body.dry_run,
                    ),
                )
            except UnknownJob as error:
                raise Problem(422, "unknown-job", f"There is no job called {body.job}.") from error
            if body.job == NOTIFICATIONS and space is not None and not body.again:
                # Asked after the start, which lets no other run end in between, and takes the start back.
                self._not_notified_lately(session, caller, space)
            return row

    def _started(self, caller: Caller, row: JobExecution, viewer: Viewer) -> Answer:
        with self._parts.db.read(caller.tenant_id) as session:
            seen = self._presenter.execution(session, row, viewer)
        return Answer(201, named(self._lookups, caller, [seen])[0], {"Location": f"/api/executions/{row.id}"})

    def _not_excluded(self, caller: Caller, space: Space | None) -> None:
        if space is None:
            return
        with self._parts.db.read(caller.tenant_id) as session:
            _, policies = self._parts.policies.current(session, caller.tenant_id)
        (standing,) = self._lookups.labelled(caller.tenant_id, [space], policies, WRITE_AGE)
        rule = policies.exclusion(standing)
        if rule is not None:
            kind = "space-not-included" if rule == NOT_INCLUDED else "space-excluded"
            raise Problem(422, kind, f"The space {space.key} is {rule}.")

    def _not_notified_lately(self, session: Session, caller: Caller, space: Space) -> None:
        now = self._parts.clock.now()
        row = notified_lately(session, self._parts.mailer, caller.tenant_id, space, now)
        if row is None or row.ended_at is None:
            return
        _, policies = self._parts.policies.current(session, caller.tenant_id)
        zone = reader_zone(policies)
        over = "all included spaces" if row.scope == "site" else f"the space {space.key}"
        raise Problem(
            422,
            "notified-lately",
            f"Send notifications ran over {over} and ended at {said(row.ended_at, now, zone)}: people have "
            f"been mailed about {space.key}. It can be started here again from "
            f"{said(row.ended_at + QUIET, now, zone)}. "
            "Before that a Confluence administrator can have the same sent again, through the API.",
        )

    def _busy(self, caller: Caller, active_id: str, viewer: Viewer) -> Problem:
        """Name the execution in the way: what it is, who or what started it, and when it should end."""
        with self._parts.db.read(caller.tenant_id) as session:
            seen = self._presenter.execution(session, find(session, caller, active_id), viewer)
            _, policies = self._parts.policies.current(session, caller.tenant_id)
        seen = named(self._lookups, caller, [seen])[0]
        detail = in_the_way(seen, self._parts.clock.now(), reader_zone(policies))
        return Problem(409, "busy", detail, extra={"execution": seen.model_dump(mode="json", by_alias=True)})


def notified_lately(
    session: Session, mailer: Mailer, tenant_id: TenantId, space: Space, now: datetime
) -> JobExecution | None:
    """Return the newest execution that mailed people about items of `space` within a day before `now`, if any."""
    rows, _ = queries.history(session, tenant_id, job=NOTIFICATIONS, space_id=space.id, limit=queries.MAX_PAGE)
    lately = [row for row in rows if row.ended_at is not None and row.ended_at > now - QUIET and not row.dry_run]
    parts = queries.results_in_space(session, [row.id for row in lately], space.id)
    for row in lately:
        part = parts.get(row.id)
        if part is not None and part.metrics.get("contentsMatched") and any(mailer.counts(session, row.id).values()):
            return row
    return None


def in_the_way(seen: schemas.Execution, now: datetime, zone: str) -> str:
    """Return the sentences that tell a person why nothing can start now. `zone`: the IANA zone of their times."""
    if seen.scope == "site":
        where = "all included spaces"
    else:
        where = "another space" if seen.restricted else f"the space {seen.space_key}"
    what = f"{seen.title} is running over {where}"
    if not seen.restricted:
        starter = "a person" if seen.trigger == "manual" else "the schedule"
        who = seen.started_by_name or seen.started_by or starter
        what += f", started by {who} at {said(seen.started_at, now, zone)}"
    left = seen.progress.seconds_left
    if seen.paused is not None:
        when = f"It waits until {said(seen.paused.until, now, zone)}: {seen.paused.reason.rstrip('.')}."
    elif seen.status != "running":
        when = "It is about to end."
    elif left is None:
        when = "There is no estimate yet of when it ends."
    else:
        when = f"It should end in about {_span(left)}."
    return f"{what}. {when} Only one execution runs at a time: start again after it has ended."


def _span(seconds: int) -> str:
    if seconds < 90:
        return f"{max(seconds, 1)} seconds"
    return f"{round(seconds / 60)} minutes"


def _not_retryable(error: NotRetryable) -> str:
    if error.kind == "retried":
        return "The failed spaces of this execution were tried again already: look at that newer execution."
    if error.kind == "no-failed-space":
        return "No space of this execution failed on its own. Start the job again over its whole scope."
    return f"Only an execution that has failed can be retried; this one is {error.status}."


_NOT_CANCELLABLE = {
    "finalizing": "The execution is compiling its results and cannot be cancelled any more. It ends in a moment.",
    "cancelling": "The execution is being cancelled already. It ends at its next safe point.",
}
