"""The promises about submitted work (docs/rules/executions.md 1.7 and ADR 10), written down once more.

No execution ends, and none compiles its result, while something that was submitted is not read back, unless no one can
ever answer or all patience is spent; and then the log or the last event says that the outcome is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from addon.engine import TERMINAL
from tests.engine.model.pictures import Picture

if TYPE_CHECKING:
    from tests.engine.model.promises import Memory

NOBODY = "to-be-settled"
"""The owner of what is cancelling and waits for a runner."""
TRIES = 12
"""How often the site is asked again before its silence is the answer."""
LOSSES = 5
MORE_LOSSES = 3
"""Leases that may be lost beyond those while a run is only settled."""
_ASIDE = {f"job:execution:{event}" for event in ("paused", "left_to_settle", "lease_lost", "stuck")}


def patience(row: Any, events: list[Any]) -> bool:
    """Return whether it may still be tried to read back, by the losses of `row` and by how often it was put aside.

    Every put-aside counts here, so that this may say no before the tries are spent, never the other way round.
    """
    return bool(row.losses < LOSSES and put_aside(events) < TRIES)


def put_aside(events: list[Any]) -> int:
    return sum(event.tag in _ASIDE for event in events)


def check_settled(memory: Memory, before: Picture, now: Picture, row: Any) -> None:
    """Raise AssertionError when an execution breaks a promise about what it has submitted."""
    unread, items = now.unread(row.id), now.items.get(row.id, [])
    known = [item.content_id for item in items]
    assert len(known) == len(set(known)), "each content has one outcome"
    memory.submitted.setdefault(row.id, set()).update(unread)
    was = before.executions.get(row.id)
    if row.owner == NOBODY:
        assert (row.status, bool(unread)) == ("cancelling", True), "only what is to be read back waits for that"
    if row.status == "finalizing":
        assert not unread, "a result is compiled when everything is known"
    if was is not None and was.owner == NOBODY:
        _only_settled(before, now, row)
    if row.status in TERMINAL and (was is None or was.status not in TERMINAL):
        _ended(memory, now, row)


def _only_settled(before: Picture, now: Picture, row: Any) -> None:
    """A process that takes what is cancelling reads back and does nothing else."""
    found = {space.space_id: space.state for space in now.spaces[row.id]}
    for space in before.open_spaces(row.id):
        assert found[space.space_id] in (space.state, "pending", "cancelled"), "no space is worked on any more"
    submitted = before.unread(row.id)
    more = now.items.get(row.id, [])[len(before.items.get(row.id, [])) :]
    assert {item.space_id for item in more} <= set(submitted), "nothing more is done"
    assert set(now.unread(row.id)) <= set(submitted), "nothing more is submitted"


def _ended(memory: Memory, now: Picture, row: Any) -> None:
    unread, items = now.unread(row.id), now.items.get(row.id, [])
    told = {item.space_id: item.outcome for item in items}
    assert set(told) | set(unread) >= memory.submitted[row.id], "no outcome is forgotten"
    assert row.metrics.get("contentsArchived", 0) == sum(item.outcome == "done" for item in items)
    events = now.events[row.id]
    spent = put_aside(events) >= TRIES
    if "failed" in told.values():
        assert spent or row.id in memory.gone | memory.refused, "unknown only where nobody could say"
    assert bool(events[-1].detail.get("unsettled")) == bool(unread), "the last event says what is not known"
    if not unread or row.id in memory.gone:
        return
    losses = LOSSES if row.status == "cancelled" else LOSSES + MORE_LOSSES
    assert spent or row.losses >= losses, f"{row.status} while something is not read back"
