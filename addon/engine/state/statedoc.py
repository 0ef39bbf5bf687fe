"""docs/state_machine.md: the transition table as people read it, written by `python -m addon.engine.state.statedoc`."""

from __future__ import annotations

from pathlib import Path

from addon.engine.models import ACTIVE, TERMINAL
from addon.engine.state.table import TABLE, TO_SETTLE, Transition, tag

_INTRODUCTION = """\
# State machine of a job execution

Generated from `addon/engine/state/table.py` by `python -m addon.engine.state.statedoc`; a test compares them.

An execution is active while it is *running*, *finalizing* or *cancelling*; a tenant has at most one active execution.
It ends *successful*, *failed* or *cancelled*, and what has ended never changes: a trigger refuses it on SQLite and
PostgreSQL. An execution that was accepted and not claimed yet is *running* without an owner.

Every transition is one conditional UPDATE. Its WHERE names the statuses it leads from and its guard, and the number of
changed rows is the answer. The same statement raises `seq`, and the same transaction writes the audit event under that
number.

## Picture
"""
_RELEASES = "Owner and lease become NULL and the fence rises by one."
_SETTLES = f"The owner becomes `{TO_SETTLE}` and the fence rises by one, so that the next runner settles it."
_LOSES = "It has lost one lease more."
_ENDS = "Owner and lease become NULL, the metrics are summed and compiled, and the time of the end is set."


def document() -> str:
    """Return docs/state_machine.md: introduction, diagram, and a section for each transition."""
    sections = "\n\n".join(_section(each) for each in TABLE)
    return "\n".join([_INTRODUCTION, *_diagram(), "", "## Transitions", "", sections, ""])


def _diagram() -> list[str]:
    """Draw the ways between statuses; those that keep the status are one loop for each status."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for row in TABLE:
        if row.target is not None:
            lines += [f"    {source} --> {row.target}: {row.name}" for source in row.sources or ("[*]",)]
    for status in ACTIVE:
        stays = [row.name for row in TABLE if row.target is None and status in row.sources]
        lines.append(f"    {status} --> {status}: {', '.join(stays)}")
    return [*lines, *(f"    {status} --> [*]" for status in TERMINAL), "```"]


def _section(row: Transition) -> str:
    sources = " or ".join(f"*{status}*" for status in row.sources) or "nothing"
    target = f"*{row.target}*" if row.target else "the same status"
    also = [(row.releases, _RELEASES), (row.to_settle, _SETTLES), (row.loses_lease, _LOSES), (row.terminal, _ENDS)]
    effect = " ".join([row.effect, *(sentence for holds, sentence in also if holds)])
    return "\n".join(
        [
            f"### {row.name}",
            "",
            f"From {sources} to {target}. Event: `{tag(row)}`.",
            "",
            f"* Who: {row.who[0].lower()}{row.who[1:]}.",
            f"* When: {row.guard.value}",
            f"* Effect: {effect}",
        ]
    )


if __name__ == "__main__":
    Path("docs/state_machine.md").write_text(document(), encoding="utf-8")
