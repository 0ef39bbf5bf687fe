"""Random histories of people, workers, deaths and time leave the engine's promises whole, on both databases.

HYPOTHESIS_PROFILE=soak explores more than the short profile, at random instead of the same each time, and STEWARD_SOAK
multiplies it; a failure prints the blob that repeats it. `make soak-model` does so.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from addon.base import Database
from tests.engine.dying import SQL
from tests.engine.model import explore

PROFILES = {
    "ci": {"sqlite": (12, 40), "postgresql": (4, 40)},
    "soak": {"sqlite": (600, 80), "postgresql": (200, 80)},
}
"""By profile and database: examples, and the most steps of each."""
PROFILE = "soak" if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else "ci"
TIMES = int(os.environ.get("STEWARD_SOAK", "1"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(300 if PROFILE == "ci" else 0)
@SQL
def test_no_history_breaks_a_promise_of_the_engine(
    backend: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    soak = PROFILE == "soak"
    examples, steps = PROFILES[PROFILE][backend]
    effort = explore(database, examples * (TIMES if soak else 1), steps, random=soak)
    assert effort.examples >= examples
    assert effort.steps > 10 * examples, "histories are long enough to get anywhere"
    with capsys.disabled():
        os.write(1, f"\nmodel on {backend}: {effort.examples} histories, {effort.steps} steps\n".encode())
