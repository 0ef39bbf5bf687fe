"""What does a refresh cost? Points and calls as the pretend site counts them, and as the add-on counts them itself.

`make bench` prints the table, a second one of what a tick costs (ticks.py), and writes bench.json. After every row the
whole site is compared with a plain model that looks at each content's age; one difference fails the run. `BENCH=long`
takes 100,000 contents.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from addon.sandbox.records import Content
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.benchmarks.ticks import TickRow, measured_ticks
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over

SPACES = 200
CONTENTS = 100_000 if os.environ.get("BENCH") == "long" else 20_000
INSTALLATIONS = (1_000, 3_000, 10_000) if os.environ.get("BENCH") == "long" else (300, 1_000)
STAMP = "steward-status"
DEFAULT = "up-to-date"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured run."""

    case: str
    contents: int
    changed: int
    points: int
    calls: int
    per_content: float
    per_change: float | None


class Wrong(click.ClickException):
    """A figure or a status is not what it has to be."""


def main() -> None:
    """Measure, print, write bench.json; exit 1 when a status or a count is wrong."""
    clock = VirtualClock()
    site = Site(clock, quota_points=10_000_000)
    seed_sized(site, spaces=SPACES, pages=CONTENTS)
    with (
        tempfile.TemporaryDirectory() as folder,
        house_over(site, clock, Path(folder), quota_points=10_000_000) as house,
    ):
        rows = [measured(house, case, prepare) for case, prepare in cases()]
        ticks = list(measured_ticks(Path(folder), INSTALLATIONS))
    found = {"rows": [asdict(row) for row in rows], "ticks": [asdict(row) for row in ticks]}
    Path("bench.json").write_text(json.dumps(found, indent=2) + "\n")
    show(rows)
    show_ticks(ticks)


def cases() -> Iterator[tuple[str, Callable[[Site], None]]]:
    """Yield each case and what happens on the site before its run."""
    yield "first refresh, 20 % not up to date", lambda _site: None
    yield "idle refresh, nothing changed", lambda _site: None
    yield "1 % of the contents changed status", edit_one_percent
    yield "idle again", lambda _site: None


def edit_one_percent(site: Site) -> None:
    """Bring one percent of the contents up to date again."""
    with site.lock:
        old = (content.id for content in site.contents() if plain_status(site, content) != DEFAULT)
        for content_id in list(islice(old, CONTENTS // 100)):
            site.edit(content_id)


def measured(house: House, case: str, prepare: Callable[[Site], None]) -> Row:
    """Run a refresh and compare what it left with the plain model."""
    prepare(house.site)
    house.site.meter.reset()
    execution = house.run("refresh-statuses")
    metrics: dict[str, Any] = execution["metrics"]
    if execution["status"] != "successful":
        raise Wrong(f"{case}: ended {execution['status']}")
    # The start's own permission checks are on the site's bill and on no execution's.
    interactive = house.site.meter.points - metrics["points"]
    if not 0 <= interactive <= 20:
        raise Wrong(f"{case}: the site counted {house.site.meter.points} points, the run {metrics['points']}")
    compare(house.site, case)
    changed = metrics["statusesChanged"]
    return Row(
        case,
        CONTENTS,
        changed,
        metrics["points"],
        metrics["calls"],
        round(metrics["points"] / CONTENTS, 5),
        round(metrics["points"] / changed, 3) if changed else None,
    )


def compare(site: Site, case: str) -> None:
    """Raise Wrong when any content's stamp is not what its age makes it."""
    with site.lock:
        for content in site.contents():
            stamp = content.properties.get(STAMP)
            found = stamp.value["id"] if stamp else DEFAULT
            wanted = plain_status(site, content)
            if found != wanted:
                raise Wrong(f"{case}: content {content.id} is {found}, a plain look says {wanted}")


def plain_status(site: Site, content: Content) -> str:
    """Return the shipped scheme's status by age alone; the seed keeps a month away from every limit."""
    age = site.clock.now() - content.updated_at
    if age > timedelta(days=730):
        return "expired"
    return "not-updated" if age > timedelta(days=365) else DEFAULT


def show(rows: list[Row]) -> None:
    """Print the table."""
    table = Table(title=f"Refresh of {CONTENTS:,} contents in {SPACES} spaces")
    for heading in ("case", "changed", "points", "calls", "points per content", "points per change"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for row in rows:
        per_change = "" if row.per_change is None else f"{row.per_change:g}"
        table.add_row(
            row.case, f"{row.changed:,}", f"{row.points:,}", f"{row.calls:,}", f"{row.per_content:g}", per_change
        )
    Console(width=120).print(table)


def show_ticks(rows: list[TickRow]) -> None:
    """Print the second table. Raises Wrong when a tick did not start everything that was due."""
    table = Table(title="One tick, three schedules due at each installation (SQLite)")
    headings = ("installations", "started", "statements", "per installation", "seconds", "memory +KiB", "next tick, s")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        if row.started != row.installations:
            raise Wrong(f"a tick over {row.installations} installations started {row.started}")
        table.add_row(
            f"{row.installations:,}", f"{row.started:,}", f"{row.statements:,}", f"{row.per_installation:g}",
            f"{row.seconds:g}", f"{row.grown_kib:,}", f"{row.idle_seconds:g}",
        )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    try:
        main()
    except Wrong as wrong:
        wrong.show()
        sys.exit(1)
