"""What was submitted and not read back yet? A row per batch, stored before its call, closed with its outcomes.

A submitted batch belongs to its execution: a new owner finds it here first, and no run ends before it is closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import new_id
from addon.confluence import Content
from addon.engine import as_run_space
from addon.engine.job import Run, RunSpace
from addon.engine.models import ExecutionItem, ExecutionSpace, JobExecution
from addon.jobs.models import ArchiveTask
from addon.policies import PolicyDocument


@dataclass(frozen=True, slots=True)
class Batch:
    """Contents that one automation acts on with one call (archive) or one round of calls (trash)."""

    id: str
    space_id: str
    automation_id: str
    titles: dict[str, str]
    submitted_at: datetime
    action: str | None
    task_id: str | None = None

    @property
    def content_ids(self) -> list[str]:
        """Return the ids in their order."""
        return list(self.titles)


def store(run: Run, space: RunSpace, automation_id: str, action: str, contents: Sequence[Content]) -> Batch:
    """Store a batch before anything is submitted; `action` is archive or delete."""
    titles = {content.id: content.title for content in contents}
    batch = Batch(new_id(), space.id, automation_id, titles, run.clock.now(), action)
    with run.write() as session:
        session.add(
            ArchiveTask(
                id=batch.id,
                tenant_id=run.tenant_id,
                execution_id=run.execution_id,
                space_id=batch.space_id,
                automation_id=batch.automation_id,
                page_ids=batch.content_ids,
                titles=list(batch.titles.values()),
                submitted_at=batch.submitted_at,
                action=action,
            )
        )
    return batch


def remember_task(run: Run, batch: Batch, task_id: str) -> None:
    """Store the task's id, right after the site told it."""
    with run.write() as session:
        session.execute(sa.update(ArchiveTask).where(ArchiveTask.id == batch.id).values(task_id=task_id))


def close(session: Session, run: Run, batch_id: str) -> None:
    """Mark a batch as read back."""
    session.execute(sa.update(ArchiveTask).where(ArchiveTask.id == batch_id).values(ended_at=run.clock.now()))


def still_open(run: Run) -> list[Batch]:
    """Return the execution's batches that were not read back, oldest first."""
    query = (
        sa.select(ArchiveTask)
        .where(ArchiveTask.execution_id == run.execution_id, ArchiveTask.ended_at.is_(None))
        .order_by(ArchiveTask.id)
    )
    with run.read() as session:
        return [
            Batch(
                row.id,
                row.space_id,
                row.automation_id,
                dict(zip(row.page_ids, row.titles, strict=True)),
                row.submitted_at,
                row.action,
                row.task_id,
            )
            for row in session.scalars(query)
        ]


def action_of(policy: PolicyDocument, batch: Batch) -> str:
    """Return what was done with a batch: archive or delete."""
    if batch.action is not None:
        return batch.action
    for scheme in policy.automation_schemes:
        for automation in scheme.automations:
            if f"{scheme.id}/{automation.id}" == batch.automation_id:
                return automation.action.type
    return "archive"


def any_open(session: Session, execution_id: str) -> bool:
    """Return whether the execution has a batch that was not read back."""
    open_ = sa.exists().where(ArchiveTask.execution_id == execution_id, ArchiveTask.ended_at.is_(None))
    return bool(session.scalar(sa.select(open_)))


def logged(run: Run, space_id: str) -> set[str]:
    """Return the contents of a space whose outcome this execution has recorded already."""
    query = sa.select(ExecutionItem.content_id).where(
        ExecutionItem.execution_id == run.execution_id, ExecutionItem.space_id == space_id
    )
    with run.read() as session:
        return set(session.scalars(query))


def run_spaces(run: Run) -> dict[str, RunSpace]:
    """Return all spaces of the execution as they stand now, by id."""
    query = sa.select(ExecutionSpace).where(ExecutionSpace.execution_id == run.execution_id)
    with run.read() as session:
        return {row.space_id: as_run_space(row) for row in session.scalars(query)}


def last_refresh(session: Session, space_id: str) -> JobExecution | None:
    """Return the newest execution that refreshed the statuses of a space to its end."""
    return session.scalars(
        sa.select(JobExecution)
        .join(ExecutionSpace, ExecutionSpace.execution_id == JobExecution.id)
        .where(
            JobExecution.job_type == "refresh-statuses",
            ExecutionSpace.space_id == space_id,
            ExecutionSpace.state == "done",
        )
        .order_by(JobExecution.id.desc())
        .limit(1)
    ).one_or_none()
