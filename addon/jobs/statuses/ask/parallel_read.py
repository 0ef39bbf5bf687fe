"""The only group of a first refresh, read in parts at the same time and put together again.

The pages of a group's answers come one after the other, and nothing is written meanwhile. Where everything is read for
the first time that takes a while. A part costs a handful of points more, so it has to be worth it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from addon.engine.job import Run
from addon.jobs.counting import Counting, total
from addon.jobs.statuses.ask.clauses import Group
from addon.jobs.statuses.ask.planning import Planner
from addon.jobs.statuses.ask.reading import Plan, Reading

MOST = 8
"""Parts that are read at the same time: as many as an execution has call threads (docs/rules/executions.md 1.3)."""
WORTH = 1_000
"""Items for which the points of one more part are worth their time."""


def parallel_read(
    run: Run, counting: Counting, planner: Planner, plan: Plan, read: Callable[[Plan], Reading]
) -> Iterator[tuple[Plan, Reading | Exception]]:
    """Yield the reading of `plan`, or those of its parts where they cannot be put together. Costs a point to decide.

    Raises what `run.map` does.
    """
    parts = _parts(run, counting, planner, plan)
    found = list(run.map(read, parts))
    readings = [reading for _, reading in found if isinstance(reading, Reading)]
    # What one part has listed says nothing of the spaces of another.
    if len(readings) == len(found) == len(parts) and len({frozenset(each.stamped) for each in readings}) == 1:
        yield plan, _together(readings)
    else:
        yield from found


def _parts(run: Run, counting: Counting, planner: Planner, plan: Plan) -> list[Plan]:
    def items(whole: Plan) -> int | None:
        return counting.count(Group(whole.terms, whole.keys).everything())

    for _, number in run.map(items, [plan]):
        # What is wrong with the group, or with counting, shows when it is read.
        if isinstance(number, int):
            return planner.split(plan, max(1, min(MOST, len(plan.spaces), number // WORTH)))
    return [plan]


def _together(readings: list[Reading]) -> Reading:
    whole = Reading(min(each.started for each in readings), total([each.total for each in readings]))
    for each in readings:
        whole.candidates |= each.candidates
        whole.unmatched |= each.unmatched
        for slug, contents in each.stamped.items():
            whole.stamped.setdefault(slug, {}).update(contents)
    return whole
