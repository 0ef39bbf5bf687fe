"""One person's part of the hour's points for people, and what is kept for Confluence administrators."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from addon.base import Caller, Database, TenantId
from addon.confluence.errors import QuotaExhausted
from addon.confluence.quota import budgets
from addon.confluence.quota.budgets import PERSON_PERCENT, RESERVE_PERCENT, Person, PersonBudgets
from addon.confluence.quota.hour import hour_of
from addon.confluence.quota.reservations import Quota
from tests.support.clock import VirtualClock

ONE = TenantId("0192f000-0000-7000-8000-000000000001")
EVE, BOB, ZOE, ADA = (Caller(ONE, each) for each in ("eve", "bob", "zoe", "ada"))
SHARE = 400
"""Points an hour for people, of the site's 4,000 below."""


@pytest.fixture
def quota(database: Database, clock: VirtualClock) -> Iterator[Quota]:
    yield Quota(database, clock, points=40_000, tenant_points=4_000)
    budgets.serve(None)


def spend(quota: Quota, caller: Caller | None, *, administrator: bool = False, points: int = 2) -> int:
    """Let a person's requests spend until they are refused; return how much that was."""
    budgets.serve(caller)
    if caller is not None:
        budgets.note_administrator(caller, administrator)
    spent = 0
    try:
        while spent < 10 * SHARE:
            with quota.drawing(ONE, "interactive"):
                quota.reserve(ONE, "interactive", points).charge(points)
            spent += points
    except QuotaExhausted:
        pass
    return spent


def test_one_person_spends_a_part_all_plain_people_leave_the_reserve_and_administrators_have_the_rest(
    quota: Quota, clock: VirtualClock
) -> None:
    assert spend(quota, EVE) == SHARE * PERSON_PERCENT // 100
    assert spend(quota, EVE) == 0
    plain = SHARE - SHARE * RESERVE_PERCENT // 100
    assert (spend(quota, BOB), spend(quota, ZOE)) == (plain - SHARE * PERSON_PERCENT // 100, 0)
    assert spend(quota, ADA, administrator=True) == SHARE - plain
    clock.advance(timedelta(hours=1))
    assert spend(quota, EVE) == SHARE * PERSON_PERCENT // 100


def test_what_an_administrator_sets_aside_and_does_not_need_is_not_for_others_to_take_from_the_reserve(
    quota: Quota,
) -> None:
    for person in (EVE, BOB, ZOE):
        spend(quota, person)
    budgets.serve(ADA)
    budgets.note_administrator(ADA, administers=True)
    with quota.drawing(ONE, "interactive"):
        quota.reserve(ONE, "interactive", 50).charge(1)
        assert spend(quota, Caller(ONE, "new")) == 0


def test_a_person_is_told_whose_points_are_used_up_and_until_when(quota: Quota, clock: VirtualClock) -> None:
    spend(quota, EVE)
    budgets.serve(EVE)
    with pytest.raises(QuotaExhausted, match="your own part") as refused, quota.drawing(ONE, "interactive"):
        quota.reserve(ONE, "interactive", 2)
    assert refused.value.until == hour_of(clock.now()) + timedelta(hours=1)


def test_calls_that_cost_less_than_they_might_are_booked_at_what_they_cost(quota: Quota) -> None:
    budgets.serve(EVE)
    for _call in range(60):
        with quota.drawing(ONE, "interactive"):
            quota.reserve(ONE, "interactive", 100).charge(1)
    assert spend(quota, EVE) == SHARE * PERSON_PERCENT // 100 - 60


def test_the_question_whether_somebody_is_an_administrator_may_be_asked_from_the_reserve(quota: Quota) -> None:
    for person in (EVE, BOB, ZOE):
        spend(quota, person)
    budgets.serve(ADA)
    with budgets.from_the_reserve(ADA), quota.drawing(ONE, "interactive"):
        quota.reserve(ONE, "interactive", 3).charge(3)
    with pytest.raises(QuotaExhausted), quota.drawing(ONE, "interactive"):
        quota.reserve(ONE, "interactive", 3)


def test_a_request_ends_what_was_known_of_its_person(quota: Quota) -> None:
    for person in (EVE, BOB, ZOE):
        spend(quota, person)
    budgets.serve(ADA)
    budgets.note_administrator(ADA, administers=True)
    budgets.serve(EVE)
    budgets.note_administrator(ADA, administers=True)
    with pytest.raises(QuotaExhausted), quota.drawing(ONE, "interactive"):
        quota.reserve(ONE, "interactive", 1)


def test_what_no_person_waits_for_and_what_jobs_do_has_no_budget(quota: Quota) -> None:
    assert spend(quota, None) == SHARE
    budgets.serve(EVE)
    with quota.drawing(ONE, "job"):
        quota.reserve(ONE, "job", 300).charge(300)


def test_the_memory_of_what_people_spent_is_bounded(clock: VirtualClock) -> None:
    kept = PersonBudgets(clock, remembered=2)
    hour = hour_of(clock.now())
    for name in ("a", "b", "c"):
        assert kept.take(Person(Caller(ONE, name)), hour, 5, 5)
    assert not kept.take(Person(Caller(ONE, "c")), hour, 1, 5)
    assert kept.take(Person(Caller(ONE, "a")), hour, 1, 5), "who has not called for longest begins again"
