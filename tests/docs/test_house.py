"""The script that draws the house sees every import, tells doors from walls, and finds circles."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "house.py"
CONTRACTS = """
[[tool.importlinter.contracts]]
name = "layers"
type = "layers"
layers = ["addon.top | addon.side", "addon.low"]
"""


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A house of two rooms and a loose module."""
    modules = {
        "addon/__init__.py": "",
        "addon/low/__init__.py": "from addon.low.inner import thing\n__all__ = ['thing']\n",
        "addon/low/inner.py": "# why it is one\nthing = 1\n",
        "addon/top/__init__.py": "from addon.low import thing\nfrom addon.low.inner import thing as again\n",
        "addon/loose.py": "def late():\n    import addon.top\n    from addon.low import inner\n",
        "descriptor/__init__.py": "",
        "pyproject.toml": CONTRACTS,
    }
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_an_import_of_what_a_room_offers_goes_through_its_door_and_any_other_past_it(
    drawing: ModuleType, small: Path
) -> None:
    found = {(each.source, each.target, each.past) for each in drawing.House(small).imports}
    assert found == {
        ("addon.top", "addon.low", False),
        ("addon.top", "addon.low.inner", True),
        ("addon.loose", "addon.top", False),
        ("addon.loose", "addon.low.inner", True),
    }


def test_arrows_are_counted_between_rooms_only(drawing: ModuleType, small: Path) -> None:
    assert drawing.House(small).arrows == {("top", "low"): 2, ("loose", "top"): 1, ("loose", "low"): 1}


def test_rooms_that_import_each_other_by_a_third_are_a_circle(drawing: ModuleType, small: Path) -> None:
    assert drawing.House(small).circles() == []
    (small / "addon/low/inner.py").write_text("from addon.loose import late\n")
    assert drawing.House(small).circles() == [["loose", "low", "top"]]


def test_a_module_that_no_contract_names_is_listed(drawing: ModuleType, small: Path) -> None:
    assert drawing.House(small).uncovered() == ["addon", "addon.loose", "descriptor"]


def test_lines_that_are_nothing_but_a_comment_are_counted(drawing: ModuleType, small: Path) -> None:
    assert drawing.House(small).comments() == pytest.approx(1000 / 9)


def test_this_house_has_no_circles() -> None:
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout
    assert "circles between rooms: 0" in run.stdout


def test_only_the_list_of_all_tables_goes_past_a_door_and_every_module_is_in_a_contract(drawing: ModuleType) -> None:
    house = drawing.House(ROOT)
    assert {each.source for each in house.imports if each.past} == {"addon.migrations.tables"}
    assert house.uncovered() == []
