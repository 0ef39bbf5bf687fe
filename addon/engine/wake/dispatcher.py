"""Wakeups: how runners learn that there may be something to claim. The one seam for scale.

A wakeup is a hint and never the truth: it says "look", the rows say what is there.
"""

from __future__ import annotations

import threading
from typing import Protocol

from sqlalchemy import event
from sqlalchemy.orm import Session

from addon.base import TenantId

_PENDING = "steward_wake_pending"
_LISTENING = "steward_wake_listening"


class Dispatcher(Protocol):
    """Wakes a runner somewhere. A lost wakeup costs one reaper tick, never a job."""

    def wake(self, session: Session, tenant_id: TenantId) -> None:
        """Make a runner look for claimable executions once `session` commits; nothing happens when it rolls back."""
        ...


class LocalDispatcher:
    """Wakes the runner threads of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def wake(self, session: Session, tenant_id: TenantId) -> None:
        """Wake this process's runners after the commit."""
        session.info[_PENDING] = True
        if not session.info.get(_LISTENING):
            session.info[_LISTENING] = True
            event.listen(session, "after_commit", self._after_commit)

    def _after_commit(self, session: Session) -> None:
        # Fires at the release of a savepoint too; what is inside is not visible to runners before the outer commit.
        if not session.in_nested_transaction() and session.info.pop(_PENDING, False):
            self.notify()

    def notify(self) -> None:
        """Wake the runners now (any thread)."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def count(self) -> int:
        """Return how many wakeups there were so far, to be passed to `wait` after a look that found nothing.

        A wakeup during the look is thereby never missed.
        """
        with self._changed:
            return self._count

    def wait(self, seen: int, stop: threading.Event) -> None:
        """Return once there was a wakeup after the first `seen`, or `stop` is set and a wakeup came after that."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != seen or stop.is_set())
