"""The model's own test: planted bugs of many kinds, each found within a few histories."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import Database, UtcDateTime
from addon.engine import JobExecution
from addon.engine.errors import Fenced
from addon.engine.lease import lease, reaper
from addon.engine.models import ExecutionSpace, JobSchedule, Lane, ScheduleFire
from addon.engine.schedule import scheduler, schedules, slots, starts, wrong_clock
from addon.engine.schedule.cron import next_fire
from addon.engine.state import table, transitions
from addon.engine.worker import runner, settling, spaces
from tests.engine.model import explore

HISTORIES, STEPS = 600, 12
"""Many short histories find a bug sooner than few long ones. No bug needs all of them, those in CI few."""
Plant = Callable[[pytest.MonkeyPatch], None]


def swap(patch: pytest.MonkeyPatch, old: Any, new: Any) -> None:
    """Put `new` wherever a part of the engine, or the model on its behalf, calls `old`."""
    for module in [module for name, module in sys.modules.items() if name.startswith("addon.engine")]:
        for name, value in list(vars(module).items()):
            if value is old:
                patch.setattr(module, name, new)


def fence_ignored(patch: pytest.MonkeyPatch) -> None:
    def fenced(session: Any, held: Any) -> Any:
        return session.scalars(sa.select(JobExecution).where(JobExecution.id == held.execution_id)).one()

    swap(patch, lease.fenced, fenced)


def owner_compared_but_not_the_fence(patch: pytest.MonkeyPatch) -> None:
    def fenced(session: Any, held: Any) -> Any:
        row = session.scalars(sa.select(JobExecution).where(JobExecution.id == held.execution_id)).one()
        if row.owner != held.owner:
            raise Fenced("another owner")
        return row

    swap(patch, lease.fenced, fenced)


def changed(name: str, **how: Any) -> Plant:
    """Plant a row of the transition table that allows too much."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(table.BY_NAME, name, replace(table.BY_NAME[name], **how))

    return plant


def without_effect(name: str, column: str) -> Plant:
    """Plant a transition that leaves one column as it was."""
    effects = transitions._effects

    def forgetful(transition: Any, at: Any) -> Any:
        change = effects(transition, at)
        if transition.name == name:
            del change[column]
        return change

    return lambda patch: swap(patch, effects, forgetful)


def does_nothing(module: str, name: str, result: Any = None) -> Plant:
    """Plant a call that one module makes in vain."""
    return lambda patch: patch.setattr(f"addon.engine.{module}.{name}", lambda *_, **__: result)


def missed_slots_forgotten(patch: pytest.MonkeyPatch) -> None:
    records = slots.slot_records
    swap(patch, records, lambda due, *rest: records(replace(due, older=0), *rest))


def oldest_missed_slot_forgotten(patch: pytest.MonkeyPatch) -> None:
    records = slots.slot_records
    swap(patch, records, lambda due, *rest: records(replace(due, older=max(due.older - 1, 0)), *rest))


def slots_beyond_the_recorded_ones_forgotten(patch: pytest.MonkeyPatch) -> None:
    latest = slots._latest

    def without(*asked: Any) -> Any:
        return (replace(each, earlier=0, since=None) for each in latest(*asked))

    swap(patch, latest, without)


def slots_joined_and_skipped_in_one_record(patch: pytest.MonkeyPatch) -> None:
    swap(patch, slots._entries, lambda due, now, most: listed_as_one(due, now))


def listed_as_one(due: Any, now: Any) -> Any:
    yield slots._Entry(due.newest, now)
    if due.older:
        yield from slots._latest(due, due.newest, due.oldest, due.older, 1)


def removed_with_its_record(patch: pytest.MonkeyPatch) -> None:
    replace_schedules = schedules.replace_schedules

    def tidy(context: Any, session: Any, tenant: Any, specs: Any) -> None:
        replace_schedules(context, session, tenant, specs)
        for gone in session.scalars(sa.select(JobSchedule.id).where(JobSchedule.removed_at.is_not(None))).all():
            session.execute(sa.delete(ScheduleFire).where(ScheduleFire.schedule_id == gone))
            session.execute(sa.delete(JobSchedule).where(JobSchedule.id == gone))

    swap(patch, replace_schedules, tidy)


