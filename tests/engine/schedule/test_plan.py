"""The plan of a tenant as a table of cases: what starts in which order, what waits and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from addon.engine.models import RetryDue
from addon.engine.schedule.plan import Candidate, DueJob, LaneState, Plan, plan, precedes

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PRECEDENCE = 3
REFRESH, MAILS, ACTIONS = "refresh-statuses", "send-notifications", "execute-automations"
FREE = LaneState()


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def slots(job: str, since: int, *, late: bool = False) -> DueJob:
    return DueJob(job, at(since), None if late else at(since))


def retry(job: str, due: int, attempt: int = 2) -> RetryDue:
    return RetryDue(failed_execution_id=f"{job}-failed", job_type=job, due_at=at(due), attempt=attempt)


def named(found: Plan) -> tuple[list[str], list[str]]:
    """Name each start, and each that waits with its reason; a retry has a star, a fallback two."""

    def name(each: Candidate) -> str:
        stars = "**" if each.fallback else "*" if each.retry is not None else ""
        return each.job_type + stars + (" late" if each.late else "")

    return [name(each) for each in found.starts], [f"{name(each)}: {why}" for each, why in found.waits]


CASES: dict[str, tuple[list[DueJob], list[RetryDue], list[str], list[str]]] = {
    "nothing is due": ([], [], [], []),
    "the job whose slot came due first starts first": (
        [slots(MAILS, -5), slots(REFRESH, -60), slots(ACTIONS, -30)],
        [],
        [REFRESH, ACTIONS, MAILS],
        [],
    ),
    "a slot that is too late is recorded in its turn": (
        [slots(MAILS, -90, late=True), slots(REFRESH, -60)],
        [],
        [f"{MAILS} late", REFRESH],
        [],
    ),
    "a retry that is due goes before the slots of other jobs": (
        [slots(MAILS, -60)],
        [retry(REFRESH, -1)],
        [f"{REFRESH}*", MAILS],
        [],
    ),
    "a retry that is not due keeps the slots of other jobs waiting": (
        [slots(MAILS, -60), slots(ACTIONS, -5)],
        [retry(REFRESH, 3)],
        [],
        [f"{REFRESH}*: not_due", f"{MAILS}: retry_waiting", f"{ACTIONS}: retry_waiting"],
    ),
    "a retry that is due at this moment starts": ([], [retry(REFRESH, 0)], [f"{REFRESH}*"], []),
    "a retry that is not due and keeps nothing waiting is no part of the plan": ([], [retry(REFRESH, 3)], [], []),
    "a slot of the job itself takes the place of its retry": (
        [slots(REFRESH, -1)],
        [retry(REFRESH, 3)],
        [REFRESH],
        [],
    ),
    "a slot of the job itself that is too late does not": (
        [slots(REFRESH, -1, late=True)],
        [retry(REFRESH, 3)],
        [],
        [f"{REFRESH}*: not_due", f"{REFRESH} late: retry_waiting"],
    ),
    "of two retries the one that is due first goes first, and the other keeps the slots waiting": (
        [slots(MAILS, -60)],
        [retry(REFRESH, 3), retry(ACTIONS, -2)],
        [f"{ACTIONS}*"],
        [f"{REFRESH}*: not_due", f"{MAILS}: retry_waiting"],
    ),
    "of two retries behind which nothing waits, the one that is due starts": (
        [],
        [retry(REFRESH, 3), retry(ACTIONS, -2)],
        [f"{ACTIONS}*"],
        [],
    ),
    "late in a long chain the slots of other jobs go first": (
        [slots(MAILS, -1)],
        [retry(REFRESH, -2, attempt=5)],
        [MAILS, f"{REFRESH}**"],
        [],
    ),
    "late in a long chain a retry that is not due keeps nothing waiting": (
        [slots(MAILS, -1)],
        [retry(REFRESH, 2, attempt=5)],
        [MAILS],
        [],
    ),
    "late in a long chain a retry starts when nothing else is due": (
        [],
        [retry(REFRESH, -2, attempt=5)],
        [f"{REFRESH}*"],
        [],
    ),
    "late in a long chain a retry waits for that of another job": (
        [],
        [retry(REFRESH, -2, attempt=5), retry(ACTIONS, 2)],
        [],
        [f"{ACTIONS}*: not_due", f"{REFRESH}*: retry_waiting"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_plan(case: str) -> None:
    due, retries, starts, waits = CASES[case]
    found = plan(due, retries, FREE, NOW, precedence_attempts=PRECEDENCE)
    assert named(found) == (starts, waits)


@pytest.mark.parametrize(
    ("lane", "why"),
    [
        (LaneState(open=False, first_run=True, on_hold=True, busy=True), "closed"),
        (LaneState(first_run=True, on_hold=True, busy=True), "first_run"),
        (LaneState(on_hold=True, busy=True), "hold"),
        (LaneState(busy=True), "busy"),
    ],
)
def test_a_lane_that_lets_nothing_start_is_why_everything_waits(lane: LaneState, why: str) -> None:
    due, retries = [slots(MAILS, -60), slots(ACTIONS, -90)], [retry(REFRESH, 3)]
    found = plan(due, retries, lane, NOW, precedence_attempts=PRECEDENCE)
    assert named(found) == ([], [f"{REFRESH}*: {why}", f"{ACTIONS}: {why}", f"{MAILS}: {why}"])


def test_people_see_what_will_start_without_what_is_only_recorded_or_given_up() -> None:
    due = [slots(REFRESH, -90, late=True), slots(MAILS, -60)]
    retries = [retry(ACTIONS, -2, attempt=5)]
    for lane in (FREE, LaneState(busy=True)):
        found = plan(due, retries, lane, NOW, precedence_attempts=PRECEDENCE)
        assert [each.job_type for each in found.queue()] == [MAILS]


def test_the_order_does_not_depend_on_the_order_of_what_is_given() -> None:
    due = [slots(REFRESH, -90), slots(MAILS, -60)]
    retries = [retry(ACTIONS, -2)]
    assert plan(due, retries, FREE, NOW, precedence_attempts=PRECEDENCE) == plan(
        due[::-1], retries[::-1], FREE, NOW, precedence_attempts=PRECEDENCE
    )


def test_other_jobs_wait_while_at_most_three_attempts_have_failed() -> None:
    assert [precedes(attempt, 3) for attempt in (2, 3, 4, 5)] == [True, True, True, False]
