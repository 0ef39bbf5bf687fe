"""Every CHECK and every partial index of the house has its reason written next to it."""

from __future__ import annotations

from pathlib import Path

import pytest

MODELS = sorted((Path(__file__).parents[1] / "addon").rglob("models.py"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.name)
def test_each_check_and_partial_index_says_what_it_holds_and_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if "sa.CheckConstraint(" in line or "sa.Index(" in line]
    for number in starts:
        partial = any("_where" in line for line in _call(lines, number))
        if partial or "CheckConstraint" in lines[number]:
            assert lines[number - 1].lstrip().startswith("#"), f"{path}:{number + 1} has no reason"


def _call(lines: list[str], start: int) -> list[str]:
    """Return the lines of the call that begins at `start`, by its parentheses."""
    depth, end = 0, start
    while end == start or depth > 0:
        depth += lines[end].count("(") - lines[end].count(")")
        end += 1
    return lines[start:end]
