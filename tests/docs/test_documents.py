"""The documents speak of what is there: every setting, every test that the threat model leans on."""

import re
from importlib.metadata import distributions
from pathlib import Path

from packaging.specifiers import SpecifierSet

from addon.config import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_documented() -> None:
    guide = (ROOT / "docs" / "operating.md").read_text()
    documented = set(re.findall(r"^\| `(STEWARD_[A-Z_]+)` \|", guide, re.MULTILINE))
    assert documented == {f"STEWARD_{name.upper()}" for name in Settings.model_fields}


def test_every_proof_in_the_threat_model_is_a_test() -> None:
    proofs = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text()))
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }
    assert proofs
    assert proofs - tests == set()


def test_every_picture_in_the_readme_is_there() -> None:
    pictures = re.findall(r"\]\((docs/screenshots/[^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []


def test_every_pinned_package_runs_on_the_oldest_python_that_is_promised() -> None:
    oldest = "3.11.0"
    too_new = {
        f"{found.metadata['Name']} {found.version}": wanted
        for found in distributions()
        if (wanted := found.metadata["Requires-Python"]) and oldest not in SpecifierSet(wanted)
    }
    assert too_new == {}


def test_every_decision_is_in_the_index_under_its_own_title() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", (folder / "README.md").read_text(), re.MULTILINE)
    written = [(path.read_text().splitlines()[0].removeprefix("# "), path.name) for path in folder.glob("[0-9]*.md")]
    assert sorted(listed) == sorted(written)
