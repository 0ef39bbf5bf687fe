"""Executions as they look from outside: rows become answers, cut down to what the viewer may know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy.orm import Session

from addon.base import Caller, Clock, TenantId
from addon.engine import (
    ACTIVE,
    UNSEEN,
    Engine,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    RetryDue,
    live_progress,
    queries,
    retried_by,
)
from addon.screens.access import Viewer
from addon.screens.api.executions import schemas
from addon.screens.lookups import Lookups

E = TypeVar("E", bound=schemas.Execution)

NAMED_SPACES = 5
NAMED_FAILURES = 3


class Presenter:
    """Turns rows into answers. Every method reads in the session it is given and calls no site."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def title(self, job_type: str) -> str:
        """Return a job type's name for people; the slug itself for one that this version does not know."""
        job = self._engine.jobs.get(job_type)
        return job.title if job is not None else job_type

    def executions(self, session: Session, rows: Sequence[JobExecution], viewer: Viewer) -> list[schemas.Execution]:
        """Return `rows`, each as `execution` does."""
        of_site = [row.id for row in rows if row.scope == "site"]
        parts = {} if viewer.space is None else queries.results_in_space(session, of_site, viewer.space.id)
        return [self._execution(session, row, viewer, parts.get(row.id)) for row in rows]

    def execution(self, session: Session, row: JobExecution, viewer: Viewer) -> schemas.Execution:
        """Return `row` for a list or as the current one.

        In a space, a run over the site is shown as what it did there, another scope's run as its progress only.
        """
        return self.executions(session, [row], viewer)[0]

    def _execution(
        self, session: Session, row: JobExecution, viewer: Viewer, part: ExecutionSpace | None
    ) -> schemas.Execution:
        sight = viewer.sight(row, part)
        active = row.status in ACTIVE
        seen = self._base(row, viewer)
        if active:
            seen.paused = self._paused(row)
        if sight == "part" and part is not None:
            return _reduced(seen, part, active=active)
        if sight != "full":
            return _restricted(seen)
        if active:
            seen.progress.spaces_skipped = queries.skipped(session, row.id)
            running, _ = queries.spaces(session, row.id, limit=NAMED_SPACES, cursor=None, state="running")
            seen.running_spaces = [space.space_key for space in running]
        if row.spaces_failed:
            failed, _ = queries.spaces(session, row.id, limit=NAMED_FAILURES, cursor=None, state="failed")
            seen.failures = [_failure(space) for space in failed]
            seen.may_retry = row.status == "failed" and retried_by(session, row.id) is None
        return seen

    def detail(self, session: Session, row: JobExecution, viewer: Viewer) -> schemas.ExecutionDetail:
        """Return `row` with its slots and its retry chain."""
        seen = schemas.ExecutionDetail(
            **self.execution(session, row, viewer).model_dump(), policy_version=row.policy_version
        )
        if seen.restricted:
            return seen
        seen.retried_by = retried_by(session, row.id)
        if row.scope != "site":
            return seen
        if row.trigger == "scheduled":
            seen.slots = _slots(*queries.slots(session, row.id))
        for retry in self.retries(session, row.tenant_id).values():
            if retry.failed_execution_id == row.id:
                seen.next_retry = retry
        return seen

    def _base(self, row: JobExecution, viewer: Viewer) -> schemas.Execution:
        progress = live_progress(row, self._clock.now())
        return schemas.Execution(
            id=row.id,
            job=row.job_type,
            title=self.title(row.job_type),
            scope=row.scope,
            space_key=row.space_key,
            trigger=row.trigger,
            status=row.status,
            dry_run=row.dry_run,
            started_by=row.started_by,
            started_at=row.started_at,
            ended_at=row.ended_at,
            retry_of=row.retry_of,
            attempt=row.attempt,
            progress=schemas.Progress(
                spaces_done=progress.spaces_done,
                spaces_failed=progress.spaces_failed,
                spaces_skipped=(row.metrics or {}).get("spacesSkipped", 0),
                spaces_total=progress.spaces_total,
                percent=progress.percent,
                seconds_left=progress.seconds_left,
            ),
            paused=None,
            stalled_since=progress.stalled_since,
            metrics=row.metrics,
            coverage=None if row.status in ACTIVE else _coverage(row.spaces_unseen, row.metrics),
            spaces_unseen=row.spaces_unseen or 0,
            error=row.error,
            points=row.points,
            calls=row.calls,
            cancel_requested_by=row.cancel_requested_by,
            may_cancel=viewer.may_cancel(row),
        )

    def retry(self, due: RetryDue) -> schemas.Retry:
        """Return a waiting retry: attempt n of m, and when."""
        return schemas.Retry(
            failed_execution_id=due.failed_execution_id,
            job=due.job_type,
            due_at=due.due_at,
            attempt=due.attempt,
            attempts=max(self._engine.settings.max_attempts, due.attempt),
        )

    def retries(self, session: Session, tenant_id: TenantId) -> dict[str, schemas.Retry]:
        """Return the waiting retries by job type."""
        return {due.job_type: self.retry(due) for due in queries.pending_retries(session, tenant_id)}

    def _paused(self, row: JobExecution) -> schemas.Paused | None:
        if row.not_before is None or row.not_before <= self._clock.now():
            return None
        return schemas.Paused(until=row.not_before, reason=row.pause_reason or "The run waits.")


