"""What kept a slot from starting, found in what is recorded: executions, waiting retries, and the lane's history."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.context import EngineContext
from addon.engine.models import AuditEvent, JobExecution, Lane, RetryDue
from addon.engine.schedule.plan import precedes

NEAR = timedelta(minutes=5)
"""What came into the way so soon after a slot counts: ticks reach one site after the other."""
MOST_EXECUTIONS, MOST_EVENTS = 5000, 500
"""The newest ones that are looked at."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that kept slots waiting: `except_for` those of one job type; `execution_id` is what ran or waited."""

    reason: str
    since: datetime
    until: datetime
    execution_id: str | None = None
    except_for: str | None = None


class Blockers:
    """All that is known to have been in the way of one tenant's slots."""

    def __init__(self, lasting: Sequence[Blocker] = (), runs: Iterable[Blocker] = ()) -> None:
        """`lasting` are few; `runs` may be thousands that hardly overlap: those at one slot are found at once."""
        self._lasting = lasting
        self._runs = sorted(runs, key=lambda each: each.since)
        self._begins = [each.since for each in self._runs]
        self._ends = list(accumulate((each.until for each in self._runs), max))

    def at(self, slot: datetime, until: datetime, job_type: str) -> tuple[str, str | None]:
        """Return why nothing started at a slot of `job_type`, and the execution in the way if it was one.

        Of several blockers the one that lasted longest before `until`, when the next slot took its place. What came
        long after the slot is not why: a working tick would have started it before.
        """
        latest = min(slot + NEAR, until)
        there = [each for each in self._before(slot, until) if each.since <= slot or each.since < latest]
        return _longest(there, slot, until, job_type)

    def over(self, since: datetime, until: datetime, job_type: str) -> tuple[str, str | None]:
        """Return what was in the way of most of a job type's many slots of a span, as `at` does for one."""
        return _longest(self._before(since, until), since, until, job_type)

    def _before(self, slot: datetime, until: datetime) -> list[Blocker]:
        """Return what ended after `slot` and began before `until`, or at the slot."""
        begun = bisect_left(self._begins, until) if until > slot else bisect_right(self._begins, slot)
        runs = self._runs[bisect_right(self._ends, slot) : begun]
        return [each for each in (*self._lasting, *runs) if each.until > slot]


def _longest(there: Sequence[Blocker], slot: datetime, until: datetime, job_type: str) -> tuple[str, str | None]:
    there = [each for each in there if each.except_for != job_type]
    if not there:
        return "unknown", None
    longest = max(there, key=lambda each: min(each.until, until) - max(each.since, slot))
    return longest.reason, longest.execution_id


NO_BLOCKERS = Blockers()


def find_blockers(
    context: EngineContext, session: Session, tenant_id: TenantId, since: datetime, running: JobExecution | None = None
) -> Blockers:
    """Return what was in the way of the tenant's slots from `since` on; `running` still is.

    Three statements, for slots that were missed only: one that starts as it should asks nothing.
    """
    runs = _ended(session, tenant_id, since)
    if running is not None:
        runs.append(running)
    return Blockers(_lane(session, tenant_id), [*_runs(context, runs), *_waiting(context, session, tenant_id)])


def _ended(session: Session, tenant_id: TenantId, since: datetime) -> list[Any]:
    row = JobExecution
    statement = (
        sa.select(row.id, row.job_type, row.trigger, row.retry_of, row.attempt, row.started_at, row.ended_at)
        .where(row.tenant_id == tenant_id, row.ended_at > since)
        .order_by(row.ended_at.desc())
        .limit(MOST_EXECUTIONS)
    )
    return list(session.execute(statement))


def _runs(context: EngineContext, runs: Sequence[Any]) -> Iterator[Blocker]:
    ends = {row.id: row.ended_at for row in runs}
    for row in runs:
        yield Blocker("busy", row.started_at, row.ended_at or _END, row.id)
        if row.trigger == "retry" and precedes(row.attempt, context.settings.precedence_attempts):
            waited_since = ends.get(row.retry_of) or _BEGINNING
            yield Blocker("retry_waiting", waited_since, row.started_at, row.id, except_for=row.job_type)


def _waiting(context: EngineContext, session: Session, tenant_id: TenantId) -> Iterator[Blocker]:
    for retry in session.scalars(sa.select(RetryDue).where(RetryDue.tenant_id == tenant_id)):
        if precedes(retry.attempt, context.settings.precedence_attempts):
            since = retry.due_at - timedelta(seconds=context.settings.retry_seconds)
            yield Blocker("retry_waiting", since, retry.due_at, retry.failed_execution_id, except_for=retry.job_type)


def _lane(session: Session, tenant_id: TenantId) -> list[Blocker]:
    """Return when the lane was closed, held, or in its first run, by its own events and as it is now."""
    lane = session.get(Lane, tenant_id)
    found = [Blocker("first_run", _BEGINNING, _END)] if lane is not None and lane.first_run else []
    event = AuditEvent
    statement = (
        sa.select(event.tag, event.at, event.detail)
        .where(event.tenant_id == tenant_id, event.execution_id.is_(None))
        .order_by(event.id.desc())
        .limit(MOST_EVENTS)
    )
    closed: datetime | None = None
    held: datetime | None = None
    until = _END
    for tag, at, detail in reversed(session.execute(statement).all()):
        what = tag.removeprefix("job:lane:")
        if what in ("opened", "closed"):
            if closed is not None:
                found.append(Blocker("closed", closed, at))
            closed = at if what == "closed" else None
        elif what in ("held", "released"):
            if held is not None:
                found.append(Blocker("hold", held, min(at, until)))
            held = at if what == "held" else None
            until = datetime.fromisoformat(detail["until"]) if "until" in detail else _END
        elif what == "first_run_confirmed":
            found.append(Blocker("first_run", _BEGINNING, at))
    if closed is not None:
        found.append(Blocker("closed", closed, _END))
    if held is not None:
        found.append(Blocker("hold", held, until))
    return found
