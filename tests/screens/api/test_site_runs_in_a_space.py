"""A run over the whole site, as the administrators of one space see it: what it did there, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from addon.engine.job import Item, Run, RunSpace
from tests.screens.conftest import ADMIN, SAM, House
from tests.support.fakejob import Trouble


@pytest.fixture
def archived(house: House) -> str:
    """A run of automations over DOCS and ENG, which archives in DOCS and fails in ENG; return its id."""

    def act(run: Run, space: RunSpace) -> dict[str, int]:
        with run.write() as session:
            run.items(session, [Item(space, f"{space.id}7", "archive", "done", title=f"Old page of {space.key}")])
        if space.key == "ENG":
            raise Trouble("403: Engineering keeps the app out", transient=False)
        return {"contentsMatched": 3, "contentsArchived": 3}

    job = house.jobs["execute-automations"]
    job.listing = lambda run: [run_space(house, key) for key in ("ENG", "DOCS")]
    job.call = act
    return house.run("execute-automations")


def run_space(house: House, key: str) -> RunSpace:
    space = house.site.space(key)
    return RunSpace(space.id, key, space.name)


def seen_by_sam(house: House, path: str, **query: Any) -> Any:
    answer = house.get(path, account=SAM, spaceKey="DOCS", **query)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_the_spaces_log_lists_it_with_what_it_did_there(house: House, archived: str) -> None:
    (row,) = seen_by_sam(house, "/executions")["items"]
    assert (row["id"], row["scope"], row["status"], row["restricted"]) == (archived, "site", "failed", True)
    assert (row["spaceResult"]["spaceKey"], row["spaceResult"]["status"]) == ("DOCS", "done")
    assert row["metrics"] == {"contentsMatched": 3, "contentsArchived": 3}
    assert row["progress"]["spacesTotal"] == row["progress"]["spacesDone"] == 1


def test_its_page_shows_the_space_and_the_contents_of_that_space(house: House, archived: str) -> None:
    detail = seen_by_sam(house, f"/executions/{archived}")
    assert detail["spaceResult"]["metrics"] == detail["metrics"]
    assert [row["spaceKey"] for row in seen_by_sam(house, f"/executions/{archived}/spaces")["items"]] == ["DOCS"]
    items = seen_by_sam(house, f"/executions/{archived}/items")["items"]
    assert [item["title"] for item in items] == ["Old page of DOCS"]


def test_nothing_of_another_space_is_in_any_of_it(house: House, archived: str) -> None:
    for path in ("/executions", f"/executions/{archived}", f"/executions/{archived}/spaces",
                 f"/executions/{archived}/items", "/jobs"):  # fmt: skip
        text = json.dumps(seen_by_sam(house, path))
        assert "ENG" not in text, path
        assert "Engineering" not in text, path
        assert ADMIN not in text, path
    assert house.call("POST", f"/executions/{archived}/retry?spaceKey=DOCS", account=SAM).status_code == 403
    assert house.call("POST", f"/executions/{archived}/cancel?spaceKey=DOCS", account=SAM).status_code == 403


def test_a_space_that_failed_is_told_why_though_only_its_own_failure(house: House, archived: str) -> None:
    house.site.add_space("OTHER", "Other", admins=[SAM])
    (row,) = house.get("/executions", account=ADMIN, spaceKey="ENG").json["items"]
    assert row["spaceResult"]["status"] == "failed"
    assert row["spaceResult"]["reason"] == "403: Engineering keeps the app out"
    assert house.get("/executions", account=SAM, spaceKey="OTHER").json["items"] == []
    assert house.get(f"/executions/{archived}", account=SAM, spaceKey="OTHER").status_code == 404


def test_while_it_goes_on_its_progress_and_the_spaces_own_part_are_there(house: House) -> None:
    seen: list[Any] = []

    def look(run: Run, space: RunSpace) -> dict[str, int]:
        if space.key == "ENG":
            seen.append(seen_by_sam(house, "/jobs")["current"])
        return {"statusesChanged": 2}

    job = house.jobs["refresh-statuses"]
    job.listing = lambda run: [run_space(house, key) for key in ("DOCS", "ENG")]
    job.call = look
    house.run()
    (current,) = seen
    assert current["restricted"] is True
    assert current["progress"]["spacesTotal"] == 2
    assert (current["metrics"], current["runningSpaces"]) == (None, [])
    assert current["spaceResult"]["status"] in ("done", "running")


def test_a_later_space_of_the_same_key_inherits_no_log(house: House, archived: str) -> None:
    house.site.remove_space("DOCS")
    house.site.add_space("DOCS", "New docs", admins=[SAM])
    house.clock.advance(timedelta(minutes=16))
    assert seen_by_sam(house, "/executions")["items"] == []
    assert house.get(f"/executions/{archived}", account=SAM, spaceKey="DOCS").status_code == 404


def test_the_spaces_log_is_filtered_by_scope(house: House, archived: str) -> None:
    own = house.run(scope="space", spaceKey="DOCS")
    found = {scope: [row["id"] for row in seen_by_sam(house, "/executions", scope=scope)["items"]]
             for scope in ("space", "site")}  # fmt: skip
    assert found == {"space": [own], "site": [archived]}
