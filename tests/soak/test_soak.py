"""Many processes, hung ones, killed ones, stopped ones: never two active executions of a site, nothing lost or twice.

The short profile runs with every `pytest`, the long one by `make soak`; both print their figures (-s shows them).
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from addon.base import SystemClock
from addon.engine import TERMINAL
from tests.soak.conftest import Arena
from tests.soak.crew import SPACES, hammer
from tests.support.servers import eventually

CLOCK = SystemClock()
PROCESSES = 8
POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
RACES = pytest.mark.parametrize(
    ("arena", "seconds"), [(1.0, 3.0), pytest.param(1.0, 60.0, marks=pytest.mark.long)], indirect=["arena"]
)


def tell(capsys: pytest.CaptureFixture[str], title: str, figures: Mapping[str, object]) -> None:
    with capsys.disabled():
        os.write(1, f"\n{title}: {json.dumps(figures, default=str)}\n".encode())


def slowness() -> float:
    """Return by how much longer things take here than on a machine with nothing else to do."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Stalls:
    """The seconds that this process waited for a machine with no time for it, since the block began."""

    STEP = 0.02

    def __init__(self) -> None:
        self.seconds = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="stalls", daemon=True)

    def __enter__(self) -> Stalls:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _measure(self) -> None:
        before = CLOCK.monotonic()
        while not self._end.wait(self.STEP):
            now = CLOCK.monotonic()
            self.seconds += max(0.0, now - before - 2 * self.STEP)
            before = now


def draining(arena: Arena) -> tuple[float, float]:
    """Wait until no execution is active; return how many seconds it took, and how many of them the machine stalled."""
    began = CLOCK.monotonic()
    with Stalls() as stalls:
        eventually(lambda: not arena.active())
        return CLOCK.monotonic() - began, stalls.seconds


def sample(arena: Arena, ended: Callable[[], bool]) -> tuple[int, int]:
    """Look until `ended`; return how many moments were looked at, and how many showed a site with two active."""
    looks = doubles = 0
    waiting = threading.Event()
    while not ended():
        looks += 1
        doubles += any(number > 1 for number in Counter(arena.active()).values())
        waiting.wait(0.01)
    return looks, doubles


def settle(arena: Arena) -> None:
    """Let one more process end whatever the race has left."""
    arena.job.call_length = 0

    def drained() -> bool:
        arena.engine.reaper_tick()
        arena.engine.run_due()
        return not arena.active()

    eventually(drained, every=0.1)


