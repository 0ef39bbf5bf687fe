from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, TenantId
from addon.confluence.errors import QuotaExhausted
from addon.confluence.models import QuotaHour
from addon.confluence.quota.hour import SPREAD_SECONDS, spread
from addon.confluence.quota.quota_table import POOL
from addon.confluence.quota.ratelimits import RateLimit
from addon.confluence.quota.reservations import BLOCK, Quota
from tests.support.clock import VirtualClock
from tests.support.postgres import BOTH

ONE = TenantId("0192f000-0000-7000-8000-000000000001")
TWO = TenantId("0192f000-0000-7000-8000-000000000002")


@pytest.fixture
def quota(database: Database, clock: VirtualClock) -> Quota:
    return Quota(database, clock, points=10_000)


def spend(quota: Quota, tenant: TenantId, points: int, *, share: Any = "job") -> None:
    with quota.drawing(tenant, share):
        quota.reserve(tenant, share, points).charge(points)


def test_points_are_taken_in_blocks_from_the_tenant_and_the_pool_alike(quota: Quota) -> None:
    with quota.drawing(ONE, "job"), quota.drawing(TWO, "job"):
        for _call in range(BLOCK):
            spend(quota, ONE, 1)
        assert (quota.reserved(ONE), quota.reserved(POOL)) == (BLOCK, BLOCK)
        spend(quota, ONE, 1)
        spend(quota, TWO, 1)
        assert (quota.reserved(ONE), quota.reserved(TWO), quota.reserved(POOL)) == (2 * BLOCK, BLOCK, 3 * BLOCK)
    assert (quota.reserved(ONE), quota.reserved(TWO), quota.reserved(POOL)) == (BLOCK + 1, 1, BLOCK + 2)


def test_a_price_that_was_too_high_is_corrected_after_the_call(quota: Quota) -> None:
    with quota.drawing(ONE, "job"):
        for _call in range(20):
            quota.reserve(ONE, "job", 1_001).charge(1)
        assert quota.reserved(ONE) == 1_201
    assert (quota.reserved(ONE), quota.reserved(POOL)) == (20, 20)


def test_a_price_that_was_too_low_is_paid_with_the_next_reservation(quota: Quota) -> None:
    with quota.drawing(ONE, "job"):
        quota.reserve(ONE, "job", 1).charge(500)
        quota.reserve(ONE, "job", 1).charge(1)
        assert quota.reserved(ONE) >= 501
    assert quota.reserved(ONE) == 501


def test_who_leaves_takes_nothing_from_who_still_draws_on_the_same_points(quota: Quota) -> None:
    with quota.drawing(ONE, "job"):
        spend(quota, ONE, 10)
        with quota.drawing(ONE, "job"):
            spend(quota, ONE, 10)
        assert quota.reserved(ONE) == BLOCK
        spend(quota, ONE, 10)
        assert quota.reserved(ONE) == BLOCK
    assert (quota.reserved(ONE), quota.reserved(POOL)) == (30, 30)


def test_a_call_that_outlasts_its_client_gives_its_own_rest_back(quota: Quota) -> None:
    with quota.drawing(ONE, "job"):
        late = quota.reserve(ONE, "job", 1_001)
    late.charge(7)
    assert (quota.reserved(ONE), quota.reserved(POOL)) == (7, 7)


def test_a_call_over_the_hours_turn_is_paid_in_the_hour_in_which_it_began(
    quota: Quota, clock: VirtualClock, database: Database
) -> None:
    clock.advance(timedelta(minutes=59))
    with quota.drawing(ONE, "job"):
        late = quota.reserve(ONE, "job", 1_001)
        clock.advance(timedelta(minutes=2))
        spend(quota, ONE, 3)
        late.charge(7)
    with database.read_all() as session:
        hours = session.execute(sa.select(QuotaHour.reserved).where(QuotaHour.scope == ONE).order_by(QuotaHour.hour))
        assert list(hours.scalars()) == [7, 3]


def test_points_are_reserved_only_where_they_will_be_given_back(quota: Quota) -> None:
    with pytest.raises(RuntimeError, match="open client"):
        quota.reserve(ONE, "job", 1)