def slots_move_on_while_held(patch: pytest.MonkeyPatch) -> None:
    start = scheduler.schedule_tick

    def moving(context: Any) -> int:
        now = context.clock.now()
        with context.db.write_all() as session:
            held = sa.select(Lane.tenant_id).where(Lane.hold)
            for row in session.scalars(sa.select(JobSchedule).where(JobSchedule.tenant_id.in_(held))).all():
                if row.next_fire_at is not None and row.next_fire_at <= now:
                    row.next_fire_at = next_fire(row.cron, row.time_zone, now)
        return start(context)

    swap(patch, start, moving)


def end_told_twice(patch: pytest.MonkeyPatch) -> None:
    record = transitions.record

    def twice(session: Any, tenant: Any, execution: Any, seq: int, event: str, *rest: Any) -> None:
        record(session, tenant, execution, seq, event, *rest)
        if event == "job:execution:failed":
            record(session, tenant, execution, seq + 1, event, *rest)

    swap(patch, record, twice)


def finished_space_redone(patch: pytest.MonkeyPatch) -> None:
    def end_space(
        session: Any, execution: str, space: str, state: str, *, at: Any, metrics: Any = None, **_: Any
    ) -> int:
        row = session.get_one(ExecutionSpace, (execution, space))
        row.state, row.ended_at, row.metrics = state, at, dict(metrics or {})
        return 1

    swap(patch, spaces.end_space, end_space)


def finalizing_never_reaped(patch: pytest.MonkeyPatch) -> None:
    find = reaper._find
    swap(patch, find, lambda context, condition: find(context, sa.and_(condition, JobExecution.status != "finalizing")))


def pause_forgets_until_when(patch: pytest.MonkeyPatch) -> None:
    pause = lease.pause
    swap(
        patch,
        pause,
        lambda context, held, until, *rest, **more: pause(context, held, context.clock.now(), *rest, **more),
    )


def everybody_is_asked(patch: pytest.MonkeyPatch) -> None:
    """The tick does not choose tenants: what it asks each of them is all that keeps them from starting."""

    def all_of_them(context: Any, now: Any) -> Any:
        return wrong_clock.tick_query(scheduler._DUE, Lane.tenant_id, at=sa.literal(now, UtcDateTime()))

    patch.setattr(scheduler, "_tenants_with_due", all_of_them)


def hold_not_asked(patch: pytest.MonkeyPatch) -> None:
    everybody_is_asked(patch)
    patch.setattr(starts, "on_hold", lambda lane, now: False)


def retry_comes_early(patch: pytest.MonkeyPatch) -> None:
    everybody_is_asked(patch)
    retries = starts.pending_retries

    def hasty(session: Any, tenant: Any) -> Any:
        found = retries(session, tenant)
        for row in found:
            row.due_at -= timedelta(minutes=4)
        return found

    swap(patch, retries, hasty)


def reaper_takes_what_nobody_holds(patch: pytest.MonkeyPatch) -> None:
    conditions = transitions._conditions
    patch.setattr(reaper, "TO_SETTLE", "somebody else")

    def blind(guard: Any, at: Any, held: Any, dead: Any) -> Any:
        found = conditions(guard, at, held, dead)
        return found if dead is None else [found[0], *found[2:]]

    swap(patch, conditions, blind)


def settled_is_worked_on(patch: pytest.MonkeyPatch) -> None:
    go = runner.ExecutionRunner.drive

    def working(drive: Any) -> None:
        drive.row.status = "running"
        go(drive)

    patch.setattr(runner.ExecutionRunner, "drive", working)


