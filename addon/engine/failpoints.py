"""Failpoints: a name for both sides of each commit of the engine, where a test lets the process die.

In production nothing is armed and a point costs one comparison. Tests arm a callable that raises or exits; no setting
and no environment variable of the add-on can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.orm import Session

OTHER = ("boot", "heartbeat", "list", "outcomes", "retry", "retry_start", "slot")
"""Commits that are no transition of the table, or ride with one. Each transition is a point under its own name."""

SIDES = ("before", "after")

_KEY = "steward_failpoints"
_armed: Callable[[str], None] | None = None


def hit(point: str) -> None:
    """Pass the point `<name>:before` or `<name>:after` of a commit made without a session."""
    if _armed is not None:
        _armed(point)


def boundary(session: Session, name: str) -> None:
    """Say that the transaction of `session` does `name`: its commit has the points `name:before` and `name:after`."""
    if _armed is None:
        return
    names: list[str] | None = session.info.get(_KEY)
    if names is not None:
        names.append(name)
        return
    session.info[_KEY] = [name]
    event.listen(session, "before_commit", lambda session: _pass(session, "before"))
    event.listen(session, "after_commit", lambda session: _pass(session, "after"))


def _pass(session: Session, side: str) -> None:
    # The release of a savepoint is no commit.
    if not session.in_nested_transaction():
        for name in dict.fromkeys(session.info[_KEY]):
            hit(f"{name}:{side}")


@contextmanager
def armed(call: Callable[[str], None]) -> Iterator[None]:
    """Call `call` with each point that any thread of this process passes, until the block ends. For tests only."""
    global _armed
    before, _armed = _armed, call
    try:
        yield
    finally:
        _armed = before
