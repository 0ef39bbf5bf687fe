"""Workers that can be killed by the dozen: `python -m tests.soak.crew`, one process that forks them.

It says "ready", reads commands, a line each, from its input ("work URL TTL CALL-SECONDS [CALLS-OF-A-SPACE]", "listen"
with the same words for a worker that procrastinate wakes, "hammer URL TTL SECONDS SEED FILE", "tick URL TTL PACE SEED
FOLDER") and answers with the child's pid. A child is forked before any thread or connection exists; the dead are never
waited for, so that their pids are nobody else's.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
import sqlalchemy.orm

import addon.migrations.tables  # noqa: F401  (registers every table)
from addon.base import Database, SystemClock, TenantId
from addon.engine import Busy, Engine, EngineSettings, Metronome, NotCancellable, Run, RunSpace, StartRequest, queries
from addon.engine.errors import Fenced
from addon.engine.models import Lane
from addon.engine.wake.procrastinate import ProcrastinateDispatcher, WakeWorker
from addon.engine.worker.run import ActiveRun
from addon.engine.worker.runner import run_next
from tests.soak.clockwork import EFFECT, Pace, keep_time
from tests.support.fakejob import FakeJob, spaces

SPACES = 6
CALL = sa.text("INSERT INTO soak_call (execution_id, fence, space) VALUES (:run, :fence, :space)")


class SoakJob(FakeJob):
    """Each space is outside calls, mostly one, and one fenced write that leaves an effect beside the outcome."""

    def __init__(self, db: Database, *, call_seconds: float, calls: int = 1, stall: float = 0.0, seed: int = 0) -> None:
        """`stall` is the share of spaces whose write comes only long after the lease, as of a process that hung."""
        super().__init__(listing=lambda run: spaces(*(f"S{number}" for number in range(SPACES))))
        self.db = db
        self.call_length = call_seconds
        self.calls = calls
        self.stall = stall
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        assert isinstance(run, ActiveRun)
        waiting = threading.Event()
        for space in spaces:
            with run.write() as session:
                run.begin(session, [space])
            what = {"run": run.execution_id, "fence": run.lease.fence, "space": space.key}
            hung = self.random.random() < self.stall
            if hung:
                self.counts["stalls"] += 1
                waiting.wait(run._settings.ttl * 1.6)
            for _ in range(self.calls if not hung else 0):
                run.call_seconds(write=True)
                with self.db.write_all() as session:
                    session.execute(CALL, what)
                waiting.wait(self.call_length)
            try:
                with run.write() as session:
                    session.execute(EFFECT, {**what, "tenant": run.tenant_id})
                    run.done(session, space, {"contentsChecked": 1})
            except Fenced:
                self.counts["fenced"] += 1
                raise
            run.safe_point()


def settings(ttl: float) -> EngineSettings:
    return EngineSettings(ttl=ttl, runners=2, call_threads=1, tick_seconds=0.5)


def hammer(db: Database, ttl: float, seconds: float, seed: int) -> dict[str, int]:
    """Start, cancel, run, hang and reap at random, as one process of many; return what happened how often."""
    chance = random.Random(seed)
    job = SoakJob(db, call_seconds=0.005, stall=0.08, seed=seed)
    clock, counts = SystemClock(), job.counts
    engine = Engine(db, clock, settings(ttl), {job.type: job})
    with db.read_all() as session:
        tenants: list[TenantId] = sorted(session.scalars(sa.select(Lane.tenant_id)))
    run_next(engine._context, engine._heartbeat)
    engine.reaper_tick()
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        tenant, dice = chance.choice(tenants), chance.random()
        try:
            if dice < 0.35:
                with db.write(tenant) as session:
                    engine.start(session, StartRequest(tenant_id=tenant, job_type=job.type, scope="site"))
                counts["started"] += 1
            elif dice < 0.42:
                with db.write(tenant) as session:
                    active = queries.active(session, tenant)
                    if active is not None:
                        engine.cancel(session, tenant_id=tenant, execution_id=active.id, actor_id="u")
                        counts["cancels"] += 1
            elif dice < 0.85:
                counts["runs"] += run_next(engine._context, engine._heartbeat)
            else:
                counts["reaped"] += engine.reaper_tick()
        except Busy:
            counts["busy"] += 1
        except NotCancellable:
            counts["too late to cancel"] += 1
    return dict(counts)


def work(db: Database, ttl: float, call_seconds: float, calls: int = 1, *, listen: bool) -> None:
    """Be a worker process until killed."""
    job = SoakJob(db, call_seconds=call_seconds, calls=calls)
    dispatcher = ProcrastinateDispatcher() if listen else None
    engine = Engine(db, SystemClock(), settings(ttl), {job.type: job}, dispatcher)
    engine.boot()
    if listen:
        WakeWorker(db, SystemClock(), engine.run_one, engine.settings.runners).start()
    Metronome(engine.ticks()).start()
    threading.Event().wait()


def child(words: list[str]) -> None:
    db, ttl = Database(words[1], pool_size=8), float(words[2])
    if words[0] in ("work", "listen"):
        work(db, ttl, float(words[3]), *map(int, words[4:]), listen=words[0] == "listen")
        return
    if words[0] == "tick":
        keep_time(db, ttl, Pace.read(words[3]), int(words[4]), Path(words[5]))
        return
    Path(words[5]).write_text(json.dumps(hammer(db, ttl, float(words[3]), int(words[4]))), encoding="utf-8")
    db.dispose()


def main() -> None:
    sa.orm.configure_mappers()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(line.split())
                status = 0
            finally:
                os._exit(status)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
