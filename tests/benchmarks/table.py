"""The table of figures: one line for each case with its target, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from tests.benchmarks.ticks import TickRow

SCALED = "scaled linearly"


@dataclass(frozen=True, slots=True)
class Row:
    """One case.

    `figure` is what the target speaks of, as a number, and `unit` its words; `most` is the target, None where the
    figure is only shown. `hard` tells whether a missed target fails the bench: points and calls do, seconds and
    megabytes depend on the machine. `like` names the run of the usual script (script.py) to compare, and `usual` are
    that run's points, scaled linearly from the script's twin site.
    """

    case: str
    contents: int
    changed: int
    points: int
    calls: int
    figure: float
    unit: str
    most: float | None
    seconds: float
    like: str | None = None
    hard: bool = True
    usual: int | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.most is None else self.figure <= self.most

    @property
    def ratio(self) -> float | None:
        """How many times more points the usual script takes."""
        return None if self.usual is None else round(self.usual / max(self.points, 1), 1)

    def beside(self, per_content: Mapping[str, float]) -> Row:
        """Return the row with the usual script's points. `per_content`: run of the script -> points per item."""
        return self if self.like is None else replace(self, usual=round(per_content[self.like] * self.contents))

    def as_json(self) -> dict[str, object]:
        """Return the row for bench.json."""
        return {
            "case": self.case,
            "contents": self.contents,
            "changed": self.changed,
            "points": self.points,
            "calls": self.calls,
            "figure": self.figure,
            "unit": self.unit,
            "target": self.most,
            "met": self.met,
            "hard": self.hard,
            "seconds": self.seconds,
            "usualScript": None if self.usual is None else {"points": self.usual, "how": SCALED, "ratio": self.ratio},
        }


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table of refreshes."""
    table = Table(title="Refresh content statuses: what it costs")
    for heading in ("case", "items", "changed", "points", "calls", "figure", "target", "", "s", "usual script*"):
        table.add_column(heading, justify="left" if heading in ("case", "figure", "") else "right")
    for row in rows:
        table.add_row(
            row.case, f"{row.contents:,}", f"{row.changed:,}", f"{row.points:,}", f"{row.calls:,}",
            f"{row.figure:,g} {row.unit}", "" if row.most is None else f"<= {row.most:,g}", _verdict(row),
            f"{row.seconds:g}", "" if row.usual is None else f"{row.usual:,} ({row.ratio:g} x)",
        )  # fmt: skip
    console.print(table)
    console.print(
        "* lists every content, reads its status property, writes what differs; measured over HTTP on a small twin of "
        "the site, scaled linearly.\n  Points and calls are the site's own count; the add-on's count equals it. What "
        "the start asks about the person is not in them.\n"
    )


def show_ticks(rows: Sequence[TickRow], console: Console) -> None:
    """Print what a tick costs."""
    table = Table(title="One tick, three schedules due at each installation (SQLite)")
    headings = ("installations", "started", "statements", "per installation", "seconds", "memory +KiB", "next tick, s")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            f"{row.installations:,}", f"{row.started:,}", f"{row.statements:,}", f"{row.per_installation:g}",
            f"{row.seconds:g}", f"{row.grown_kib:,}", f"{row.idle_seconds:g}",
        )  # fmt: skip
    console.print(table)


def _verdict(row: Row) -> str:
    if row.met is None:
        return "shown"
    return "[green]ok[/green]" if row.met else "[bold red]MISSED[/bold red]"
