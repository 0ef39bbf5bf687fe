"""One person's part of an hour's points for people, and the reserve of it for Confluence administrators.

Only a Confluence administrator spends more than PERSON_PERCENT of a site's share in an hour, or any of its last
RESERVE_PERCENT: one person's requests leave the others theirs, and all other people together leave administrators
enough to look, cancel and hold. The thread that serves a request knows whom it is for, and whether that person is an
administrator as soon as this has been asked; calls that no person waits for have no budget.

What people spent is remembered by each web process for itself. The reserve is kept in the table of the hour's points,
for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from addon.base import Cache, Caller, Clock

PERSON_PERCENT = 40
"""More than a space's screen that is open all hour costs at most: 2,500 points of 6,500 (docs/rules/quota.md 4.4)."""
RESERVE_PERCENT = 25
REMEMBERED = 10_000
"""People whose points are remembered; the one whose last call is longest ago is forgotten first."""


@dataclass(slots=True)
class Person:
    """The person whom the present request is for, and what is known of them by now."""

    caller: Caller
    administrator: bool = False
    """Whether they administer Confluence, as far as that was asked."""
    asking: bool = False
    """Whether that is being asked just now, with points of the reserve."""

    @property
    def privileged(self) -> bool:
        """Return whether the budget and the reserve do not bind this call."""
        return self.administrator or self.asking


_person: ContextVar[Person | None] = ContextVar("steward_person", default=None)


def serve(caller: Caller | None) -> None:
    """Let the calls that this thread makes from here on be those of a person; None: of no person."""
    _person.set(None if caller is None else Person(caller))


def served() -> Person | None:
    """Return the person whose request this thread serves."""
    return _person.get()


def note_administrator(caller: Caller, administers: bool) -> None:
    """Remember for the rest of the request whether `caller` administers Confluence."""
    person = _person.get()
    if person is not None and person.caller == caller:
        person.administrator = administers


@contextmanager
def from_the_reserve(caller: Caller) -> Iterator[None]:
    """Let the calls inside draw on the reserve: those that find out whether `caller` is one of those it is for."""
    person = _person.get()
    if person is None or person.caller != caller:
        yield
        return
    person.asking = True
    try:
        yield
    finally:
        person.asking = False


class PersonBudgets:
    """What each person has spent in the present hour, in this process. Safe to use from several threads."""

    def __init__(self, clock: Clock, remembered: int = REMEMBERED) -> None:
        """`remembered`: of how many people."""
        self._lock = threading.Lock()
        self._spent: Cache[Caller, tuple[datetime, int]] = Cache(clock, most=remembered)

    def take(self, person: Person, hour: datetime, points: int, budget: int) -> bool:
        """Book `points` to a person; False, and nothing booked, where that is more than the `budget` of an hour."""
        with self._lock:
            spent = self._spent_in(hour, person.caller) or 0
            if spent + points > budget and not person.privileged:
                return False
            self._book(person.caller, hour, spent + points)
            return True

    def correct(self, person: Person, hour: datetime, points: int) -> None:
        """Book what a call cost beyond what was taken for it; negative: what it did not cost."""
        with self._lock:
            spent = self._spent_in(hour, person.caller)
            if spent is not None:
                self._book(person.caller, hour, spent + points)

    def _spent_in(self, hour: datetime, caller: Caller) -> int | None:
        known = self._spent.get(caller)
        return known.value[1] if known is not None and known.value[0] == hour else None

    def _book(self, caller: Caller, hour: datetime, spent: int) -> None:
        self._spent.put(caller, (hour, max(0, spent)))
