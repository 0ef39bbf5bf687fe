"""The end of an execution: open spaces are closed, the result is summed, a retry may be noted, in one transaction.

Every terminal transition goes through `end`, so that no execution ends without its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.job import UNSEEN, Job, Metrics
from addon.engine.models import ExecutionSpace, JobExecution, Lane, RetryDue
from addon.engine.state.settlement import unsettled
from addon.engine.state.table import BY_NAME
from addon.engine.state.transitions import Actor, Lease, Moved, move

OPEN = ("pending", "running")
INTERRUPTED = "interrupted: the worker stopped again and again while this execution ran"


def close_open_spaces(
    session: Session, execution_id: str, state: str, *, at: datetime, reason: str | None, transient: bool = False
) -> int:
    """End every open space of an execution as `state`; return how many there were."""
    closed = session.scalars(
        sa.update(ExecutionSpace)
        .where(ExecutionSpace.execution_id == execution_id, ExecutionSpace.state.in_(OPEN))
        .values(state=state, reason=reason, transient=transient, ended_at=at)
        .returning(ExecutionSpace.space_id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(closed)


def end(
    context: EngineContext,
    session: Session,
    name: str,
    execution: JobExecution,
    *,
    actor: Actor,
    lease: Lease | None = None,
    dead: sa.ColumnElement[bool] | None = None,
    extra: Metrics | None = None,
    values: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Moved:
    """Make the terminal transition `name`. `execution` is the row as locked by this transaction.

    `extra` are the metrics of the job's finalize, `values` newer counters and the error. The event says `unsettled`
    when something that was submitted is not read back. Raises RuntimeError, which rolls back, when the guard of the
    transition does not hold: under the lock that is a bug.
    """
    # Everything of the end is one transaction, with the row locked by the caller: a process that dies before the commit
    # has ended nothing, and one that dies after it has left nothing to do. So the sums are taken from the spaces' rows
    # here and now, never from what a process remembers; that costs one more read of all spaces of the execution.
    at = context.clock.now()
    transition = BY_NAME[name]
    more = dict(values or {})
    if name == "interrupt":
        more |= {"error": INTERRUPTED, "error_transient": False}
    if name in ("interrupt", "fail_stuck"):
        close_open_spaces(session, execution.id, "failed", at=at, reason=more["error"])
    elif transition.target == "cancelled":
        close_open_spaces(session, execution.id, "cancelled", at=at, reason="cancelled")
    metrics = total_metrics(session, execution, extra or {}, context.jobs.get(execution.job_type), more)
    event = dict(detail or {}) | ({"unsettled": True} if unsettled(context, session, execution) else {})
    more |= {
        "metrics": metrics,
        "spaces_done": metrics["spacesProcessed"],
        "spaces_failed": metrics["spacesFailed"],
        "spaces_total": metrics["spacesTotal"],
        "spaces_unseen": _unseen(session, execution.id),
    }
    moved = move(session, name, execution.id, at=at, actor=actor, lease=lease, dead=dead, values=more, detail=event)
    if moved is None:
        # Rolls back the closed spaces too. Without the transition they would be ended spaces of a live run.
        raise RuntimeError(f"execution {execution.id} is {execution.status}: no {name}")
    if transition.target == "failed":
        error = more.get("error", execution.error)
        transient = more.get("error_transient", execution.error_transient)
        _note_retry(context, session, execution, at, permanent=error is not None and not transient)
    return moved


def _note_retry(
    context: EngineContext, session: Session, execution: JobExecution, at: datetime, *, permanent: bool
) -> None:
    """Insert the waiting retry of a failed scheduled run, unless something permanent failed.

    See docs/rules/schedules.md 2.2.
    """
    if permanent or execution.trigger == "manual" or execution.attempt >= context.settings.max_attempts:
        return
    lane = session.get(Lane, execution.tenant_id)
    if lane is None or not lane.open or lane.first_run:
        return
    space = ExecutionSpace
    of_this = sa.select(sa.func.count()).select_from(space).where(space.execution_id == execution.id)
    permanent_failures = session.scalar(of_this.where(space.state == "failed", space.transient.is_(False)))
    left = session.scalar(of_this.where(space.state != "done"))
    if permanent_failures or (execution.listed and not left):
        return
    session.add(
        RetryDue(
            failed_execution_id=execution.id,
            tenant_id=execution.tenant_id,
            job_type=execution.job_type,
            due_at=at + timedelta(seconds=context.settings.retry_seconds),
            attempt=execution.attempt + 1,
        )
    )
    failpoints.boundary(session, "retry")


def add_metrics(totals: Metrics, more: Metrics) -> dict[str, Any]:
    """Return the sums by name, one level of nesting deep (statusCounts). Raises TypeError on mixed shapes."""
    result = dict(totals)
    for name, value in more.items():
        if isinstance(value, Mapping):
            nested = result.get(name, {})
            if not isinstance(nested, Mapping):
                raise TypeError(f"metric {name} is once a number and once a mapping")
            result[name] = add_metrics(nested, value)
        else:
            result[name] = result.get(name, 0) + value
    return result


def total_metrics(
    session: Session, row: JobExecution, extra: Metrics, job: Job | None, counters: Metrics
) -> dict[str, Any]:
    """Return the final metrics of an execution (docs/rules/metrics.md 8), from its rows as this transaction sees them.

    `extra` is what the job's finalize returned, `counters` may hold newer points and calls than the row.
    """
    spaces = session.execute(
        sa.select(ExecutionSpace.state, ExecutionSpace.metrics).where(ExecutionSpace.execution_id == row.id)
    ).all()
    totals: dict[str, Any] = add_metrics({}, row.extra_metrics)
    for space in spaces:
        totals = add_metrics(totals, space.metrics)
    totals = add_metrics(totals, extra)
    states = [space.state for space in spaces]
    totals |= {
        "spacesProcessed": states.count("done"),
        "spacesFailed": states.count("failed"),
        "spacesSkipped": states.count("skipped"),
        "spacesCancelled": states.count("cancelled"),
        "spacesTotal": len(states),
        "points": counters.get("points", row.points),
        "calls": counters.get("calls", row.calls),
    }
    return job.compile(totals) if job is not None else totals


def _unseen(session: Session, execution_id: str) -> int:
    """Return how many spaces of an execution were skipped because the app could not see them."""
    query = sa.select(sa.func.count()).select_from(ExecutionSpace)
    here = (ExecutionSpace.execution_id == execution_id, ExecutionSpace.state == "skipped")
    return session.scalar(query.where(*here, ExecutionSpace.reason.in_(sorted(UNSEEN)))) or 0
