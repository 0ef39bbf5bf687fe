"""Seconds and memory of a first refresh: the add-on as a process of its own, by the real clock."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from addon.base import SystemClock
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks.model import FRESHNESS, Wrong, compare
from tests.benchmarks.profile import Profile
from tests.benchmarks.table import Row
from tests.e2e.stack import Stack, stack_over

QUOTA = 50_000_000
LATENCY_MS = 50
CALL_THREADS = 8
INTERACTIVE = ("GET /wiki/rest/api/user", "POST /wiki/api/v2/users-bulk")
"""Endpoints that only the screens ask: who is the person?"""
MEBIBYTE = 2**20
PATIENCE = 3600.0


def wall_clock(profile: Profile) -> list[Row]:
    """Measure a first refresh of a site that answers after LATENCY_MS, against what the latency alone costs."""
    if profile.wall is None:
        return []
    contents, spaces = profile.wall
    case = f"first refresh, {spaces} spaces, {LATENCY_MS} ms latency, {CALL_THREADS} at a time"
    with _stack(contents, spaces) as stack:
        stack.site.latency_ms = LATENCY_MS
        metrics, seconds = _refreshed(stack, case)
    ideal = metrics["calls"] * LATENCY_MS / 1000 / CALL_THREADS
    unit = f"x {ideal:.1f} s = calls x latency / {CALL_THREADS}; load {os.getloadavg()[0]:.1f}"
    return [_row(case, contents, metrics, round(seconds / ideal, 2), unit, 1.3, seconds)]


def grown_memory(profile: Profile) -> list[Row]:
    """Measure the most memory of the add-on's process as its site grows: a warm-up, then small, then large."""
    if profile.memory is None:
        return []
    (warm, warm_spaces), *steps = profile.memory
    (small, _), (large, _) = steps
    with _stack(warm, warm_spaces) as stack:
        _refreshed(stack, "warm-up of the memory row")
        there, there_spaces = warm, warm_spaces
        peaks = [_peak(stack)]
        for contents, spaces in steps:
            with stack.site.lock:
                seed_sized(stack.site, spaces=spaces - there_spaces, pages=contents - there, seed=contents)
            there, there_spaces = contents, spaces
            metrics, seconds = _refreshed(stack, f"first refresh, grown to {contents:,} contents")
            peaks.append(_peak(stack))
    grown = (peaks[2] - peaks[1]) / MEBIBYTE
    shown = " -> ".join(f"{peak / MEBIBYTE:.0f}" for peak in peaks[1:])
    case = f"peak memory of the add-on, {small:,} -> {large:,} contents"
    return [_row(case, large, metrics, round(grown, 1), f"MiB more ({shown})", 20, seconds)]


@contextmanager
def _stack(contents: int, spaces: int) -> Iterator[Stack]:
    site = Site(SystemClock(), quota_points=QUOTA)
    seed_sized(site, spaces=spaces, pages=contents)
    with (
        tempfile.TemporaryDirectory() as folder,
        stack_over(site, Path(folder), STEWARD_QUOTA_POINTS=str(QUOTA)) as stack,
    ):
        yield stack


def _refreshed(stack: Stack, case: str) -> tuple[dict[str, Any], float]:
    """Run a refresh; return its metrics and seconds. Raises Wrong as World.refresh does."""
    meter = stack.site.meter
    meter.reset()
    began = time.monotonic()
    started = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"})
    if started.status_code != 201:
        raise Wrong(f"{case}: was not started: {started.text}")
    execution = stack.ended(started.json()["id"], seconds=PATIENCE)
    if execution["status"] != "successful":
        raise Wrong(f"{case}: ended {execution['status']} after {time.monotonic() - began:.0f} s")
    metrics: dict[str, Any] = execution["metrics"]
    asked = [use for endpoint, use in meter.by_endpoint.items() if endpoint not in INTERACTIVE]
    counted = (sum(use.points for use in asked), sum(use.calls for use in asked))
    if counted != (metrics["points"], metrics["calls"]):
        own = (metrics["points"], metrics["calls"])
        raise Wrong(f"{case}: the site counted {counted} points and calls, the add-on {own}")
    compare(stack.site, FRESHNESS, case)
    begun, ended = (datetime.fromisoformat(execution[name]) for name in ("startedAt", "endedAt"))
    return metrics, (ended - begun).total_seconds()


def _peak(stack: Stack) -> int:
    """Return the most bytes the add-on's process has held so far."""
    assert stack.process is not None
    status = Path(f"/proc/{stack.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _row(
    case: str, contents: int, metrics: dict[str, Any], figure: float, unit: str, most: float, seconds: float
) -> Row:
    changed, points, calls = metrics["statusesChanged"], metrics["points"], metrics["calls"]
    seconds = round(seconds, 1)
    return Row(case, contents, changed, points, calls, figure, unit, most, seconds, hard=False)
