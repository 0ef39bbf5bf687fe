"""The job "Execute automations" as the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.job import Metrics, Run, RunSpace
from addon.jobs import spaces as scope
from addon.jobs.automations import submitted
from addon.jobs.automations.executing import Executing
from addon.jobs.automations.recording import give_up_submitted
from addon.jobs.faults import translated
from addon.jobs.parts import JobParts


class ExecuteAutomations:
    """Archives and trashes what administrators' automations match, with a reason for everything it leaves alone."""

    type = "execute-automations"
    title = "Execute automations"

    def __init__(self, parts: JobParts) -> None:
        self._parts = parts

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        """Let every start pass: what cannot be done is skipped with its reason."""

    def list_spaces(self, run: Run) -> Sequence[RunSpace]:
        """Return the run's spaces. Raises Pause, Abandon, or Fatal when the site cannot list its spaces."""
        with translated(), self._parts.client(run) as client:
            return scope.list_spaces(run, client, self._parts.live_policy(run))

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Execute the due automations in the given spaces."""
        with translated(), self._parts.client(run) as client:
            Executing(self._parts, run, client).work(spaces)

    def finalize(self, run: Run) -> Metrics:
        """Return nothing: every outcome was recorded with its space."""
        return {}

    def settle(self, run: Run) -> None:
        """Wait for what was submitted and record what became of it, so that nothing ends with an unknown outcome."""
        with translated(), self._parts.client(run) as client:
            Executing(self._parts, run, client).finish_submitted()

    def unsettled(self, session: Session, execution_id: str) -> bool:
        """Return whether a batch was submitted whose outcomes nobody has read back."""
        return submitted.any_open(session, execution_id)

    def give_up(self, run: Run, reason: str) -> None:
        """Record every content of a batch that cannot be read back as failed: its outcome is unknown."""
        give_up_submitted(run, self._parts.policy(run), self._parts.settings.execution_cap, reason)

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Fill in zeros; only a dry run plans."""
        names = ("contentsMatched", "contentsArchived", "contentsDeleted", "contentsSkipped", "contentsFailed")
        return dict.fromkeys(names, 0) | totals
