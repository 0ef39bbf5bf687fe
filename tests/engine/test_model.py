"""Random histories of people, workers, deaths and time leave the engine's promises whole, on both databases."""

from __future__ import annotations

import logging
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from addon.base import Database
from tests.engine.dying import SQL
from tests.engine.model import EngineModel

SHORT = {"sqlite": (20, 40), "postgresql": (6, 30)}
"""By database: examples, and steps of each."""
LONG = {"sqlite": (400, 80), "postgresql": (120, 80)}


def explore(db: Database, examples: int, steps: int) -> None:
    machine = type("Model", (EngineModel,), {"db": db})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.timeout(300)
@SQL
def test_no_history_breaks_a_promise_of_the_engine(backend: str, database: Database) -> None:
    explore(database, *SHORT[backend])


@pytest.mark.long
@pytest.mark.timeout(3600)
@SQL
def test_no_long_history_breaks_a_promise_of_the_engine(backend: str, database: Database) -> None:
    examples, steps = LONG[backend]
    explore(database, examples * int(os.environ.get("STEWARD_SOAK", "1")), steps)