@POSTGRESQL
@RACES
@pytest.mark.timeout(180)
def test_eight_processes_race_for_four_sites(
    arena: Arena, seconds: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{number}.json" for number in range(PROCESSES)]
    for number, file in enumerate(files):
        arena.send("hammer", seconds, number, file)
    deadline = CLOCK.monotonic() + seconds + 40
    looks, doubles = sample(arena, lambda: all(map(Path.exists, files)) or CLOCK.monotonic() > deadline)
    totals: Counter[str] = Counter()
    for file in files:
        totals.update(eventually(lambda file=file: json.loads(file.read_text() or "null")))  # type: ignore[misc]
    settle(arena)
    effects = arena.check_effects()
    figures = {
        "seconds": seconds,
        "looks": looks,
        "double active": doubles,
        "effects": effects,
        **totals,
    }
    tell(capsys, "race, 8 processes, PostgreSQL", figures)
    assert doubles == 0
    assert totals["runs"] > 0
    assert set(arena.statuses()) <= set(TERMINAL)


@SQLITE
@RACES
@pytest.mark.timeout(180)
def test_eight_threads_race_for_four_sites(arena: Arena, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    totals: Counter[str] = Counter()
    with ThreadPoolExecutor(PROCESSES) as pool:
        racing = [pool.submit(hammer, arena.db, arena.ttl, seconds, number) for number in range(PROCESSES)]
        looks, doubles = sample(arena, lambda: all(one.done() for one in racing))
    for one in racing:
        totals.update(one.result())
    settle(arena)
    effects = arena.check_effects()
    figures = {
        "seconds": seconds,
        "looks": looks,
        "double active": doubles,
        "effects": effects,
        **totals,
    }
    tell(capsys, "race, 8 threads, SQLite", figures)
    assert doubles == 0
    assert totals["runs"] > 0
    assert set(arena.statuses()) <= set(TERMINAL)


@POSTGRESQL
@pytest.mark.parametrize(
    ("arena", "kills"), [(1.0, 5), pytest.param(1.0, 40, marks=pytest.mark.long)], indirect=["arena"]
)
@pytest.mark.timeout(180)
def test_workers_are_killed_again_and_again(arena: Arena, kills: int, capsys: pytest.CaptureFixture[str]) -> None:
    chance, waiting = random.Random(kills), threading.Event()
    workers = [arena.send("work", 0.03) for _ in range(3)]
    done = 0
    while done < kills:
        for tenant in arena.tenants:
            arena.start(tenant)
        waiting.wait(0.5)
        if arena.count("soak_effect") == 0:
            continue
        pid = workers.pop(chance.randrange(len(workers)))
        os.kill(pid, signal.SIGKILL)
        workers.append(arena.send("work", 0.03))
        done += 1
    drained, stalled = draining(arena)
    effects = arena.check_effects()
    statuses = arena.statuses()
    figures = {
        "kills": done,
        "lease": arena.ttl,
        "drained": round(drained, 2),
        "of them the machine stalled": round(stalled, 2),
        "effects": effects,
        **statuses,
    }
    tell(capsys, "kill -9, 3 workers, PostgreSQL", figures)
    assert set(statuses) <= set(TERMINAL)
    assert statuses.get("successful", 0) > 0
    assert drained <= (2 * arena.ttl + 1) * slowness() + stalled


@SQLITE
@pytest.mark.parametrize(
    ("arena", "kills"), [(1.0, 4), pytest.param(1.0, 40, marks=pytest.mark.long)], indirect=["arena"]
)
@pytest.mark.timeout(300)
def test_the_one_process_on_sqlite_is_killed_again_and_again(
    arena: Arena, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, waiting = random.Random(kills), threading.Event()
    longest = 0.0
    for _ in range(kills):
        worker = arena.send("work", 0.03)
        began, before = CLOCK.monotonic(), arena.count("soak_effect")
        for tenant in arena.tenants:
            arena.start(tenant)
        # Its start proves all owners dead: nobody waits for a lease.
        eventually(lambda before=before: arena.count("soak_effect") > before)  # type: ignore[misc]
        longest = max(longest, CLOCK.monotonic() - began)
        waiting.wait(chance.uniform(0, 0.4))
        os.kill(worker, signal.SIGKILL)
    arena.send("work", 0.03)
    drained, stalled = draining(arena)
    effects = arena.check_effects()
    statuses = arena.statuses()
    figures = {
        "kills": kills,
        "lease": arena.ttl,
        "longest until work resumed": round(longest, 2),
        "drained": round(drained, 2),
        "of them the machine stalled": round(stalled, 2),
        "effects": effects,
        **statuses,
    }
    tell(capsys, "kill -9, the one process, SQLite", figures)
    assert set(statuses) <= set(TERMINAL)
    assert statuses.get("successful", 0) > 0
    assert drained <= (2 * arena.ttl + 1) * slowness() + stalled


@POSTGRESQL
@pytest.mark.parametrize(
    ("arena", "rounds"), [(3.0, 1), pytest.param(3.0, 10, marks=pytest.mark.long)], indirect=["arena"]
)
@pytest.mark.timeout(180)
def test_a_stopped_process_that_comes_back_writes_nothing(
    arena: Arena, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = sa.text("SELECT fence, count(*) FROM soak_call WHERE execution_id = :id GROUP BY fence")

    def calls_by_fence(execution_id: str) -> dict[int, int]:
        with arena.db.read_all() as session:
            return {row[0]: row[1] for row in session.execute(calls, {"id": execution_id})}

    def stopped_in_a_call(pid: int, execution_id: str) -> int | None:
        """Stop the process; return its fence, or None when it did not own the run at that moment and continues."""
        os.kill(pid, signal.SIGSTOP)
        row = arena.row(execution_id)
        if row.owner is not None and calls_by_fence(execution_id).get(row.fence):
            return row.fence
        os.kill(pid, signal.SIGCONT)
        return None

    def taken_over(execution_id: str, fence: int) -> bool:
        return arena.row(execution_id).fence > fence + 1

    def ended(execution_id: str) -> bool:
        return arena.row(execution_id).status in TERMINAL

    late_calls = 0
    for _ in range(rounds):
        # It comes back between two of many calls, which it would continue with.
        first = arena.send("work", arena.ttl / 10, 10_000)
        execution = arena.start(arena.tenants[0])
        assert execution is not None
        fence = eventually(partial(stopped_in_a_call, first, execution))
        second = arena.send("work", 0.05)
        eventually(partial(taken_over, execution, fence))
        # What it had sent before it was stopped has arrived by now.
        before = calls_by_fence(execution)[fence]
        os.kill(first, signal.SIGCONT)
        eventually(partial(ended, execution))
        row = arena.row(execution)
        # Its call was over long before it came back: had it anything left to do, it would have gone on by then.
        threading.Event().wait(0.5)
        late_calls += calls_by_fence(execution)[fence] - before
        assert (row.status, arena.row(execution).seq, row.spaces_done) == ("successful", row.seq, SPACES)
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
    effects = arena.check_effects()
    tell(capsys, "SIGSTOP zombie", {"rounds": rounds, "effects": effects, "late calls": late_calls, "late writes": 0})
    assert late_calls == 0
