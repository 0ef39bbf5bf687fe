"""What a job may ask about its own run and those before it, by id or as a subquery for the job's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.engine.job import Run, RunSpace
from addon.engine.models import ExecutionItem, ExecutionSpace, JobExecution
from addon.engine.worker.spaces import as_run_space

RUNS_BACK = 100
"""Executions looked at for the last one that listed the whole site: in between are retries of some spaces."""


def started_at(session: Session, execution_id: str) -> datetime:
    """Return when an execution was started."""
    return session.scalars(sa.select(JobExecution.started_at).where(JobExecution.id == execution_id)).one()


def recorded_contents(session: Session, execution_id: str, space_id: str) -> set[str]:
    """Return the ids of the contents of a space that the execution's item log has an outcome of."""
    item = ExecutionItem
    here = sa.select(item.content_id).where(item.execution_id == execution_id, item.space_id == space_id)
    return set(session.scalars(here))


def run_spaces(session: Session, execution_id: str) -> dict[str, RunSpace]:
    """Return all spaces of an execution as they are now, by id."""
    rows = session.scalars(sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == execution_id))
    return {row.space_id: as_run_space(row) for row in rows}


def spaces_taking_part(session: Session, execution_id: str) -> set[str]:
    """Return the ids of the execution's spaces that are not skipped."""
    space = ExecutionSpace
    ids = sa.select(space.space_id).where(space.execution_id == execution_id, space.state != "skipped")
    return set(session.scalars(ids))


def spaces_done(session: Session, execution_id: str) -> dict[str, str]:
    """Return the keys of the execution's spaces that ended done, by id."""
    space = ExecutionSpace
    done = sa.select(space.space_id, space.space_key).where(space.execution_id == execution_id, space.state == "done")
    return {row.space_id: row.space_key for row in session.execute(done)}


def done_space_ids(execution_id: str) -> sa.Select[str]:
    """Return a subquery of the ids of the execution's spaces that ended done."""
    return sa.select(ExecutionSpace.space_id).where(
        ExecutionSpace.execution_id == execution_id, ExecutionSpace.state == "done"
    )


def last_done_began(session: Session, job_type: str, space_id: str) -> datetime | None:
    """Return when the newest execution of a job that brought the space to done was started."""
    return session.scalar(
        sa.select(JobExecution.started_at)
        .join(ExecutionSpace, ExecutionSpace.execution_id == JobExecution.id)
        .where(
            JobExecution.job_type == job_type,
            ExecutionSpace.space_id == space_id,
            ExecutionSpace.state == "done",
        )
        .order_by(JobExecution.id.desc())
        .limit(1)
    )


def last_done_at(session: Session, job_type: str, space_id: str, *, runs_back: int) -> datetime | None:
    """Return when one of the `runs_back` newest executions of a job last brought the space to done, if one did."""
    newest = (
        sa.select(JobExecution.id)
        .where(JobExecution.job_type == job_type)
        .order_by(JobExecution.started_at.desc())
        .limit(runs_back)
    )
    return done_at(session, session.scalars(newest).all(), [space_id]).get(space_id)


def done_at(session: Session, execution_ids: Sequence[str], space_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each of the spaces (by id) was last brought to done by one of the executions."""
    done = session.execute(
        sa.select(ExecutionSpace.space_id, sa.func.max(ExecutionSpace.ended_at).label("at"))
        .where(
            ExecutionSpace.execution_id.in_(execution_ids),
            ExecutionSpace.space_id.in_(space_ids),
            ExecutionSpace.state == "done",
        )
        .group_by(ExecutionSpace.space_id)
    )
    return {row.space_id: row.at for row in done if row.at is not None}


def last_worked_on(session: Session, run: Run) -> list[RunSpace]:
    """Return the spaces that the last full run of the same kind was to work on and that no run has reported since.

    A full run is one over all spaces of its scope, as opposed to a retry of some. Empty when there is none among the
    RUNS_BACK newest.
    """
    newest: Sequence[Any] = session.execute(
        sa.select(JobExecution.id, JobExecution.params)
        .where(
            JobExecution.job_type == run.job_type,
            JobExecution.scope == run.scope,
            JobExecution.dry_run.is_(run.dry_run),
            JobExecution.listed,
            JobExecution.id != run.execution_id,
        )
        .order_by(JobExecution.id.desc())
        .limit(RUNS_BACK)
    ).all()
    retries: list[str] = []
    for execution_id, params in newest:
        if "spaces" not in params:
            break
        retries.append(execution_id)
    else:
        return []
    space = ExecutionSpace
    reported = sa.select(space.space_id).where(space.execution_id.in_(retries), space.state == "skipped")
    rows = session.scalars(
        sa.select(space)
        .where(space.execution_id == execution_id, space.state != "skipped", space.space_id.not_in(reported))
        .order_by(space.position)
    )
    return [RunSpace(row.space_id, row.space_key, row.name, row.type) for row in rows]
