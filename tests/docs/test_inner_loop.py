"""`make check` leaves out what is slow and named so, and still runs tests of every room."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SLOW

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_the_inner_loop_runs_tests_of_every_room() -> None:
    [selection] = re.findall(r"pytest -m '([^']*not slow[^']*)'", (ROOT / "Makefile").read_text())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    words = [sys.executable, "-m", "pytest", "--collect-only", "--numprocesses", "0", "-m", selection]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    chosen = {Path(line.partition("::")[0]) for line in done.stdout.splitlines() if "::" in line}
    folders = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert {path.parts[1] for path in chosen if len(path.parts) > 2} == folders - {"benchmarks", "e2e", "soak"}


def test_everything_that_is_called_slow_is_there() -> None:
    there = {path.stem for path in (ROOT / "tests").rglob("*") if path.is_dir() or path.suffix == ".py"}
    assert SLOW.keys() - there == set()