def last_space_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A run that has worked on all spaces compiles its result; as it was before the model found it."""

    def finalize_only(drive: Any) -> bool:
        if drive.row.error is None:
            return bool(drive._to_finalizing())
        return bool(conclude(drive))

    conclude = runner.ExecutionRunner._conclude
    patch.setattr(runner.ExecutionRunner, "_conclude", finalize_only)


def claim_comes_early(patch: pytest.MonkeyPatch) -> None:
    free = sa.or_(JobExecution.owner.is_(None), JobExecution.owner == table.TO_SETTLE)
    swap(patch, transitions.claimable, lambda at: free)


ALWAYS: dict[str, Plant] = {
    "finalize while cancelling": changed("finalize", sources=("running", "cancelling")),
    "the reaper leaves the fence": without_effect("expire_lease", "fence"),
    "the reaper counts no losses": without_effect("expire_lease", "lease_losses"),
    "a cancel is only acknowledged": does_nothing("state.cancel", "move", True),
    "an end is told twice": end_told_twice,
    "a withdrawn slot is not recorded": does_nothing("schedule.slots", "Withdrawals.withdraw"),
    "a failed run gets no retry": does_nothing("state.finish", "_note_retry"),
}
MORE: dict[str, Plant] = {
    "a lost lease counts against the whole group": lambda patch: patch.setattr(
        reaper._Reaping, "_alone", lambda taking: True
    ),
    "nobody is ever to blame": lambda patch: patch.setattr(reaper._Reaping, "_alone", lambda taking: False),
    "the last space takes its secret along": last_space_is_forgotten,
    "pause while cancelling": changed("pause", sources=("running", "cancelling"), target="running"),
    "what is given up is not written down": does_nothing("worker.settling", "settler"),
    "a removed rule takes its record along": removed_with_its_record,
    "the fence is ignored": fence_ignored,
    "missed slots are forgotten": missed_slots_forgotten,
    "a worker is its own zombie": owner_compared_but_not_the_fence,
    "the oldest missed slot is forgotten": oldest_missed_slot_forgotten,
    "slots beyond the recorded ones are forgotten": slots_beyond_the_recorded_ones_forgotten,
    "slots that were joined and slots that were skipped share a record": slots_joined_and_skipped_in_one_record,
    "slots move on while held": slots_move_on_while_held,
    "a hand-over leaves the fence": without_effect("hand_over", "fence"),
    "a retry outlives a manual start": does_nothing("state.start", "end_chains", []),
    "a retry outlives the installation": does_nothing("state.cancel", "end_chains", []),
    "a finished space is redone": finished_space_redone,
    "finalizing is never reaped": finalizing_never_reaped,
    "a pause forgets until when": pause_forgets_until_when,
    "a hold is not asked": hold_not_asked,
    "a retry comes early": retry_comes_early,
    "a cancel does not ask what was submitted": does_nothing("state.cancel", "unsettled", False),
    "what waits to be settled keeps its fence": without_effect("defer_settlement", "fence"),
    "who is lost while it settles is not counted": without_effect("expire_cancelling", "lease_losses"),
    "no patience with a run that is only settled": lambda patch: patch.setattr(reaper, "_MORE_LOSSES", 0),
    "the reaper takes what nobody holds": reaper_takes_what_nobody_holds,
    "what is only to be settled is worked on": settled_is_worked_on,
    "the reaper does not ask what was submitted": does_nothing("lease.reaper", "unsettled", False),
    "a silent site is asked once": lambda patch: patch.setattr(settling, "MAX_TRIES", 0),
    "a silent site is asked for ever": lambda patch: patch.setattr(settling, "MAX_TRIES", 10**6),
    "a worker may hang for ever while it settles": lambda patch: patch.setattr(reaper, "MAX_TRIES", 10**6),
    "what is to be settled is claimed early": claim_comes_early,
}
"""Found by the same means; left to `make soak-model`."""
BUGS = ALWAYS | MORE
NAMES = [*ALWAYS, *(pytest.param(name, marks=pytest.mark.long) for name in MORE)]


@pytest.fixture
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_quiet")
@pytest.mark.parametrize("bug", NAMES)
def test_the_model_finds(bug: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of this test means that nothing was found: the model has lost a tooth."""
    BUGS[bug](monkeypatch)
    with pytest.raises(Exception) as found:
        explore(database, HISTORIES, STEPS, shrink=False)
    assert not isinstance(found.value, AttributeError | NameError | TypeError), "the bug itself is broken"


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_quiet")
@pytest.mark.long
def test_without_a_bug_the_same_histories_break_nothing(database: Database) -> None:
    explore(database, HISTORIES, STEPS, shrink=False)
