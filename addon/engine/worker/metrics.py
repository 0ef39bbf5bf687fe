"""How do the numbers of spaces and of the execution become one result? By adding integers under their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.engine.job import Job, Metrics
from addon.engine.models import ExecutionSpace, JobExecution


def add(totals: Metrics, more: Metrics) -> dict[str, Any]:
    """Return the sums by name, one level of nesting deep (statusCounts). Raises TypeError on mixed shapes."""
    result = dict(totals)
    for name, value in more.items():
        if isinstance(value, Mapping):
            nested = result.get(name, {})
            if not isinstance(nested, Mapping):
                raise TypeError(f"metric {name} is once a number and once a mapping")
            result[name] = add(nested, value)
        else:
            result[name] = result.get(name, 0) + value
    return result


def total(session: Session, row: JobExecution, extra: Metrics, job: Job | None, counters: Metrics) -> dict[str, Any]:
    """Return the final metrics of an execution (docs/rules/metrics.md), from its rows as this transaction sees them.

    `extra` is what the job's finalize returned, `counters` may hold newer points and calls than the row.
    """
    spaces = session.execute(
        sa.select(ExecutionSpace.state, ExecutionSpace.metrics).where(ExecutionSpace.execution_id == row.id)
    ).all()
    totals: dict[str, Any] = add({}, row.extra_metrics)
    for space in spaces:
        totals = add(totals, space.metrics)
    totals = add(totals, extra)
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
