"""The page that follows a request, a run, a tick and a crash agrees with its picture and with the code."""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pictures"] = module
    spec.loader.exec_module(module)
    return module


def test_the_picture_in_the_repository_is_what_the_script_draws(pictures: ModuleType) -> None:
    assert pictures.FILE.read_text(encoding="utf-8") == pictures.picture(), "run: python docs/pictures.py"


def test_the_rooms_in_the_picture_exist(pictures: ModuleType) -> None:
    names = [name for box in (*pictures.ROOMS, *pictures.PARTS) for name in box.name.split(", ")]
    assert [name for name in names if find_spec(f"addon.{name}") is None] == []


def test_no_room_is_missing_from_the_picture(pictures: ModuleType) -> None:
    packages = {path.parent.name for path in (ROOT / "addon").glob("*/__init__.py")}
    drawn = {box.name for box in pictures.ROOMS}
    assert packages - drawn == {"migrations", "sandbox"}


def test_each_step_of_the_page_is_in_the_picture_once_and_in_order(pictures: ModuleType) -> None:
    told = re.findall(r"^\*\*([A-Z]\d)\*\*", PAGE, re.MULTILINE)
    assert set(told) == pictures.steps()
    assert told == sorted(told, key=lambda step: (list(pictures.STORIES).index(step[0]), step))


def test_every_module_and_file_that_the_page_names_exists() -> None:
    modules = re.findall(r"`(addon(?:\.\w+)+)`", PAGE)
    files = re.findall(r"`((?:addon|tests)/[\w./]+)`", PAGE)
    assert [name for name in modules if find_spec(name) is None] == []
    assert [name for name in files if not (ROOT / name).exists()] == []
