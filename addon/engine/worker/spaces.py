"""The rows of an execution: its spaces, a list that is fixed at the start, and the items that were worked on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine import failpoints
from addon.engine.job import MISSING, Item, Metrics, RunSpace
from addon.engine.models import ExecutionItem, ExecutionSpace, JobExecution
from addon.engine.state.transitions import Lease


def listed(session: Session, execution_id: str) -> list[tuple[RunSpace, bool]]:
    """Return the spaces of an execution in their order, each with whether it is suspected of stopping workers."""
    rows = session.scalars(
        sa.select(ExecutionSpace)
        .where(ExecutionSpace.execution_id == execution_id)
        .order_by(ExecutionSpace.position)
        .execution_options(populate_existing=True)
    )
    return [(as_run_space(row), row.suspect) for row in rows]


def as_run_space(row: ExecutionSpace) -> RunSpace:
    """Return a stored space as jobs see it."""
    return RunSpace(
        id=row.space_id,
        key=row.space_key,
        name=row.name,
        type=row.type,
        weight=row.weight,
        state=row.state,
        checkpoint=row.checkpoint,
        reason=row.reason,
    )


def freeze_spaces(
    session: Session,
    lease: Lease,
    spaces: Sequence[RunSpace],
    previous: Mapping[str, RunSpace] | None,
    at: datetime,
) -> None:
    """Store the space list, once, in the order given.

    `previous` (a retry): exactly these spaces take part, and those missing now are reported as skipped.
    """
    found = {space.id: space for space in spaces}
    if previous is not None:
        gone = {key: _skipped(space) for key, space in previous.items() if key not in found}
        found = {key: space for key, space in found.items() if key in previous} | gone
    rows: list[dict[str, Any]] = [
        {
            "execution_id": lease.execution_id,
            "space_id": space.id,
            "tenant_id": lease.tenant_id,
            "space_key": space.key,
            "name": space.name,
            "type": space.type,
            "position": position,
            "weight": space.weight,
            "state": "skipped" if space.state == "skipped" else "pending",
            "reason": space.reason if space.state == "skipped" else None,
            "ended_at": at if space.state == "skipped" else None,
            "metrics": {},
        }
        for position, space in enumerate(found.values())
    ]
    if rows:
        session.execute(sa.insert(ExecutionSpace), rows)
    session.execute(
        sa.update(JobExecution)
        .where(JobExecution.id == lease.execution_id)
        .values(listed=True, spaces_total=len(rows))
        .execution_options(synchronize_session=False)
    )
    failpoints.boundary(session, "list")


def not_done(session: Session, execution_id: str) -> dict[str, RunSpace]:
    """Return the spaces of an execution that did not end done, by id: what its retry has to do."""
    rows = session.scalars(
        sa.select(ExecutionSpace)
        .where(ExecutionSpace.execution_id == execution_id, ExecutionSpace.state != "done")
        .order_by(ExecutionSpace.position)
    )
    return {row.space_id: as_run_space(row) for row in rows}


def end_space(
    session: Session,
    execution_id: str,
    space_id: str,
    state: str,
    *,
    at: datetime,
    reason: str | None = None,
    transient: bool = False,
    metrics: Metrics | None = None,
) -> int | None:
    """End an open space; return its weight, or None when it had ended before (a finished space is never redone)."""
    values: dict[str, Any] = {"state": state, "reason": reason, "transient": transient, "ended_at": at}
    if metrics is not None:
        values["metrics"] = dict(metrics)
    weight = session.scalar(
        sa.update(ExecutionSpace)
        .where(
            ExecutionSpace.execution_id == execution_id,
            ExecutionSpace.space_id == space_id,
            ExecutionSpace.state.in_(("pending", "running")),
        )
        .values(values)
        .returning(ExecutionSpace.weight)
        .execution_options(synchronize_session=False)
    )
    return None if weight is None else max(1, int(weight))


def append_items(
    session: Session, tenant_id: TenantId, execution_id: str, first: int, items: Sequence[Item], at: datetime
) -> None:
    """Append to the item log of an execution, numbered from `first` on. The caller keeps the last number."""
    rows = [
        {
            "execution_id": execution_id,
            "seq": first + number,
            "tenant_id": tenant_id,
            "space_id": item.space.id,
            "space_key": item.space.key,
            "content_id": item.content_id,
            "title": item.title,
            "action": item.action,
            "outcome": item.outcome,
            "reason": item.reason,
            "at": at,
        }
        for number, item in enumerate(items)
    ]
    session.execute(sa.insert(ExecutionItem), rows)


def _skipped(space: RunSpace) -> RunSpace:
    return RunSpace(
        id=space.id,
        key=space.key,
        name=space.name,
        type=space.type,
        weight=space.weight,
        state="skipped",
        reason=MISSING,
    )
