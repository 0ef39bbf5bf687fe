"""The cost of a refresh: points and calls as the pretend site counts them, and as the add-on counts them itself.

`make bench` prints the table of refreshes and one of what a tick costs (ticks.py), and writes bench.json. It exits 1
when any status differs from the plain model (model.py), when the two counts differ, or when a target in points, calls
or stamps is missed; seconds and megabytes are shown only. `BENCH=long` takes 1,000,000 items, `BENCH=short` 500.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tests.benchmarks import process
from tests.benchmarks.cases import large_site, with_personal_spaces
from tests.benchmarks.model import Wrong
from tests.benchmarks.process import grown_memory
from tests.benchmarks.profile import DEFAULT, LONG, SHORT, Profile
from tests.benchmarks.script import usual_points
from tests.benchmarks.table import Row, show, show_ticks
from tests.benchmarks.ticks import TickRow, measured_ticks

PROFILES = {"default": DEFAULT, "short": SHORT, "long": LONG}


def main() -> int:
    """Measure, print, write bench.json; return the exit status."""
    name = os.environ.get("BENCH", "default")
    profile = PROFILES[name]
    console = Console(width=180)
    began = time.monotonic()
    rows, wrong = measured(profile, console)
    with tempfile.TemporaryDirectory() as folder:
        ticks = list(measured_ticks(Path(folder), profile.ticks))
    seconds = round(time.monotonic() - began)
    show(rows, console)
    show_ticks(ticks, console)
    found = {"profile": {"name": name, **asdict(profile)}, "seconds": seconds, "wrong": wrong}
    found |= {"rows": [row.as_json() for row in rows], "ticks": [asdict(row) for row in ticks]}
    Path("bench.json").write_text(json.dumps(found, indent=2) + "\n")
    return verdict(rows, ticks, wrong, seconds, console)


def measured(profile: Profile, console: Console) -> tuple[list[Row], list[str]]:
    """Return all rows, and what was wrong; a site on which something is wrong is left, the others are measured.

    The second core measures the script and the memory meanwhile. What the clock measures runs alone at the end.
    """
    began = time.monotonic()
    rows: list[Row] = []
    wrong: list[str] = []

    def take(measure: Callable[[], Iterable[Row]]) -> None:
        try:
            for row in measure():
                rows.append(row)
                console.print(f"{time.monotonic() - began:5.0f} s  {row.case}", highlight=False)
        except Wrong as difference:
            wrong.append(difference.message)

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as beside:
        usual = beside.submit(usual_points, profile)
        grown = beside.submit(grown_memory, profile)
        take(lambda: large_site(profile))
        take(lambda: with_personal_spaces(profile))
        take(grown.result)
        take(lambda: process.wall_clock(profile))
        per_content = usual.result()
    return [row.beside(per_content) for row in rows], wrong


def verdict(rows: list[Row], ticks: list[TickRow], wrong: list[str], seconds: int, console: Console) -> int:
    """Say in one line each what is wrong and what was missed; return the exit status."""
    missed = [row for row in rows if row.met is False]
    late = [row for row in ticks if row.started != row.installations]
    for difference in wrong:
        console.print(f"[bold red]WRONG[/bold red] {difference}", highlight=False)
    for tick in late:
        console.print(
            f"[bold red]WRONG[/bold red] a tick over {tick.installations} installations started {tick.started}"
        )
    for row in missed:
        beside = "" if row.hard else " (depends on the machine: shown only)"
        console.print(f"[bold red]MISSED[/bold red] {row.case}: {row.figure:g} {row.unit}, target {row.most:g}{beside}")
    met = sum(row.met is True for row in rows)
    console.print(f"{met} targets met, {len(missed)} missed, {len(wrong) + len(late)} wrong, in {seconds} s")
    return 1 if wrong or late or any(row.hard for row in missed) else 0


if __name__ == "__main__":
    sys.exit(main())