def _restricted(seen: schemas.Execution) -> schemas.Execution:
    """Keep what anyone on the Jobs screen may know: that something runs, over what kind of scope, and how far."""
    return seen.model_copy(
        update={
            "restricted": True,
            "space_key": None,
            "started_by": None,
            "cancel_requested_by": None,
            "metrics": None,
            "coverage": None,
            "spaces_unseen": 0,
            "error": None,
            "points": 0,
            "calls": 0,
        }
    )


def _reduced(seen: schemas.Execution, part: ExecutionSpace, *, active: bool) -> schemas.Execution:
    """Keep of a site's run what it did in one space; while it is active, also how far it is over all."""
    own = _restricted(seen)
    own.space_result = space_result(part)
    if not active:
        done, failed = part.state == "done", part.state == "failed"
        own.metrics = part.metrics
        own.spaces_unseen = int(part.state == "skipped" and part.reason in UNSEEN)
        own.coverage = _coverage(own.spaces_unseen, part.metrics)
        own.progress = seen.progress.model_copy(
            update={"spaces_done": int(done), "spaces_failed": int(failed), "spaces_total": 1, "spaces_skipped": 0}
        )
    return own


def _coverage(unseen: int | None, metrics: Mapping[str, Any] | None) -> Literal["complete", "incomplete"]:
    """Return whether a run reached all that it was meant to (docs/adr/0023)."""
    short = (unseen or 0) + sum((metrics or {}).get(name, 0) for name in ("contentsReadOnly", "contentsNotAllowed"))
    return "incomplete" if short else "complete"


def _failure(space: ExecutionSpace) -> schemas.FailedSpace:
    return schemas.FailedSpace(space_key=space.space_key, reason=space.reason or "No reason was recorded.")


def _slots(slots: Sequence[queries.Slot], more: int) -> schemas.Slots:
    return schemas.Slots(
        items=[
            schemas.Slot(
                rule_id=slot.rule_id or None,
                name=slot.name,
                scheduled_for=slot.scheduled_for,
                outcome=slot.outcome,
                earlier=slot.earlier,
                earlier_since=slot.earlier_since,
            )
            for slot in slots
        ],
        more=more,
    )


def space_result(row: ExecutionSpace) -> schemas.SpaceResult:
    """Return one space of an execution."""
    return schemas.SpaceResult(
        space_key=row.space_key,
        name=row.name,
        status=row.state,
        reason=row.reason,
        metrics=row.metrics,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def item_result(row: ExecutionItem) -> schemas.ItemResult:
    """Return one entry of an execution's item log."""
    return schemas.ItemResult(
        content_id=row.content_id,
        title=row.title,
        space_key=row.space_key,
        action=row.action,
        outcome=row.outcome,
        reason=row.reason,
        at=row.at,
    )


def named(lookups: Lookups, caller: Caller, seen: Sequence[E]) -> list[E]:
    """Return `seen` with the display names of the people who started them, where Confluence says them."""
    names = lookups.names(caller.tenant_id, [each.started_by for each in seen])
    for each in seen:
        each.started_by_name = names.get(each.started_by or "")
    return list(seen)
