"""The plan of a tenant: what starts next and in which order, what waits and why.

A pure function of values: it reads no clock, no settings and no table. The scheduler executes the plan's first start,
and the Jobs screen shows all of it, so that what people are promised is what the scheduler does
(docs/rules/schedules.md 2.1 and 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from addon.engine.models import RetryDue

Why = Literal["closed", "first_run", "hold", "busy", "not_due", "retry_waiting"]
"""The first four are of the lane and hold for every start. `not_due`: a retry that goes first, at its time;
`retry_waiting`: behind such a retry."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """Whether anything may start by schedule for a tenant now."""

    open: bool = True
    first_run: bool = False
    on_hold: bool = False
    busy: bool = False

    @property
    def why(self) -> Why | None:
        """Return why nothing starts, or None when something may."""
        if not self.open:
            return "closed"
        if self.first_run:
            return "first_run"
        if self.on_hold:
            return "hold"
        return "busy" if self.busy else None


@dataclass(frozen=True, slots=True)
class DueJob:
    """The due schedules of one job type.

    `since` is when the first of them came due. `startable` is the oldest pending slot that can still be started, None
    when all are too late: then there is nothing to start, only to record.
    """

    job_type: str
    since: datetime
    startable: datetime | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible start: of a job type's pending slots, or of a waiting `retry`. `due` is since when, or when.

    `late`: its slots are too late and are only recorded as skipped. `fallback`: it starts only when every slot before
    it is refused by its job; the first slot that starts ends its chain.
    """

    job_type: str
    due: datetime
    retry: RetryDue | None = None
    late: bool = False
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`starts` in the order in which they are tried: the first that its job accepts starts. `waits`: the others."""

    starts: tuple[Candidate, ...]
    waits: tuple[tuple[Candidate, Why], ...]

    def queue(self) -> list[Candidate]:
        """Return what will start one after the other, for people: without what is only recorded or given up."""
        every = [*self.starts, *(candidate for candidate, _ in self.waits)]
        return [candidate for candidate in every if not candidate.late and not candidate.fallback]


def precedes(attempt: int, precedence_attempts: int) -> bool:
    """Return whether the retry that is attempt number `attempt` keeps other job types' slots waiting.

    `precedence_attempts` is how many failed attempts do; the attempts before this one have failed.
    """
    return attempt - 1 <= precedence_attempts


def plan(
    due: Sequence[DueJob],
    retries: Sequence[RetryDue],
    lane: LaneState,
    now: datetime,
    *,
    precedence_attempts: int,
) -> Plan:
    """Return what starts and what waits for one tenant at `now`.

    Parameters: `due` has an entry for each job type with due schedules, `retries` every waiting retry, due or not;
    `precedence_attempts` is how many failed attempts let a retry go before other job types' slots.
    """
    jobs = sorted(due, key=lambda each: each.since)
    # A slot of the job itself takes the place of its retry: it covers all spaces, the retry's included. One that is
    # only recorded as too late starts nothing, so it must not cost the retry its turn.
    own = {each.job_type for each in jobs if each.startable is not None}
    others = sorted((each for each in retries if each.job_type not in own), key=lambda each: each.due_at)
    first = [each for each in others if precedes(each.attempt, precedence_attempts)]
    # Late in a long chain the job has failed for so long that other jobs no longer wait for it: they go first and end
    # the chain. With the shipped settings a chain ends before that.
    last = [each for each in others if each not in first and each.due_at <= now]
    slots = [Candidate(each.job_type, each.startable or each.since, late=each.startable is None) for each in jobs]
    order = [
        *(Candidate(each.job_type, each.due_at, each) for each in first),
        *slots,
        *(Candidate(each.job_type, each.due_at, each, fallback=bool(own)) for each in last),
    ]
    # Retries are sorted by their time, so that whatever comes before the first that is not due can start now, and
    # everything after it waits: the lane must be free at that retry's time. The cost is up to five minutes for a slot
    # that could have run meanwhile; without it a long run of another job would delay the retry by hours.
    ready = next((place for place, each in enumerate(order) if each.retry is not None and each.due > now), len(order))
    if all(each.retry is not None and each.due > now for each in order[ready:]):
        # Nothing waits behind them: such retries wait for their time alone, and are shown with their job.
        order = order[:ready]
    if (why := lane.why) is not None:
        return Plan((), tuple((each, why) for each in order))
    waits = ((each, _behind(each, now)) for each in order[ready:])
    return Plan(tuple(order[:ready]), tuple(waits))


def _behind(candidate: Candidate, now: datetime) -> Why:
    return "not_due" if candidate.retry is not None and candidate.due > now else "retry_waiting"
