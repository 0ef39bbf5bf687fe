"""The picture of docs/how-it-works.md, drawn from the tables below.

`python docs/pictures.py` writes docs/how-it-works.svg; a test compares the file with what this module draws, the rooms
with the packages, and the steps with those of the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

FILE = Path(__file__).with_name("how-it-works.svg")
WIDTH, HEIGHT = 1226, 550

STORIES = {
    "R": ("request", "#1868db", "A request: someone presses Start"),
    "J": ("run", "#1f845a", "A run: from claim to result"),
    "T": ("tick", "#974f0c", "A tick: what is due starts"),
    "C": ("crash", "#c9372c", "A crash: another process takes over"),
}
"""First letter of a step -> name, colour and title of its story."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #172b4d }
.name { font-weight: 600; font-size: 15px }
.small { font-size: 12px; fill: #44546f }
.step { font-size: 11px; font-weight: 600; fill: #fff; text-anchor: middle }
.sheet { fill: #fff }
.room { fill: #f1f2f4; stroke: #8590a2 }
.part { fill: #fff; stroke: #b3b9c4 }
.outside { fill: none; stroke: #8590a2; stroke-dasharray: 5 4 }
.line { fill: none; stroke: #626f86; stroke-width: 1.5; marker-end: url(#tip) }
.tip { fill: #626f86 }
@media (prefers-color-scheme: dark) {
  text { fill: #deebff }
  .small { fill: #a5b3c7 }
  .step { fill: #fff }
  .sheet { fill: #1d2125 }
  .room { fill: #282e33; stroke: #738496 }
  .part { fill: #1d2125; stroke: #596773 }
  .line { stroke: #9fadbc }
  .tip { fill: #9fadbc }
}"""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a name, a line of small text, and the steps that take place in it."""

    name: str
    x: int
    y: int
    width: int
    height: int
    small: str = ""
    steps: str = ""
    look: str = "room"


ROOMS = (
    Box("app, cli, server", 194, 20, 826, 46, "put the parts together and serve them"),
    Box("screens", 194, 80, 390, 66, "pages, JSON API, who may see what", "R2"),
    Box("listeners", 594, 80, 200, 66, "lifecycle calls and webhooks"),
    Box("maintenance", 804, 80, 216, 66, "erasure, retention, reports", "T5"),
    Box("jobs", 194, 160, 826, 76, "what a job does to a space", "J2"),
    Box("connect", 194, 250, 116, 130, "who is calling", "R1"),
    Box("confluence", 320, 250, 206, 130, "the only way out"),
    Box("engine", 536, 250, 300, 130, "one execution per tenant"),
    Box("policies", 846, 250, 96, 130, "settings"),
    Box("mail", 952, 250, 68, 130, "outbox", "T4"),
    Box("base", 194, 404, 826, 46, "clock, ids, database, secrets: imports nothing of ours"),
)
PARTS = (
    Box("jobs.statuses.ask", 376, 172, 138, 52, steps="J3", look="part"),
    Box("jobs.statuses.write", 522, 172, 138, 52, steps="J5 C4", look="part"),
    Box("jobs.automations", 668, 172, 138, 52, look="part"),
    Box("jobs.notifications", 814, 172, 138, 52, look="part"),
    Box("confluence.rights", 330, 302, 90, 32, steps="R3", look="part"),
    Box("confluence.cql", 426, 302, 90, 32, look="part"),
    Box("confluence.quota", 330, 340, 90, 32, look="part"),
    Box("confluence.http", 426, 340, 90, 32, steps="J4", look="part"),
    Box("engine.worker", 546, 296, 142, 24, steps="J1 C1 C3", look="part"),
    Box("engine.lease", 694, 296, 132, 24, steps="C2", look="part"),
    Box("engine.state", 546, 322, 142, 24, steps="R4 T3 J6", look="part"),
    Box("engine.schedule", 694, 322, 132, 24, steps="T2", look="part"),
    Box("engine.wake", 546, 348, 142, 24, steps="R5 T1", look="part"),
)
OUTSIDE = (
    Box("Confluence site", 4, 250, 168, 130, "frames and REST API", look="outside"),
    Box("mail server", 1060, 250, 160, 56, "SMTP", look="outside"),
    Box("database", 1060, 399, 160, 56, "SQLite, PostgreSQL", look="outside"),
)
LINES = (
    ("every call is signed", "M172 272 H192", 14, 412),
    ("", "M424 380 V392 H88 V382", 0, 0),
    ("", "M1020 272 H1058", 0, 0),
    ("", "M1020 427 H1058", 0, 0),
    ("imports go down only", "M1040 84 V380", 1046, 204),
)
"""Label, path, and where the label is."""


def steps() -> set[str]:
    """Return the steps that the picture shows."""
    return {step for box in (*ROOMS, *PARTS) for step in box.steps.split()}


def picture() -> str:
    """Return the picture as SVG."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    yield "<title>The rooms of Content Steward, and the steps of a request, a run, a tick and a crash in them</title>"
    yield f"<style>{STYLE}</style>"
    yield '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>'
    yield f'<rect class="sheet" width="{WIDTH}" height="{HEIGHT}"/>'
    for box in (*OUTSIDE, *ROOMS, *PARTS):
        yield from _box(box)
    for label, path, x, y in LINES:
        yield f'<path class="line" d="{path}"/>'
        if label:
            yield f'<text class="small" x="{x}" y="{y}">{escape(label)}</text>'
    for place, (letter, (_, _, title)) in enumerate(STORIES.items()):
        x, y = 214 + 400 * (place % 2), 484 + 34 * (place // 2)
        yield from _step(letter, x, y)
        yield f'<text x="{x + 20}" y="{y + 4}">{escape(title)}</text>'
    yield "</svg>"


def _box(box: Box) -> Iterator[str]:
    yield f'<rect class="{box.look}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"/>'
    part, flat = box.look == "part", box.height < 40
    name, look, drop = box.name, "name", 21
    if part:
        name, look, drop = name.partition(".")[2], "part-name", box.height // 2 + 5 if flat else 20
    yield f'<text class="{look}" x="{box.x + 10}" y="{box.y + drop}">{escape(name)}</text>'
    if box.small:
        yield f'<text class="small" x="{box.x + 10}" y="{box.y + 39}">{escape(box.small)}</text>'
    x, y = box.x + box.width - 14, box.y + (box.height // 2 if flat else box.height - 15)
    for place, step in enumerate(reversed(box.steps.split())):
        yield from _step(step, x - 24 * place, y)


def _step(step: str, x: int, y: int) -> Iterator[str]:
    yield f'<circle cx="{x}" cy="{y}" r="10.5" fill="{STORIES[step[0]][1]}"/>'
    yield f'<text class="step" x="{x}" y="{y + 4}">{step}</text>'


if __name__ == "__main__":
    FILE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
