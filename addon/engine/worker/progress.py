"""The progress of a run: a percentage that never falls, and an estimate of the time left when it means something."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from addon.engine.job import RunSpace
from addon.engine.models import JobExecution

LONGEST_ESTIMATE = 30 * 86400.0
"""Seconds. What would take longer has no estimate."""
STALLED_AFTER = timedelta(minutes=10)
_TAU = 30.0
_FROM_PERCENT = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """Spaces ended so far, in numbers and in weight. `come`: the weight gone by of spaces in work, by space id."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    total: int = 0
    weight_ended: int = 0
    weight_total: int = 0
    come: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, spaces: Iterable[RunSpace]) -> Tally:
        """Count the spaces of a run as they are now."""
        rows = list(spaces)
        states = [row.state for row in rows]
        return cls(
            done=states.count("done"),
            failed=states.count("failed"),
            skipped=states.count("skipped"),
            total=len(rows),
            weight_ended=sum(max(1, row.weight) for row in rows if row.state not in ("pending", "running")),
            weight_total=sum(max(1, row.weight) for row in rows),
        )

    def plus(self, space_id: str, state: str, weight: int) -> Tally:
        """Return the tally with one more space ended as `state`."""
        return replace(
            self,
            done=self.done + (state == "done"),
            failed=self.failed + (state == "failed"),
            skipped=self.skipped + (state == "skipped"),
            weight_ended=self.weight_ended + weight,
            come={key: come for key, come in self.come.items() if key != space_id},
        )

    def inside(self, space_id: str, come: float) -> Tally:
        """Return the tally with a space in work that has come through `come` of its weight."""
        return replace(self, come={**self.come, space_id: come})

    @property
    def weight_gone_by(self) -> float:
        """Return the weight of what has ended and of what spaces in work have come through."""
        return self.weight_ended + sum(self.come.values())

    @property
    def percent(self) -> int:
        """Return the weighted share in 0..99: 100 is for a successful end only."""
        if self.weight_total == 0:
            return 0
        return min(99, int(100 * self.weight_gone_by / self.weight_total))


class Estimate:
    """The remaining time, from a rate that follows the last half minute (an average weighted by time, not by count)."""

    def __init__(self, monotonic: float, silent_seconds: float) -> None:
        """Begin at `monotonic`; say nothing during the first `silent_seconds`."""
        self._began = monotonic
        self._last = monotonic
        self._silent = silent_seconds
        self._rate: float | None = None

    def advance(self, monotonic: float, weight: float) -> None:
        """Note that `weight` more has gone by until now."""
        span = monotonic - self._last
        if weight <= 0 or span <= 0:
            return
        rate = weight / span
        share = 1 - math.exp(-span / _TAU)
        self._rate = rate if self._rate is None else self._rate + share * (rate - self._rate)
        self._last = monotonic

    def seconds_left(self, monotonic: float, tally: Tally) -> float | None:
        """Return the seconds until all weight has gone by, or None while that cannot be known."""
        if self._rate is None or monotonic - self._began < self._silent or tally.percent < _FROM_PERCENT:
            return None
        return (tally.weight_total - tally.weight_gone_by) / self._rate


@dataclass(frozen=True, slots=True)
class Progress:
    """What a screen shows of an execution. `stalled_since`: the last safe point, when that is long ago."""

    spaces_done: int
    spaces_failed: int
    spaces_total: int | None
    percent: int
    seconds_left: int | None
    stalled_since: datetime | None


def live_progress(row: JobExecution, now: datetime) -> Progress:
    """Return the progress of `row` at `now`: the estimate runs down, and a run that outlasts it has none."""
    working = row.ended_at is None and row.owner is not None
    left = None
    if working and row.status == "running" and row.expected_end_at is not None and row.expected_end_at > now:
        seconds = (row.expected_end_at - now).total_seconds()
        left = math.ceil(seconds) if seconds <= LONGEST_ESTIMATE else None
    stalled = working and row.progress_at is not None and now - row.progress_at > STALLED_AFTER
    return Progress(
        spaces_done=row.spaces_done,
        spaces_failed=row.spaces_failed,
        spaces_total=row.spaces_total,
        percent=row.percent,
        seconds_left=None if stalled else left,
        stalled_since=row.progress_at if stalled else None,
    )
