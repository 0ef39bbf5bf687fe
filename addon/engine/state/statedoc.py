"""docs/state_machine.md: the transition table as people read it, written by `python -m addon.engine.state.statedoc`."""

from __future__ import annotations

from pathlib import Path

from addon.engine.models import TERMINAL
from addon.engine.state.transitions import TABLE


def document() -> str:
    """Return docs/state_machine.md: the table for people, and the diagram."""
    lines = [
        "# State machine of a job execution",
        "",
        "Generated from `addon/engine/state/transitions.py` by `python -m addon.engine.state.statedoc`; a test",
        "compares them.",
        "",
        "Every transition is one conditional UPDATE whose row count is the answer. It raises `seq` and writes the",
        "audit event `job:execution:<event>` under that number in the same transaction. Accepted but not claimed is",
        "*running* without an owner. Terminal rows never change; a trigger holds that on SQLite and PostgreSQL.",
        "",
        "| Transition | From | To | Who | Guard | Effect | Event |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in TABLE:
        sources = ", ".join(row.sources) or "-"
        cells = (row.name, sources, row.target or "same", row.who, row.guard.value, row.effect, row.event)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "```mermaid", "stateDiagram-v2"]
    for row in TABLE:
        for source in row.sources or ("[*]",):
            lines.append(f"    {source} --> {row.target or source}: {row.name}")
    lines += [f"    {status} --> [*]" for status in TERMINAL]
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    Path("docs/state_machine.md").write_text(document(), encoding="utf-8")
