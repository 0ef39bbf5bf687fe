"""One huge tenant and many small ones on the same pool: days of hours on a clock that the test turns."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from addon.base import Database, TenantId
from addon.confluence.errors import QuotaExhausted
from addon.confluence.quota.fairness import NEWCOMERS, Decision, TenantUsage, decide
from addon.confluence.quota.hour import hour_of
from addon.confluence.quota.reservations import Quota
from tests.support.clock import VirtualClock

POINTS = 65_000
JOBS = POINTS * 9 // 10
NOBODY = TenantId("")
HUGE = 500_000


@dataclass
class Wanting:
    """A tenant's run: `points` in all, from `begins` (seconds), `call` points every `seconds`."""

    points: int
    begins: float = 0
    call: int = 100
    seconds: float = 1.0
    id: TenantId = NOBODY
    spent: Counter[int] = field(default_factory=Counter)
    pauses: int = 0
    done: datetime | None = None
    client: ExitStack = field(default_factory=ExitStack)
    """Open while the run works: from its start or resumption to its end or pause, as a job's client is."""

    working: bool = False

    @property
    def left(self) -> int:
        return self.points - sum(self.spent.values())

    def leave(self) -> None:
        self.client.close()
        self.working = False


def simulate(
    database: Database, clock: VirtualClock, runs: list[Wanting], *, processes: int = 3, hours: int = 30
) -> list[Wanting]:
    """Let all run to their end, each paused as the quota says; fail when that takes longer than `hours`."""
    quotas = [Quota(database, clock, points=POINTS) for _process in range(processes)]
    start = clock.now()
    numbers = itertools.count()
    agenda: list[tuple[datetime, int, Wanting]] = []
    for number, run in enumerate(runs):
        run.id = TenantId(f"0192f000-0000-7000-8000-{number:012}")
        heapq.heappush(agenda, (start + timedelta(seconds=run.begins), next(numbers), run))
    while agenda:
        at, _, run = heapq.heappop(agenda)
        assert run.pauses <= 7 * hours, "a run that is to ask again at once"
        clock.set(max(at, clock.now()))
        assert at < start + timedelta(hours=hours), "a run that never ends"
        quota = quotas[int(run.id[-4:]) % processes]
        cost = min(run.call, run.left)
        if not run.working:
            run.client.enter_context(quota.drawing(run.id, "job"))
            run.working = True
        try:
            quota.reserve(run.id, "job", run.call).charge(cost)
        except QuotaExhausted as error:
            run.leave()
            run.pauses += 1
            heapq.heappush(agenda, (max(error.until, clock.now()), next(numbers), run))
            continue
        run.spent[int((hour_of(clock.now()) - hour_of(start)).total_seconds() // 3600)] += cost
        if run.left == 0:
            run.done = clock.now()
            run.leave()
        else:
            heapq.heappush(agenda, (clock.now() + timedelta(seconds=run.seconds), next(numbers), run))
    return runs


def spent_in(runs: list[Wanting], hour: int) -> int:
    return sum(run.spent[hour] for run in runs)


def hours_of(run: Wanting) -> list[int]:
    return sorted(run.spent)


@pytest.mark.parametrize(
    "arrival",
    [
        "all at once",
        "one by one",
        pytest.param("the small ones first", marks=pytest.mark.long),
        pytest.param("the huge one first", marks=pytest.mark.long),
    ],
)
def test_small_tenants_finish_in_their_first_hour_beside_a_huge_one(
    arrival: str, database: Database, clock: VirtualClock
) -> None:
    begins: tuple[float, Callable[[int], float]] = {
        "the small ones first": (600.0, lambda _number: 0.0),
        "all at once": (0.0, lambda _number: 0.0),
        "the huge one first": (0.0, lambda _number: 3_000.0),
        "one by one": (60.0, lambda number: number * 150.0),
    }[arrival]
    huge = Wanting(HUGE, begins=begins[0], call=1_001, seconds=2.0)
    small = [Wanting(300, begins=begins[1](number)) for number in range(20)]
    simulate(database, clock, [huge, *small])
    assert [hours_of(run) for run in small] == [[0]] * 20
    assert sum(run.pauses for run in small) == 0
    full = hours_of(huge)[:-1]
    assert [huge.spent[hour] >= JOBS * 0.7 for hour in full] == [True] * len(full)
    assert all(spent_in([huge, *small], hour) <= JOBS for hour in hours_of(huge))


def test_small_tenants_that_come_again_every_hour_never_wait_for_a_huge_one(
    database: Database, clock: VirtualClock
) -> None:
    huge = Wanting(HUGE // 2, call=1_001, seconds=2.0)
    small = [Wanting(300, begins=3_600 * hour + 900 + 20 * number) for hour in range(4) for number in range(20)]
    simulate(database, clock, [huge, *small])
    assert sum(run.pauses for run in small) == 0
    assert all(huge.spent[hour] >= JOBS * 0.7 for hour in range(4))


def test_huge_tenants_come_to_equal_shares_however_fast_each_of_them_is(
    database: Database, clock: VirtualClock
) -> None:
    fast = Wanting(150_000, call=1_001, seconds=1.0)
    slow = Wanting(100_000, begins=1_200, call=401, seconds=5.0)
    third = Wanting(100_000, begins=5_000, call=1_001, seconds=5.0)
    runs = simulate(database, clock, [fast, slow, third])
    fair = JOBS * (NEWCOMERS - 1) // NEWCOMERS // 3
    for hour in (2, 3):
        assert [run.spent[hour] >= 0.9 * fair for run in runs] == [True] * 3
    assert all(spent_in(runs, hour) <= JOBS for hour in range(30))


def test_a_tenant_that_was_refused_finds_its_share_in_the_next_hour_even_when_it_comes_late(
    database: Database, clock: VirtualClock
) -> None:
    """The last second of the hour's first spread is late enough for a fast neighbour to take everything."""
    huge = Wanting(150_000, call=1_001, seconds=0.05)
    late = [Wanting(15_000, begins=1_000 + number, call=501, seconds=0.5) for number in range(4)]
    simulate(database, clock, [huge, *late])
    assert all(run.pauses for run in late)
    assert all(hours_of(run)[-1] <= 2 for run in late)


def test_a_process_that_died_while_drawing_holds_up_nobody_beyond_the_hour(
    database: Database, clock: VirtualClock
) -> None:
    dead = []
    for number in range(10):
        quota, tenant = Quota(database, clock, points=POINTS), TenantId(f"dead-{number}")
        dead.append(quota.drawing(tenant, "job"))
        dead[-1].__enter__()
        quota.reserve(tenant, "job", 200)
    huge = Wanting(150_000, call=1_001, seconds=1.0)
    simulate(database, clock, [huge])
    assert huge.spent[0] >= JOBS * 0.7
    assert huge.spent[1] >= JOBS * 0.85


demands = st.lists(
    st.builds(
        Wanting,
        points=st.integers(1, 60_000),
        begins=st.floats(0, 7_200),
        call=st.sampled_from([501, 1_001]),
        seconds=st.sampled_from([0.1, 5.0, 20.0]),
    ),
    min_size=1,
    max_size=8,
)


# Without shrinking: one example is a day of many tenants.
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(runs=demands, minute=st.integers(0, 59))
def test_whatever_tenants_want_nothing_is_overdrawn_nobody_starves_and_all_come_to_an_end(
    runs: list[Wanting], minute: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = VirtualClock()
    clock.advance(timedelta(minutes=minute))
    database = _fresh(tmp_path_factory)
    # What the slowest could do undisturbed, and the pool's seven eighths for all that is wanted.
    slowest = max(run.begins + run.seconds * run.points / run.call for run in runs) / 3600
    bound = 3 + 2 * slowest + 2 * sum(run.points for run in runs) / (JOBS * (NEWCOMERS - 1) / NEWCOMERS)
    try:
        simulate(database, clock, runs, hours=round(bound) + 1)
    finally:
        database.dispose()
    for hour in range(round(bound) + 2):
        assert spent_in(runs, hour) <= JOBS
    for run in runs:
        between = range(hours_of(run)[0] + 1, hours_of(run)[-1])
        assert all(run.spent[hour] > 0 for hour in between), f"an hour in which a waiting run got nothing: {runs}"


def _fresh(factory: pytest.TempPathFactory) -> Database:
    import addon.migrations.tables  # noqa: F401  (registers every table)
    from addon.base import metadata

    database = Database(f"sqlite:///{factory.mktemp('quota') / 'quota.sqlite3'}")
    metadata.create_all(database.engine)
    return database


@given(
    points=st.integers(1, 1_001),
    had=st.integers(0, 60_000),
    others=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 60_000)), max_size=8),
    limit=st.integers(100, 60_000),
)
def test_a_grant_leaves_every_known_neighbour_as_much_as_the_asker_gets(
    points: int, had: int, others: list[tuple[int, int]], limit: int
) -> None:
    known = [TenantUsage(drawn, wants) for drawn, wants in others]
    taken = had + sum(each.had for each in known)
    if decide(points, had=had, taken=taken, limit=limit, others=known) is Decision.GRANTED:
        rest = limit - taken - points
        assert rest >= 0
        if had:
            assert rest >= sum(max(0, min(each.wants, had + points) - each.had) for each in known)
