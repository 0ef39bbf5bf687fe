"""The engine's doors: what it loads, what it lends, and that every module of it is behind one of them."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ADDON = Path(__file__).parents[2] / "addon"
ENGINE = ADDON / "engine"
LENT = {"JobExecution", "ExecutionSpace", "ExecutionItem", "Lane", "RetryDue"}
"""Tables whose rows other rooms get as read-only values, and therefore name in annotations."""
DOORS = {"__init__", "job", "queries", "retention", "scale"}


@pytest.mark.parametrize("door", ["addon.engine", "addon.engine.job"])
def test_the_engine_loads_no_http_and_procrastinate_only_when_asked_for(door: str) -> None:
    code = f"import sys, {door}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "sqlalchemy" in loaded
    assert not {"flask", "werkzeug", "requests", "urllib3", "atlassian", "procrastinate"} & set(loaded)


def test_no_other_room_queries_the_engines_tables() -> None:
    """A table's name may stand in an annotation and in an import; in an expression it would be part of a query."""
    used = []
    for path in ADDON.rglob("*.py"):
        if ENGINE not in path.parents:
            used += [f"{path.relative_to(ADDON)}:{line}" for line in _expressions(ast.parse(path.read_text()), LENT)]
    assert used == []


def _expressions(tree: ast.AST, names: set[str]) -> Iterator[int]:
    """Yield the lines at which one of the names is used outside an annotation."""
    if isinstance(tree, ast.Name) and tree.id in names:
        yield tree.lineno
    for field, value in ast.iter_fields(tree):
        if field not in ("annotation", "returns"):
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.AST):
                    yield from _expressions(node, names)


def test_every_module_of_the_engine_is_a_door_or_behind_one() -> None:
    config = tomllib.loads((ADDON.parent / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    (doors,) = (each for each in contracts if each["name"].startswith("The engine has"))
    behind = {name.removeprefix("addon.engine.").removesuffix(".*") for name in doors["protected_modules"]}
    found = {path.stem for path in ENGINE.iterdir() if path.name != "__pycache__"}
    assert found == behind | DOORS
