"""The house as it is built: its rooms, the imports between them, and what an import goes past.

`make house` prints it; `--past` also lists every import past a door. A room is a package below `addon`, a loose module
there, or `descriptor`. A door is what its `__init__` names in `__all__`, or one of DOORS. A circle exits with 1.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

ROOTS = ("addon", "descriptor")
DOORS = frozenset(
    {"addon.base.bounds", "addon.base.resources", "addon.base.sweep", "addon.confluence.cql", "addon.engine.job"}
    | {"addon.engine.scale", "addon.jobs.statuses"}
)
"""Modules that other rooms may import although they are not the `__init__` of a room."""


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One import of another room. `past`: it names a module behind the room's door."""

    source: str
    target: str
    past: bool


@dataclass
class House:
    """The modules below a folder, read as text: nothing is imported."""

    root: Path
    modules: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in sorted(path for name in ROOTS for path in (self.root / name).rglob("*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            self.modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    @cached_property
    def trees(self) -> Mapping[str, ast.Module]:
        """The modules as syntax trees, by name."""
        return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.modules.items()}

    @cached_property
    def imports(self) -> list[Import]:
        """Which module imports which of another room, also inside functions and for types only."""
        found = {Import(source, *target) for source in self.trees for target in self._targets(source)}
        return sorted(each for each in found if room(each.source) != room(each.target))

    @cached_property
    def arrows(self) -> Counter[tuple[str, str]]:
        """(room, room) -> number of imports."""
        return Counter((room(each.source), room(each.target)) for each in self.imports)

    def _targets(self, source: str) -> Iterator[tuple[str, bool]]:
        """Yield what a module imports of ours, each with whether it is behind a door."""
        for node in ast.walk(self.trees[source]):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            for name in names:
                package = name if isinstance(node, ast.Import) else self._package(source, node)
                if package not in self.modules:
                    continue
                module = f"{package}.{name}"
                if (package.count(".") == 1 or package in DOORS) and name in self._offered(package):
                    yield package, False
                elif isinstance(node, ast.ImportFrom) and module in self.modules:
                    yield module, module.count(".") > 1 and module not in DOORS
                else:
                    yield package, package.count(".") > 1 and package not in DOORS

    def _package(self, source: str, node: ast.AST) -> str:
        assert isinstance(node, ast.ImportFrom)
        if not node.level:
            return node.module or ""
        here = source.split(".") if self.modules[source].name == "__init__.py" else source.split(".")[:-1]
        return ".".join([*here[: len(here) - node.level + 1], *filter(None, [node.module])])

    def _offered(self, package: str) -> set[str]:
        for node in self.trees[package].body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return set(ast.literal_eval(node.value))
        return set()

    def circles(self) -> list[list[str]]:
        """Return the groups of rooms of which each imports, by whatever way, all others."""
        reach = {name: {name} for name in map(room, self.modules)}
        while any(reach[to] - reach[by] for by, to in self.arrows):
            for by, to in self.arrows:
                reach[by] |= reach[to]
        groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in reach}
        return sorted(sorted(group) for group in groups if len(group) > 1)

    def uncovered(self) -> list[str]:
        """Return the modules that no contract of import-linter speaks of."""
        settings = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        named: set[str] = set()
        for contract in settings["tool"]["importlinter"]["contracts"]:
            inside = [f"{container}." for container in contract.get("containers", ())] or [""]
            named |= {each.rstrip(".") for each in inside if contract.get("exhaustive")}
            for key in ("layers", "modules", "source_modules", "protected_modules"):
                for entry in contract.get(key, ()):
                    parts = (part.strip(" ()") for part in entry.replace(":", "|").split("|"))
                    named |= {f"{container}{part}" for part in parts for container in inside}
        return [
            module
            for module in self.modules
            if not any(fnmatchcase(module, name) or module.startswith(f"{name}.") for name in named)
        ]

    def comments(self) -> float:
        """Return the lines that are nothing but a comment, among a thousand."""
        lines = [line.strip() for path in self.modules.values() for line in path.read_text("utf-8").splitlines()]
        return 1000 * sum(line.startswith("#") for line in lines) / max(len(lines), 1)


def room(module: str) -> str:
    """Return the room of a module."""
    first, *rest = module.split(".")
    return first if first != "addon" or not rest else rest[0]


def draw(house: House, *, past: bool = False) -> Iterator[str]:
    """Yield the lines that say what the house looks like; with `past` also each import past a door."""
    sizes = Counter(map(room, house.modules))
    behind = [each for each in house.imports if each.past]
    highest = Counter({name: len({to for by, to in house.arrows if by == name}) for name in sizes})
    yield f"{'room':<12} modules  imports of"
    for name, _ in sorted(highest.items(), key=lambda each: (-each[1], each[0])):
        to = ", ".join(f"{other} {number}" for (by, other), number in sorted(house.arrows.items()) if by == name)
        yield f"{name:<12} {sizes[name]:>7}  {to or '-'}"
    circles = house.circles()
    yield f"\nmodules: {len(house.modules)}"
    yield f"circles between rooms: {len(circles)}" + "".join(f"\n  {' <-> '.join(each)}" for each in circles)
    yield f"imports between rooms: {len(house.imports)}, past a door: {len(behind)}"
    yield from (f"  {each.source} -> {each.target}" for each in behind if past)
    uncovered = house.uncovered()
    yield f"modules in no import-linter contract: {len(uncovered)}" + "".join(f"\n  {each}" for each in uncovered)
    yield f"comment lines per 1,000: {house.comments():.1f}"


if __name__ == "__main__":
    built = House(Path(__file__).parent.parent)
    sys.stdout.write("\n".join(draw(built, past="--past" in sys.argv)) + "\n")
    sys.exit(bool(built.circles()))
