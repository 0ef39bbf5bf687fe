"""The transition table: every way of an execution from one status to another, as data.

From it come the conditional UPDATEs (transitions.py), their audit events, docs/state_machine.md (statedoc.py), the
failpoints and the tests. A name is for the code and the document; the event is what is stored and never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from addon.engine.models import TERMINAL

MAX_LOSSES = 5
"""Expired leases an execution survives without a space finished in between."""
TO_SETTLE = "to-be-settled"
"""Owner of a cancelling execution that waits for a runner to read back what it has submitted: it must have an owner."""


class Guard(Enum):
    """What must hold of the row for a transition to happen, besides its status."""

    NEW = "No other execution of the tenant is active; the unique index decides."
    CLAIMABLE = f"It has no owner, or it is cancelling and owned by `{TO_SETTLE}`; `not_before` is NULL or past."
    OWNER = "Owner and fence are those of the caller's lease."
    OWNED = "It has an owner."
    OWNERLESS = "It has no owner."
    DEAD = "Its owner's lease expired, its owner is known to be dead, or its owner passed no safe point for too long."
    STUCK = "Its owner passed no safe point for too long."
    DEAD_LOSSES_LEFT = (
        "Its owner's lease expired, or its owner is known to be dead or stuck; it has lost fewer than "
        f"{MAX_LOSSES} leases since a space ended."
    )
    DEAD_LOSSES_SPENT = (
        "Its owner's lease expired, or its owner is known to be dead; it has lost at least "
        f"{MAX_LOSSES} leases since a space ended."
    )


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table.

    Parameters:
        name: how the code calls it.
        sources: the statuses from which it leads; empty for the start.
        target: the status to which it leads; None when the status stays.
        who: who makes it, as the subject of a sentence.
        guard: what must hold of the row.
        effect: what else it does, in sentences.
        event: the last part of its audit event's tag.
        releases: owner and lease become NULL, the fence rises by one.
        to_settle: the owner becomes TO_SETTLE and the fence rises by one, so that the next runner settles it.
        loses_lease: the number of lost leases rises by one.
    """

    name: str
    sources: tuple[str, ...]
    target: str | None
    who: str
    guard: Guard
    effect: str
    event: str
    releases: bool = False
    to_settle: bool = False
    loses_lease: bool = False

    @property
    def terminal(self) -> bool:
        """Return whether the execution ends with it."""
        return self.target in TERMINAL


_RUNNING = ("running",)
_FINALIZING = ("finalizing",)
_CANCELLING = ("cancelling",)
_WORKED_ON = ("running", "finalizing")

TABLE: tuple[Transition, ...] = (
    Transition(
        "start",
        (),
        "running",
        "A person, a schedule or a retry",
        Guard.NEW,
        "The row is inserted without an owner, and a runner is woken.",
        "started",
    ),
    Transition(
        "claim",
        ("running", "finalizing", "cancelling"),
        None,
        "A runner",
        Guard.CLAIMABLE,
        "The runner's process becomes the owner, with a lease of one ttl and a higher fence. An expired lease is never "
        "claimed: the reaper releases it first. What is cancelling is only settled.",
        "claimed",
    ),
    Transition(
        "pause",
        _RUNNING,
        None,
        "The owner",
        Guard.OWNER,
        "It waits until `not_before`, for `pause_reason`, and occupies no thread. Spaces in work become pending again.",
        "paused",
        releases=True,
    ),
    Transition(
        "hand_over",
        _WORKED_ON,
        None,
        "The owner, once all its threads have stopped",
        Guard.OWNER,
        "Spaces in work become pending again, and a runner is woken.",
        "handed_over",
        releases=True,
    ),
    Transition(
        "finalize",
        _RUNNING,
        "finalizing",
        "The owner",
        Guard.OWNER,
        "All spaces have ended. From here on it is too late to cancel. The job finalizes the run as a whole.",
        "finalizing",
    ),
    Transition("succeed", _FINALIZING, "successful", "The owner", Guard.OWNER, "No space failed.", "successful"),
    Transition(
        "fail",
        _FINALIZING,
        "failed",
        "The owner",
        Guard.OWNER,
        "A space failed, or the run as a whole did. A retry waits when it was scheduled and every reason transient.",
        "failed",
    ),
    Transition(
        "request_cancel",
        _RUNNING,
        "cancelling",
        "A person, the app's removal or disabling, or the owner whose tenant is gone",
        Guard.OWNED,
        "Who asked and when is noted. The owner stops at its next safe point.",
        "cancel_requested",
    ),
    Transition(
        "cancel_at_once",
        _RUNNING,
        "cancelled",
        "A person, or the app's removal or disabling",
        Guard.OWNERLESS,
        "Open spaces end cancelled.",
        "cancelled",
    ),
    Transition(
        "cancel_unsettled",
        _RUNNING,
        "cancelling",
        "A person, while something that was submitted is not read back",
        Guard.OWNERLESS,
        "Who asked and when is noted, and a runner is woken.",
        "cancel_requested",
        to_settle=True,
    ),
    Transition(
        "defer_settlement",
        _CANCELLING,
        None,
        "The owner, once all its threads have stopped, while something that was submitted is not read back",
        Guard.OWNER,
        "It waits until `not_before` where the site needs more time, and a runner is woken.",
        "left_to_settle",
        to_settle=True,
    ),
    Transition(
        "cancelled", _CANCELLING, "cancelled", "The owner", Guard.OWNER, "Open spaces end cancelled.", "cancelled"
    ),
    Transition(
        "expire_lease",
        _WORKED_ON,
        None,
        "The reaper",
        Guard.DEAD_LOSSES_LEFT,
        "Spaces in work become pending again and run alone from then on; one that was in work alone in two lost leases "
        "fails. A runner is woken.",
        "lease_lost",
        releases=True,
        loses_lease=True,
    ),
    Transition(
        "expire_unsettled",
        _RUNNING,
        None,
        "The reaper, while something that was submitted is not read back",
        Guard.DEAD_LOSSES_SPENT,
        "Open spaces fail as interrupted. A runner is woken, which only settles it and lets it fail.",
        "lease_lost",
        releases=True,
        loses_lease=True,
    ),
    Transition(
        "expire_cancelling",
        _CANCELLING,
        None,
        "The reaper, while something that was submitted is not read back",
        Guard.DEAD_LOSSES_LEFT,
        "A runner is woken. The loss is counted only when a lease expired, not when the owner was stuck.",
        "lease_lost",
        to_settle=True,
        loses_lease=True,
    ),
    Transition(
        "rescue_stuck",
        _RUNNING,
        None,
        "The reaper",
        Guard.STUCK,
        "Spaces in work fail as stuck; without any, the whole run does. A runner is woken.",
        "stuck",
        releases=True,
    ),
    Transition(
        "fail_stuck",
        _WORKED_ON,
        "failed",
        "The reaper, of a running one only when it hung again and again while it was settled",
        Guard.STUCK,
        "Open spaces fail as stuck.",
        "interrupted",
    ),
    Transition(
        "interrupt",
        _WORKED_ON,
        "failed",
        "The reaper",
        Guard.DEAD_LOSSES_SPENT,
        "Open spaces fail as interrupted.",
        "interrupted",
    ),
    Transition(
        "finish_cancelling",
        _CANCELLING,
        "cancelled",
        "The reaper",
        Guard.DEAD,
        "Open spaces end cancelled.",
        "cancelled",
    ),
)

BY_NAME: Mapping[str, Transition] = {transition.name: transition for transition in TABLE}


def tag(transition: Transition) -> str:
    """Return the tag of the transition's audit event."""
    return f"job:execution:{transition.event}"
