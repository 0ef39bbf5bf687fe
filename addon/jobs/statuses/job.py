"""The job "Refresh content statuses" as the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.job import Metrics, Run, RunSpace
from addon.jobs import spaces as scope
from addon.jobs.faults import translated
from addon.jobs.parts import JobParts
from addon.jobs.statuses.refresh import Refresh
from addon.jobs.statuses.write.board import UNCOUNTED


class RefreshStatuses:
    """Gives every page and blog post its status by enter and leave queries: costs what changed, not what exists."""

    type = "refresh-statuses"
    title = "Refresh content statuses"

    def __init__(self, parts: JobParts) -> None:
        self._parts = parts

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        """Let every start pass: a refresh needs nothing but the site."""

    def list_spaces(self, run: Run) -> Sequence[RunSpace]:
        """Return the run's spaces. Raises Pause, Abandon, or Fatal when the site cannot list its spaces."""
        with translated(), self._parts.client(run) as client:
            return scope.list_spaces(run, client, self._parts.live_policy(run))

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Refresh the given spaces."""
        with translated(), self._parts.client(run) as client:
            Refresh(self._parts, run, client).work(spaces)

    def finalize(self, run: Run) -> Metrics:
        """Return nothing: every number was added where it arose."""
        return {}

    def settle(self, run: Run) -> None:
        """Do nothing: a refresh submits nothing that goes on without it."""

    def compile(self, totals: dict[str, Any]) -> dict[str, Any]:
        """Fill in zeros. The default's count is what was checked minus what has another status, never below zero.

        Where the site did not count some contents, what follows from their number is left out rather than wrong; so are
        all counts by status of a run that was cancelled, where a group's contents are counted and not what they are.
        """
        if totals.get("spacesCancelled"):
            totals = totals | {"statusCounts": {}}
        final = {"contentsChecked": 0, "statusesChanged": 0, "contentsReadOnly": 0} | totals
        uncounted = final.pop(UNCOUNTED, {})
        if uncounted:
            del final["contentsChecked"]
        counts: dict[str, int] = totals.get("statusCounts", {})
        final["statusCounts"] = {slug: max(0, number) for slug, number in counts.items() if slug not in uncounted}
        return final
