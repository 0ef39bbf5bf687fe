"""The job "Refresh content statuses" as the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from addon.engine.job import Run, RunSpace
from addon.jobs.context import SpaceJob
from addon.jobs.faults import translated
from addon.jobs.statuses.refresh import Refresh
from addon.jobs.statuses.write.board import UNCOUNTED


class RefreshStatuses(SpaceJob):
    """Gives every page and blog post its status by enter and leave queries: costs what changed, not what exists."""

    type = "refresh-statuses"
    title = "Refresh content statuses"

    def work(self, run: Run, spaces: Sequence[RunSpace]) -> None:
        """Refresh the given spaces."""
        with translated(), self._context.client(run) as client:
            Refresh(self._context, run, client).work(spaces)

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
