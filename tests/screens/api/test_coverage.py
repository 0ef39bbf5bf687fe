"""A successful run that could not reach everything says so next to its status."""

from __future__ import annotations

from typing import Any

import pytest

from addon.engine import RunSpace
from tests.screens.conftest import SAM, House

MISSING = "no longer visible or deleted"


def listing(house: House, *, lost: str | None = None, reason: str = MISSING) -> None:
    """Let the job list DOCS and ENG, one of them perhaps as skipped."""
    spaces = [
        RunSpace(
            house.site.space(key).id,
            key,
            key.title(),
            state="skipped" if key == lost else "pending",
            reason=reason if key == lost else None,
        )
        for key in ("DOCS", "ENG")
    ]
    house.jobs["refresh-statuses"].listing = lambda _run: spaces


def shown(house: House, execution_id: str, **query: Any) -> dict[str, Any]:
    answer = house.get(f"/executions/{execution_id}", **query)
    assert answer.status_code == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def test_a_run_that_reached_everything_is_complete(house: House) -> None:
    listing(house)
    found = shown(house, house.run())
    assert (found["status"], found["coverage"], found["spacesUnseen"]) == ("successful", "complete", 0)


@pytest.mark.parametrize("reason", [MISSING, "archived meanwhile"])
def test_a_space_that_could_not_be_seen_makes_a_successful_run_incomplete(house: House, reason: str) -> None:
    listing(house, lost="ENG", reason=reason)
    found = shown(house, house.run())
    assert (found["status"], found["coverage"], found["spacesUnseen"]) == ("successful", "incomplete", 1)
    [entry] = house.get("/executions").json["items"]
    assert entry["coverage"] == "incomplete"


def test_a_space_that_an_administrator_excludes_is_not_missed(house: House) -> None:
    listing(house, lost="ENG", reason="excluded by rule: space ENG")
    assert shown(house, house.run())["coverage"] == "complete"


@pytest.mark.parametrize("metric", ["contentsReadOnly", "contentsNotAllowed"])
def test_contents_that_the_app_may_not_change_make_it_incomplete(house: House, metric: str) -> None:
    listing(house)
    house.jobs["refresh-statuses"].call = lambda _run, space: {metric: 2 if space.key == "ENG" else 0}
    assert shown(house, house.run())["coverage"] == "incomplete"


def test_nothing_is_said_of_the_coverage_of_a_run_that_goes_on(house: House) -> None:
    started = house.start().json
    assert started["coverage"] is None


def test_a_spaces_administrator_learns_of_the_coverage_of_that_space_only(house: House) -> None:
    listing(house)
    house.jobs["refresh-statuses"].call = lambda _run, space: {"contentsReadOnly": 2 if space.key == "ENG" else 0}
    execution_id = house.run()
    assert shown(house, execution_id)["coverage"] == "incomplete"
    assert shown(house, execution_id, account=SAM, spaceKey="DOCS")["coverage"] == "complete"
