"""Presence: which spaces of a run the site no longer shows, each with the reason that people read.

A space is reported by one run: the one during which it went, or the next full run of the same kind after it. From then
on it is on no list (docs/adr/0022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from addon.base import Clock
from addon.confluence import SiteClient
from addon.engine import queries
from addon.engine.job import ARCHIVED, MISSING, Run, RunSpace
from addon.jobs.census import still_counted
from addon.jobs.counting import Counting

FRESH = timedelta(minutes=1)
"""How long after its start a run's list is not doubted."""


class Absent(Exception):
    """Some spaces that were to be read are not there. `reasons`: why, by space id."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("spaces are gone")
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Presence:
    """Finds out which spaces of one run went since it began, when their turn comes. For call threads."""

    client: SiteClient
    counting: Counting
    clock: Clock
    began: datetime

    def require(self, spaces: Sequence[RunSpace]) -> None:
        """Raise Absent when some of `spaces` are not to be seen now; SiteError as the calls do.

        Costs nothing in a run's first minute, then a point for some two hundred spaces while all of them are there.
        """
        if self.clock.now() - self.began < FRESH or still_counted(self.counting, spaces) == len(spaces):
            return
        reasons = absent(self.client, [space.id for space in spaces])
        if reasons:
            raise Absent(reasons)


def presence(run: Run, client: SiteClient, counting: Counting) -> Presence:
    """Return the presence of a run's spaces, for which `counting` counts."""
    with run.read() as session:
        began = queries.started_at(session, run.execution_id)
    return Presence(client, counting, run.clock, began)


def absent(client: SiteClient, ids: Sequence[str]) -> dict[str, str]:
    """Return {space id: reason} of those spaces that the site does not show as current. Raises as the calls do."""
    shown = {space.id for space in client.spaces(ids=ids)} if ids else set()
    return why_absent(client, [space_id for space_id in ids if space_id not in shown])


def why_absent(client: SiteClient, ids: Sequence[str]) -> dict[str, str]:
    """Return {space id: reason} of spaces that the site does not show as current. Raises as the calls do."""
    archived = {space.id for space in client.spaces(ids=ids, status="archived")} if ids else set()
    return {space_id: ARCHIVED if space_id in archived else MISSING for space_id in ids}


def worked_on_before(run: Run) -> list[RunSpace]:
    """Return the spaces that the last full run of the same kind was to work on and that no run has reported since."""
    with run.read() as session:
        return queries.last_worked_on(session, run)
