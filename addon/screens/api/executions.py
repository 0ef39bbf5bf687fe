"""Which executions are there, and how does one start or cancel? The API behind the Jobs screen and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy.orm import Session

from addon.base import Caller, FieldError, Space
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
from addon.parts import Parts
from addon.policies import NOT_INCLUDED
from addon.screens.access import Access, Viewer, find, unknown_execution
from addon.screens.api import schemas
from addon.screens.api.notified import NOTIFICATIONS, QUIET, notified_lately
from addon.screens.lookups import Lookups
from addon.screens.operations import Answer, operation
from addon.screens.present import PREVIEWABLE, Presenter, item_result, space_result, statuses
from addon.screens.problems import Problem, known_cursor
from addon.screens.times import reader_zone, said

E = TypeVar("E", bound=schemas.Execution)

READ_PROBLEMS = (401, 403, 422, 503)
ONE_PROBLEMS = (401, 403, 404, 422, 503)


class ExecutionsApi:
    """Start, watch, cancel, look back."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        self._parts = parts
        self._access = access
        self._lookups = lookups
        self._presenter = presenter

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

    def _started(self, caller: Caller, row: JobExecution, viewer: Viewer) -> Answer:
        with self._parts.db.read(caller.tenant_id) as session:
            seen = self._presenter.execution(session, row, viewer)
        return Answer(201, self._named(caller, [seen])[0], {"Location": f"/api/executions/{row.id}"})

    @operation(
        "GET",
        "/executions",
        query=schemas.HistoryQuery,
        answers={200: schemas.List[schemas.Execution]},
        problems=READ_PROBLEMS,
    )
    def history(self, caller: Caller, *, query: schemas.HistoryQuery) -> schemas.List[schemas.Execution]:
        """List executions, newest first: the job audit log.

        With a space key: the runs of that space, and of the site's runs what they did in that space, for its
        administrators; without: all runs of the site.
        """
        viewer = self._log_scope(caller, query.space_key)
        gone = query.space_key if viewer.space is None else None
        with self._parts.db.read(caller.tenant_id) as session, known_cursor():
            rows, cursor = queries.history(
                session,
                caller.tenant_id,
                job=query.job,
                status=query.status,
                space_id=None if viewer.space is None else viewer.space.id,
                space_key=gone,
                scope=query.scope,
                trigger=query.trigger,
                limit=query.limit,
                cursor=query.cursor,
            )
            seen = self._presenter.executions(session, rows, viewer)
        return schemas.List[schemas.Execution](items=self._named(caller, seen), next_cursor=cursor)

    @operation(
        "GET", "/executions/current", query=schemas.InSpace, answers={200: schemas.Current}, problems=READ_PROBLEMS
    )
    def current(self, caller: Caller, *, query: schemas.InSpace) -> schemas.Current:
        """Return the execution that is active now.

        In a space's scope another scope's run is shown as its progress only (`restricted`).
        """
        viewer = self._access.scope(caller, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session:
            row = queries.current(session, caller.tenant_id)
            if row is None:
                return schemas.Current(execution=None)
            seen = self._presenter.execution(session, row, viewer)
        return schemas.Current(execution=self._named(caller, [seen])[0])

    @operation(
        "GET",
        "/executions/{execution_id}",
        query=schemas.InSpace,
        answers={200: schemas.ExecutionDetail},
        problems=ONE_PROBLEMS,
    )
    def get(self, caller: Caller, *, execution_id: str, query: schemas.InSpace) -> schemas.ExecutionDetail:
        """Return one execution with its retry chain and the live counts of its mails."""
        viewer, _, _ = self._access.execution(caller, execution_id, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session:
            row = find(session, caller, execution_id)
            seen = self._presenter.detail(session, row, viewer)
            if not seen.restricted and row.job_type == NOTIFICATIONS:
                counts = self._parts.mailer.counts(session, row.id)
                # Old mails are deleted; the frozen metrics go on counting them.
                seen.mails = schemas.Mails(**counts) if row.ended_at is None or any(counts.values()) else None
            _, policies = self._parts.policies.current(session, caller.tenant_id)
            seen.statuses = statuses(policies)
        return self._named(caller, [seen])[0]

    @operation(
        "GET",
        "/executions/{execution_id}/spaces",
        query=schemas.SpacesQuery,
        answers={200: schemas.List[schemas.SpaceResult]},
        problems=ONE_PROBLEMS,
    )
    def spaces(
        self, caller: Caller, *, execution_id: str, query: schemas.SpacesQuery
    ) -> schemas.List[schemas.SpaceResult]:
        """List what became of each space of an execution; for a space's administrators, of their space."""
        own = self._own_part(caller, execution_id, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session, known_cursor():
            rows, cursor = queries.spaces(
                session, execution_id, limit=query.limit, cursor=query.cursor, state=query.status, space_id=own
            )
        return schemas.List[schemas.SpaceResult](items=[space_result(row) for row in rows], next_cursor=cursor)

    @operation(
        "GET",
        "/executions/{execution_id}/items",
        query=schemas.ItemsQuery,
        answers={200: schemas.List[schemas.ItemResult]},
        problems=ONE_PROBLEMS,
    )
    def items(
        self, caller: Caller, *, execution_id: str, query: schemas.ItemsQuery
    ) -> schemas.List[schemas.ItemResult]:
        """List what an execution did to which content, and why; for a space's administrators, in their space."""
        own = self._own_part(caller, execution_id, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session, known_cursor():
            rows, cursor = queries.items(
                session, execution_id, limit=query.limit, cursor=query.cursor, outcome=query.outcome, space_id=own
            )
        return schemas.List[schemas.ItemResult](items=[item_result(row) for row in rows], next_cursor=cursor)

    @operation(
        "POST",
        "/executions/{execution_id}/cancel",
        query=schemas.InSpace,
        answers={202: schemas.Execution},
        problems=(401, 403, 404, 409, 422, 503),
    )
    def cancel(self, caller: Caller, *, execution_id: str, query: schemas.InSpace) -> Answer:
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
        return Answer(202, self._named(caller, [seen])[0])

    @operation(
        "POST",
        "/executions/{execution_id}/retry",
        query=schemas.InSpace,
        answers={201: schemas.Execution},
        problems=(401, 403, 404, 409, 422, 503),
    )
    def retry(self, caller: Caller, *, execution_id: str, query: schemas.InSpace) -> Answer:
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

    def _log_scope(self, caller: Caller, space_key: str | None) -> Viewer:
        """A Confluence administrator may also look up the runs of a space that is gone."""
        try:
            return self._access.scope(caller, space_key)
        except Problem as problem:
            if problem.kind != "space-not-visible":
                raise
            return self._access.site(caller)

    def _check(self, body: schemas.StartExecution) -> None:
        errors = []
        if body.job not in self._parts.engine.jobs:
            known = ", ".join(sorted(self._parts.engine.jobs))
            errors.append(FieldError("/job", f"There is no job of this name. Jobs: {known}."))
        elif body.dry_run and body.job not in PREVIEWABLE:
            errors.append(FieldError("/dryRun", "This job has no dry run."))
        if body.again and body.job != NOTIFICATIONS:
            errors.append(FieldError("/again", "Only notifications are held back and sent again."))
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
        over = "all spaces" if row.scope == "site" else f"the space {space.key}"
        raise Problem(
            422,
            "notified-lately",
            f"Send notifications ran over {over} and ended at {said(row.ended_at, now, zone)}: people have their mails "
            f"about {space.key}. It can be started here again from {said(row.ended_at + QUIET, now, zone)}. "
            "Before that a Confluence administrator can have the same sent again, through the API.",
        )

    def _own_part(self, caller: Caller, execution_id: str, space_key: str | None) -> str | None:
        """Return the id of the only space whose details the caller may see, None for those of all."""
        viewer, _, sight = self._access.execution(caller, execution_id, space_key)
        if sight == "part" and viewer.space is not None:
            return viewer.space.id
        if sight != "full":
            raise Problem(403, "forbidden", "The details of a run over all spaces are for Confluence administrators.")
        return None

    def _busy(self, caller: Caller, active_id: str, viewer: Viewer) -> Problem:
        """Name the execution in the way: what it is, who or what started it, and when it should end."""
        with self._parts.db.read(caller.tenant_id) as session:
            seen = self._presenter.execution(session, find(session, caller, active_id), viewer)
            _, policies = self._parts.policies.current(session, caller.tenant_id)
        seen = self._named(caller, [seen])[0]
        detail = in_the_way(seen, self._parts.clock.now(), reader_zone(policies))
        return Problem(409, "busy", detail, extra={"execution": seen.model_dump(mode="json", by_alias=True)})

    def _named(self, caller: Caller, seen: Sequence[E]) -> list[E]:
        names = self._lookups.names(caller.tenant_id, [each.started_by for each in seen])
        for each in seen:
            each.started_by_name = names.get(each.started_by or "")
        return list(seen)


def in_the_way(seen: schemas.Execution, now: datetime, zone: str) -> str:
    """Return the sentences that tell a person why nothing can start now. `zone`: the IANA zone of their times."""
    if seen.restricted:
        what = f"{seen.title} is running over {'all spaces' if seen.scope == 'site' else 'another space'}"
    else:
        what = f"{seen.title} is running over {'all spaces' if seen.scope == 'site' else f'the space {seen.space_key}'}"
        nobody = "a person" if seen.trigger == "manual" else "the schedule"
        who = seen.started_by_name or seen.started_by or nobody
        what += f", started by {who} at {said(seen.started_at, now, zone)}"
    left = seen.progress.seconds_left
    if seen.paused is not None:
        when = f"It waits until {said(seen.paused.until, now, zone)}: {seen.paused.reason.rstrip('.')}."
    elif seen.status != "running":
        when = "It is about to end."
    elif left is None:
        when = "When it will end cannot be said yet."
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
