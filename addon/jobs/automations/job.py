"""The job "Execute automations", as the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from addon.engine.job import Run, RunSpace
from addon.jobs.automations.executing import Executing
from addon.jobs.automations.outcomes import Limits
from addon.jobs.automations.submit import give_up, has_open_batch
from addon.jobs.context import SpaceJob
from addon.jobs.faults import translated


class ExecuteAutomations(SpaceJob):
    """Archives and trashes what administrators' automations match, with a reason for everything it leaves alone."""

    type = "execute-automations"
    title = "Execute automations"

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Execute the due automations in the given spaces."""
        with translated(), self._context.client(run) as client:
            Executing(self._context, run, client).work(spaces)

    def settle(self, run: Run) -> None:
        """Wait for what was submitted and record what became of it, so that nothing ends with an unknown outcome."""
        with translated(), self._context.client(run) as client:
            Executing(self._context, run, client).finish_submitted()

    def unsettled(self, session: Session, execution_id: str) -> bool:
        """Return whether a batch was submitted whose outcomes have not been read back."""
        return has_open_batch(session, execution_id)

    def give_up(self, run: Run, reason: str) -> None:
        """Record every item of a batch that cannot be read back as failed: its outcome is unknown."""
        limits = Limits.resumed(run, self._context.settings.execution_cap)
        give_up(run, self._context.policy(run), limits, reason)

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Fill in zeros; only a dry run plans."""
        names = ("contentsMatched", "contentsArchived", "contentsDeleted", "contentsSkipped", "contentsFailed")
        return dict.fromkeys(names, 0) | totals
