"""The start of an execution: one insert, which the unique partial index lets through or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Space, TenantId, insert, metadata, new_id
from addon.engine import failpoints
from addon.engine.context import EngineContext
from addon.engine.errors import Busy, UnknownJob
from addon.engine.models import JobExecution, is_active
from addon.engine.state.admission import active, end_chains, require_open
from addon.engine.state.transitions import Actor, record

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A start that is asked for: built once by a person's call, the scheduler or a retry, and passed on as it is.

    Parameters:
        tenant_id, job_type: whose start, and of which registered job.
        scope: `site` (all spaces) or `space`, which needs `space`.
        trigger: `manual`, `scheduled` or `retry`; only a manual one works while schedules are on hold.
        space: the one space of a space-scope start.
        started_by: account id of the person; None for schedules and their retries.
        params: what the job reads as `run.params`: `rules` (ids of the due schedules), `spaces` (ids, of a retry).
        dry_run: plan and report without changing anything.
        policy_version: the version of the policies to keep to; None takes the newest.
        retry_of, attempt: the execution that is retried, and which attempt of its chain this is, counted from 1.
        lane_locked: the caller has locked the tenant's lane and seen that it is open for this start.
        ends_chain: a retry of the same job waits that this start makes needless; a manual start always looks for one.
    """

    tenant_id: TenantId
    job_type: str
    scope: str
    trigger: str = "manual"
    space: Space | None = None
    started_by: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    policy_version: int | None = None
    retry_of: str | None = None
    attempt: int = 1
    lane_locked: bool = False
    ends_chain: bool = False


def start(context: EngineContext, session: Session, request: StartRequest) -> JobExecution:
    """Start an execution in the caller's transaction and return it, accepted but not claimed.

    A start of a job by hand or by its own slot ends the retry chain of the same job. Raises UnknownJob, NotAdmitted,
    JobRefused (from the job's admit), Busy with the execution that has the lane; ValueError when scope and space do not
    fit together.
    """
    job = context.jobs.get(request.job_type)
    if job is None:
        raise UnknownJob(request.job_type)
    if request.scope not in ("site", "space") or (request.scope == "space") != (request.space is not None):
        raise ValueError("scope 'space' needs a space, scope 'site' has none")
    now = context.clock.now()
    if not request.lane_locked:
        require_open(session, request.tenant_id, now, scheduled=request.trigger != "manual")
    job.admit(session, request.tenant_id)
    execution = _insert(context, session, request)
    detail: dict[str, Any] = {"job": request.job_type, "trigger": request.trigger, "scope": request.scope}
    if request.trigger == "manual" or request.ends_chain:
        ended = end_chains(session, request.tenant_id, request.job_type)
        if ended:
            detail["endedRetryOf"] = ended
    actor = Actor({"manual": "user", "scheduled": "schedule"}.get(request.trigger, "retry"), request.started_by)
    record(session, request.tenant_id, execution.id, execution.seq, "job:execution:started", now, actor, detail)
    failpoints.boundary(session, "start")
    context.dispatcher.wake(session, request.tenant_id)
    return execution


def _insert(context: EngineContext, session: Session, request: StartRequest) -> JobExecution:
    version = request.policy_version
    if version is None:
        version = context.policy_version(session, request.tenant_id)
    values: dict[str, Any] = {
        "id": new_id(),
        "tenant_id": request.tenant_id,
        "job_type": request.job_type,
        "scope": request.scope,
        "space_id": request.space.id if request.space else None,
        "space_key": request.space.key if request.space else None,
        "trigger": request.trigger,
        "started_by": request.started_by,
        "params": request.params,
        "policy_version": version,
        "generation": _generation(request.tenant_id),
        "dry_run": request.dry_run,
        "status": "running",
        "started_at": context.clock.now(),
        "retry_of": request.retry_of,
        "attempt": request.attempt,
        "seq": 1,
    }
    statement = (
        insert(session, JobExecution)
        .values(values)
        .on_conflict_do_nothing(index_elements=["tenant_id"], index_where=is_active())
        .returning(JobExecution)
    )
    # The winner of a conflict may have ended between the insert and the look at it: then the lane is free again.
    for _ in range(_ATTEMPTS):
        execution: JobExecution | None = session.scalars(statement).one_or_none()
        if execution is not None:
            return execution
        holder = active(session, request.tenant_id)
        if holder is not None:
            # The rollback that usually follows would expire what the caller wants to report.
            session.expunge(holder)
            raise Busy(holder)
    raise RuntimeError("the lane was taken and freed again and again while starting")


def _generation(tenant_id: TenantId) -> sa.ColumnElement[int]:
    tenant = metadata.tables["tenant"]
    known = sa.select(tenant.c.generation).where(tenant.c.id == tenant_id).scalar_subquery()
    return sa.func.coalesce(known, 1)
