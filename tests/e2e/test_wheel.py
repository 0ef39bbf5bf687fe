"""The built wheel, installed in an empty environment, serves the descriptor and the Jobs screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from addon.base import SystemClock
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import ADMIN, Site
from tests.e2e.stack import stack_over

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The `steward` command of a new environment that holds the wheel and what it asks for, and nothing else."""
    wheels, environment = tmp_path / "wheels", tmp_path / "environment"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    [wheel] = wheels.glob("content_steward-*.whl")
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        environment,
        "--quiet",
        "--disable-pip-version-check",
    ]
    run(*pip, "install", "--no-compile", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    return environment / "bin" / "steward"


@pytest.mark.timeout(300)
def test_the_wheel_in_an_empty_environment_serves_the_descriptor_and_the_jobs_screen(
    installed: Path, tmp_path: Path
) -> None:
    demo = subprocess.run([installed, "demo"], capture_output=True, text=True, check=False, timeout=60)
    assert demo.returncode == 1
    assert "[demo]" in demo.stderr, "a server needs nothing of the demo, and says what the demo needs"
    site = Site(SystemClock())
    seed_sized(site, spaces=2, pages=10)
    with stack_over(site, tmp_path, command=[str(installed)]) as stack:
        descriptor = requests.get(f"{stack.base_url}/atlassian-connect.json", timeout=10).json()
        assert descriptor["key"] == "content-steward"
        assert descriptor["baseUrl"] == stack.base_url

        page = requests.get(site.host.page_url(ADMIN, "site-jobs"), timeout=10)
        assert page.status_code == 200
        assert "Content Steward" in page.text

        assert stack.run("refresh-statuses")["status"] == "successful"
