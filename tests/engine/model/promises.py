"""The engine's promises, compared after each step: the last look, this look, and what must not be forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from addon.engine import ACTIVE, TERMINAL
from tests.engine.model.pictures import Picture
from tests.engine.model.settled import check_settled
from tests.engine.model.slots import plain_slots

ENDS = {f"job:execution:{event}" for event in ("successful", "failed", "cancelled", "interrupted")}
ENDED = ("done", "failed", "skipped", "cancelled")
RETRY_AFTER = timedelta(minutes=5)
MAX_ATTEMPTS = 3
LATEST = timedelta(hours=24)
PERIODS = {"refresh-statuses": timedelta(hours=6), "execute-automations": timedelta(hours=24)}


RECORDED = 12
"""So many slots of a tenant are recorded one by one at a time."""
SOON = timedelta(minutes=5)
IN_THE_WAY = ("busy", "retry_waiting", "hold", "first_run", "closed", "unknown")


@dataclass
class Era:
    """A schedule had these times since then, and perhaps until they were taken from it, and why."""

    cron: str
    zone: str
    since: datetime
    until: datetime | None = None
    why: str | None = None


@dataclass
class Memory:
    """What was promised in earlier steps."""

    born: datetime
    cancels: set[str] = field(default_factory=set)
    """Executions whose cancel was acknowledged."""
    eras: dict[str, list[Era]] = field(default_factory=dict)
    """By schedule: the times it had, the first ones first."""
    submitted: dict[str, set[str]] = field(default_factory=dict)
    """By execution: the spaces of which something was submitted."""
    gone: set[str] = field(default_factory=set)
    """Executions whose installation is over: no one can read back for them."""
    refused: set[str] = field(default_factory=set)
    """Executions for which the site refused permanently to say what became of something."""


def check(memory: Memory, before: Picture, now: Picture) -> None:
    """Raise AssertionError when a promise was broken between two looks."""
    active = [row.tenant_id for row in now.all_active()]
    assert len(active) == len(set(active)), "one active execution per tenant"
    assert set(before.executions) <= set(now.executions), "no execution disappears"
    for row in now.executions.values():
        was = before.executions.get(row.id)
        if was is not None:
            _rows(was, row)
            if row.losses < was.losses:
                assert _ended(now, row.id) > _ended(before, row.id), "losses count until a space has ended"
        else:
            _new(now, row)
        _spaces(before, now, row)
        _events(before.events.get(row.id, []), now.events[row.id], row)
        check_settled(memory, before, now, row)
        if row.status == "failed" and (was is None or was.status in ACTIVE):
            _retry_is_noted(now, row)
    for execution in memory.cancels:
        assert now.executions[execution].status in ("cancelling", "cancelled"), "no cancel is lost"
    _retries(now)
    for schedule, fires in before.fires.items():
        assert set(fires) <= set(now.fires.get(schedule, ())), "what is recorded of a slot stays"
    if (before.fires, before.schedules) != (now.fires, now.schedules):
        _fires(memory, now)


def _rows(was: Any, row: Any) -> None:
    if was.status in TERMINAL:
        assert row == was, "what has ended never changes"
    assert row.fence >= was.fence, "the fence never falls"
    if row.owner != was.owner and row.status in ACTIVE:
        assert row.fence > was.fence, "each claim and each release raises the fence"
    assert row.seq >= was.seq
    assert row.percent >= was.percent
    if row.status in ("cancelling", "finalizing"):
        allowed = {"cancelling": ("running", "cancelling"), "finalizing": ("running", "finalizing")}
        assert was.status in allowed[row.status], "there is no way back"


def _new(now: Picture, row: Any) -> None:
    assert now.lanes[row.tenant_id].open, "nothing starts on a closed lane"
    if row.trigger == "scheduled":
        fires = [fire for each in now.fires.values() for fire in each if fire.execution_id == row.id]
        started = {now.schedules[fire.schedule_id] for fire in fires if fire.outcome == "started"}
        assert started, "every scheduled execution is that of a slot"
        assert {each.job_type for each in started} == {row.job_type}
        assert sorted(row.params.get("rules", [])) == sorted(each.rule_id for each in started if each.rule_id)
    if row.trigger == "retry":
        failed = now.executions[row.retry_of]
        assert (failed.status, failed.attempt + 1) == ("failed", row.attempt)
        assert row.started_at >= failed.ended_at + RETRY_AFTER
        if failed.listed:
            left = [space.space_id for space in now.spaces.get(failed.id, []) if space.state != "done"]
            assert row.params["spaces"] == left, "a retry is over exactly what was not done"
        again = [each for each in now.executions.values() if each.trigger == "retry" and each.retry_of == failed.id]
        assert len(again) == 1, "each failure is retried once"


def _ended(picture: Picture, execution: str) -> int:
    return len(picture.spaces.get(execution, [])) - len(picture.open_spaces(execution))


def _spaces(before: Picture, now: Picture, row: Any) -> None:
    spaces = now.spaces.get(row.id, [])
    earlier = {space.space_id: space for space in before.spaces.get(row.id, [])}
    if earlier:
        assert [space.space_id for space in spaces] == list(earlier), "the list is fixed"
    for space in spaces:
        was = earlier.get(space.space_id)
        if was is not None and was.state in ENDED:
            assert _end_of(space) == _end_of(was), "a finished space is never redone"
        if row.owner is None:
            assert space.state != "running", "nobody is at work"
    assert row.listed == bool(spaces)
    if row.status in TERMINAL:
        states = [space.state for space in spaces]
        assert set(states) <= set(ENDED), "nothing is left open"
        assert (row.spaces_done, row.spaces_failed) == (states.count("done"), states.count("failed"))
        assert row.metrics["spacesTotal"] == len(spaces)
        assert (row.status == "successful") <= ("failed" not in states)


def _end_of(space: Any) -> tuple[Any, ...]:
    return space.state, space.reason, space.transient, space.ended_at, space.losses, space.suspect


def _events(earlier: list[Any], events: list[Any], row: Any) -> None:
    assert events[: len(earlier)] == earlier, "history is append-only"
    assert [event.seq for event in events] == list(range(1, row.seq + 1)), "without a gap"
    ends = [event for event in events if event.tag in ENDS]
    assert len(ends) == (row.status in TERMINAL), "exactly one terminal event"
    assert not ends or events[-1] == ends[0]


def _retry_is_noted(now: Picture, row: Any) -> None:
    """A scheduled run that failed for reasons that pass is retried, and nothing else is."""
    failed = [space for space in now.spaces.get(row.id, []) if space.state == "failed"]
    for_good = (row.error is not None and not row.error_transient) or any(not space.transient for space in failed)
    expected = row.trigger != "manual" and row.attempt < MAX_ATTEMPTS and not for_good
    waiting = [retry for retry in now.retries if retry.failed_execution_id == row.id]
    begun = [each for each in now.executions.values() if each.retry_of == row.id]
    assert bool(waiting or begun) == (expected and now.lanes[row.tenant_id].open)


def _retries(now: Picture) -> None:
    chains = [(retry.tenant_id, retry.job_type) for retry in now.retries]
    assert len(chains) == len(set(chains)), "one retry waits per job"
    for retry in now.retries:
        failed = now.executions[retry.failed_execution_id]
        assert (failed.tenant_id, failed.job_type, failed.status) == (retry.tenant_id, retry.job_type, "failed")
        assert failed.trigger != "manual"
        assert retry.attempt == failed.attempt + 1 <= MAX_ATTEMPTS
        assert retry.due_at == failed.ended_at + RETRY_AFTER
        for other in now.executions.values():
            if (other.tenant_id, other.job_type) == (retry.tenant_id, retry.job_type):
                assert other.id <= failed.id, "a later run of the job has ended the chain"


def _fires(memory: Memory, now: Picture) -> None:
    assert set(now.schedules) == set(memory.eras), "what is known of a schedule stays, and it comes back as it was"
    for schedule in now.schedules.values():
        fires, over = now.fires.get(schedule.id, []), []
        for era in memory.eras[schedule.id]:
            slots = [slot for slot in plain_slots(era.cron, era.zone, memory.born) if slot > era.since]
            if era.until is None:
                assert schedule.next_fire_at in slots
                over += [slot for slot in slots if slot < schedule.next_fire_at]
            else:
                over += [slot for slot in slots if slot <= era.until]
        recorded = [slot for fire in fires for slot in covered(fire, over)]
        assert recorded == over, "each slot that is over is in one record, no other is in one"
        at_once = Counter(fire.at for fire in fires)
        assert max(at_once.values(), default=0) <= RECORDED, "and the records are few, however long nothing ran"
        assert schedule.enabled == (memory.eras[schedule.id][-1].until is None) == (schedule.next_fire_at is not None)
        for fire in fires:
            _outcome(memory, now, fire)


def covered(fire: Any, slots: Iterable[datetime]) -> list[datetime]:
    """Return the slots that a record covers, its own as the last one."""
    first = fire.earlier_since or fire.scheduled_for
    found = [slot for slot in slots if first <= slot < fire.scheduled_for]
    assert len(found) == fire.earlier, "as many as it says"
    assert not found or found[0] == first
    return [*found, fire.scheduled_for]


def _outcome(memory: Memory, now: Picture, fire: Any) -> None:
    first = fire.earlier_since or fire.scheduled_for
    assert (fire.at - first > LATEST) == (fire.at - fire.scheduled_for > LATEST), "all that share a record had one fate"
    late = fire.at - fire.scheduled_for
    assert late >= timedelta(0)
    assert (fire.execution_id is None) == (fire.outcome in ("skipped_late", "withdrawn"))
    assert (late > LATEST) == (fire.outcome == "skipped_late"), "only what is too late is skipped"
    if fire.outcome == "withdrawn":
        ends = [era.why for era in memory.eras[fire.schedule_id] if era.since < first and era.until == fire.at]
        assert ends == [fire.reason], "it was withdrawn by what happened then"
        return
    if fire.outcome != "started":
        assert fire.reason in IN_THE_WAY
        _in_the_way(now, fire)
    if fire.execution_id is not None:
        started = now.executions[fire.execution_id]
        assert (started.trigger, started.started_at) == ("scheduled", fire.at)
        others = [each for each in now.fires[fire.schedule_id] if each.execution_id == fire.execution_id]
        newest = max(each.scheduled_for for each in others)
        assert (fire.outcome == "started") == (fire.scheduled_for == newest), "the newest starts, older ones join it"


def _in_the_way(now: Picture, fire: Any) -> None:
    """An execution that is named as the reason ran then or soon after."""
    assert (fire.blocked_by is not None) == (fire.reason in ("busy", "retry_waiting"))
    if fire.reason == "busy":
        run = now.executions[fire.blocked_by]
        first = fire.earlier_since or fire.scheduled_for
        assert run.started_at <= (fire.at if fire.earlier else fire.scheduled_for + SOON)
        assert run.ended_at is None or run.ended_at > first