def test_a_database_that_is_away_when_a_run_leaves_hides_no_outcome_and_the_rest_goes_back_later(
    quota: Quota, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def away() -> None:
        raise sa.exc.OperationalError("UPDATE", {}, Exception("gone"))

    def work() -> None:
        with quota.drawing(ONE, "job"):
            spend(quota, ONE, 5)
            monkeypatch.setattr(database, "write_all", away)
            raise Stopped

    with pytest.raises(Stopped):
        work()
    monkeypatch.undo()
    assert quota.reserved(ONE) == BLOCK
    spend(quota, ONE, 5)
    assert (quota.reserved(ONE), quota.reserved(POOL)) == (10, 10)


def drain(quota: Quota, tenant: TenantId, *, share: Any = "job", points: int = 25) -> int:
    """Spend until nothing more is given; return how much that was."""
    spent = 0
    with quota.drawing(tenant, share):
        while True:
            try:
                spend(quota, tenant, points, share=share)
            except QuotaExhausted:
                return spent
            spent += points


def test_jobs_stop_at_their_share_and_people_have_their_own(quota: Quota, clock: VirtualClock) -> None:
    drain(quota, ONE)
    with pytest.raises(QuotaExhausted) as caught:
        spend(quota, ONE, 25)
    turn = clock.now().replace(minute=0) + timedelta(hours=1)
    assert caught.value.until == turn + timedelta(seconds=spread(ONE))
    assert drain(quota, ONE, share="interactive") >= 850
    with pytest.raises(QuotaExhausted) as caught:
        spend(quota, ONE, 25, share="interactive")
    assert caught.value.until == turn


def test_one_tenant_alone_gets_seven_eighths_of_the_pool_and_leaves_the_rest_to_newcomers(quota: Quota) -> None:
    assert 7_800 <= drain(quota, ONE) <= 7_875
    with pytest.raises(QuotaExhausted, match="kept for other sites"):
        spend(quota, ONE, 100)
    spend(quota, TWO, 300)


def test_when_every_point_is_spent_a_newcomer_is_told_that_the_add_on_has_none(quota: Quota) -> None:
    for number in range(40):
        drain(quota, TenantId(f"0192f000-0000-7000-8000-1000000000{number:02}"), points=250)
    with pytest.raises(QuotaExhausted, match="of the add-on"):
        spend(quota, TWO, 400)


def test_people_of_one_site_leave_points_to_those_of_others(quota: Quota) -> None:
    drain(quota, ONE, share="interactive")
    spend(quota, TWO, 40, share="interactive")


def test_what_a_call_cost_beyond_its_reservation_is_booked_at_the_end(quota: Quota) -> None:
    with quota.drawing(ONE, "job"):
        quota.reserve(ONE, "job", 200).charge(350)
    assert (quota.reserved(ONE), quota.reserved(POOL)) == (350, 350)


def test_a_tenants_own_limit_leaves_the_pool_to_others(database: Database, clock: VirtualClock) -> None:
    quota = Quota(database, clock, points=10_000, tenant_points=1_000)
    for _call in range(9):
        spend(quota, ONE, 100)
    with pytest.raises(QuotaExhausted, match="of this site"):
        spend(quota, ONE, 1)
    spend(quota, TWO, 100)


def test_a_refused_reservation_takes_nothing_from_anybody(quota: Quota) -> None:
    before = drain(quota, ONE, points=1)
    for _attempt in range(3):
        with pytest.raises(QuotaExhausted):
            spend(quota, ONE, 500)
    assert (quota.reserved(ONE), quota.reserved(POOL)) == (before, before)


def test_the_last_points_are_given_even_when_no_whole_block_is_left(database: Database, clock: VirtualClock) -> None:
    quota = Quota(database, clock, points=1_000)
    assert drain(quota, ONE, points=1) == 900 - 112
    assert drain(quota, TWO, points=1) >= 100 // 3
    with pytest.raises(QuotaExhausted):
        spend(quota, TWO, 100)


def test_a_quota_smaller_than_one_page_still_lets_pages_through(database: Database, clock: VirtualClock) -> None:
    quota = Quota(database, clock, points=1_000)
    with quota.drawing(ONE, "job"), quota.drawing(ONE, "interactive"):
        quota.reserve(ONE, "job", 1_001).charge(3)
        quota.reserve(ONE, "interactive", 501).charge(9)


def test_the_hours_turn_gives_a_fresh_quota_and_forgets_what_was_left(quota: Quota, clock: VirtualClock) -> None:
    with quota.drawing(ONE, "job"), quota.drawing(ONE, "interactive"):
        for _call in range(7):
            spend(quota, ONE, 1_000)
        held = quota.reserve(ONE, "interactive", 10)
        clock.advance(timedelta(hours=1))
        spend(quota, ONE, 1_000)
        held.charge(1)
        assert quota.reserved(ONE) == 1_000


def test_old_hours_are_forgotten(quota: Quota, clock: VirtualClock, database: Database) -> None:
    spend(quota, ONE, 1)
    clock.advance(timedelta(days=3))
    spend(quota, ONE, 1)
    with database.read_all() as session:
        assert session.scalar(sa.select(sa.func.count(sa.distinct(QuotaHour.hour)))) == 1


def test_an_old_hour_that_still_closes_the_quota_is_not_forgotten(
    quota: Quota, clock: VirtualClock, database: Database
) -> None:
    quota.apply(ONE, "job", RateLimit("tenant", clock.now() + timedelta(days=4), "used up"))
    clock.advance(timedelta(days=3))
    spend(quota, TWO, 1)
    with pytest.raises(QuotaExhausted, match="used up"):
        spend(quota, ONE, 1)
    clock.advance(timedelta(days=1, minutes=1))
    spend(quota, ONE, 1)


def test_a_closing_reaches_other_processes_within_seconds_and_is_never_shortened(
    quota: Quota, database: Database, clock: VirtualClock
) -> None:
    other = Quota(database, clock, points=10_000)
    spend(other, ONE, 1)
    now = clock.now()
    quota.apply(TWO, "job", RateLimit("pool", now + timedelta(minutes=30), "used up"))
    quota.apply(TWO, "job", RateLimit("pool", now + timedelta(minutes=10), "used up"))
    clock.advance(6)
    with pytest.raises(QuotaExhausted) as caught:
        spend(other, ONE, 1)
    assert caught.value.until == now + timedelta(minutes=30, seconds=spread(ONE))
    with pytest.raises(QuotaExhausted):
        spend(other, ONE, 1, share="interactive")


def test_a_closing_outlasts_the_hour_it_was_said_in(quota: Quota, clock: VirtualClock) -> None:
    clock.advance(timedelta(minutes=55))
    quota.apply(ONE, "job", RateLimit("tenant", clock.now() + timedelta(minutes=20), "used up"))
    clock.advance(timedelta(minutes=10))
    with pytest.raises(QuotaExhausted):
        spend(quota, ONE, 1)
    spend(quota, TWO, 1)
    clock.advance(timedelta(minutes=11))
    spend(quota, ONE, 1)


def test_tenants_resume_spread_over_ten_minutes() -> None:
    offsets = {spread(TenantId(f"tenant-{number}")) for number in range(200)}
    assert min(offsets) >= 0
    assert max(offsets) < SPREAD_SECONDS
    assert len(offsets) > 100


@BOTH
def test_processes_and_threads_together_never_reserve_more_than_the_quota(
    backend: str, database: Database, clock: VirtualClock
) -> None:
    processes = [Quota(database, clock, points=4_000) for _process in range(2)]
    spent: list[int] = []

    def work(quota: Quota, tenant: TenantId) -> None:
        with quota.drawing(tenant, "job"):
            while True:
                try:
                    spend(quota, tenant, 50)
                except QuotaExhausted:
                    return
                spent.append(50)

    threads = [threading.Thread(target=work, args=(quota, tenant)) for quota in processes for tenant in (ONE, TWO)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 2_800 <= sum(spent) <= 3_600
    assert processes[0].reserved(POOL) == processes[0].reserved(ONE) + processes[0].reserved(TWO) == sum(spent)
