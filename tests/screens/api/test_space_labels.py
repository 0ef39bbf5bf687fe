"""Spaces that are selected by their labels: every screen says of them what the jobs do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.engine import Lane
from addon.engine.job import Run, RunSpace
from tests.screens.conftest import House
from tests.support.fakejob import Trouble

STRICT = {
    "id": "strict",
    "name": "Strict",
    "entries": [{"status": "expired", "cql": 'lastmodified < now("-1M")'}, {"status": "up-to-date"}],
}


@pytest.fixture
def labelled(house: House) -> House:
    """A site with a space for rules of its own and one that is left alone, both known by their labels only."""
    house.site.add_space("OPS", "Operations", labels=["strict"], admins=["u-ola"])
    house.site.add_space("OLD", "Old things", labels=["old"], admins=["u-ola"])
    change(
        house,
        excludedSpaces=[{"label": "old"}],
        assignments=[{"space": {"label": "strict"}, "statusScheme": "strict"}],
        schemes=[STRICT],
    )
    return house


def change(house: House, *, schemes: list[dict[str, Any]], **fields: Any) -> None:
    before = house.get("/policies")
    document = before.json | fields
    document["statusSchemes"] += schemes
    put = house.call("PUT", "/policies", json=document, headers={"If-Match": before.headers["ETag"]})
    assert put.status_code == 200, put.json


def test_the_jobs_screen_of_a_space_excluded_by_its_label_says_so_and_offers_nothing(labelled: House) -> None:
    jobs = labelled.get("/jobs", spaceKey="OLD").json
    assert jobs["space"]["excluded"] == "excluded by rule: spaces labelled old"
    assert not any(job["startable"] for job in jobs["items"])
    assert labelled.get("/jobs", spaceKey="OPS").json["space"]["excluded"] is None


def test_nothing_is_started_or_retried_in_a_space_excluded_by_its_label(labelled: House) -> None:
    answer = labelled.start(scope="space", spaceKey="OLD")
    assert answer.status_code == 422
    assert answer.json["detail"] == "The space OLD is excluded by rule: spaces labelled old."

    def fails(run: Run, space: RunSpace) -> dict[str, int]:
        raise Trouble("403: no permission", transient=False)

    labelled.jobs["refresh-statuses"].call = fails
    failed = labelled.run(scope="space", spaceKey="OPS")
    labelled.site.space("OPS").labels = ("strict", "old")
    labelled.clock.advance(timedelta(minutes=2))
    again = labelled.call("POST", f"/executions/{failed}/retry?spaceKey=OPS")
    assert again.status_code == 422
    assert "labelled old" in again.json["detail"]


def test_the_overview_counts_a_space_by_the_scheme_of_its_label(labelled: House) -> None:
    rows = {row["key"]: row for row in labelled.get("/overview", keys="OPS,OLD,DOCS").json["items"]}
    assert rows["OPS"]["scheme"] == "Strict"
    assert [cell["status"] for cell in rows["OPS"]["cells"]] == ["expired", "up-to-date"]
    assert rows["OLD"]["note"] == "excluded by rule: spaces labelled old"
    assert rows["DOCS"]["scheme"] == "Freshness"
    assert labelled.get("/overview", spaceKey="OPS").json["items"][0]["scheme"] == "Strict"


def test_the_first_run_counts_and_leaves_out_by_labels(labelled: House) -> None:
    with labelled.parts.db.write(labelled.tenant_id) as session:
        lane = session.get(Lane, labelled.tenant_id)
        assert lane is not None
        lane.first_run = True
    before = labelled.get("/first-run").json
    assert {space["key"]: space["reason"] for space in before["spaces"] if not space["included"]} == {
        "OLD": "excluded by rule: spaces labelled old"
    }
    expired = {each["status"]: each["contents"] for each in before["counts"]}["expired"]
    labelled.site.add_page("OPS", "Two months old", created_at=labelled.clock.now() - timedelta(days=60))
    labelled.site.add_page("DOCS", "As old, in a space with two years", created_at=labelled.clock.now())
    labelled.clock.advance(timedelta(minutes=3))
    after = {each["status"]: each["contents"] for each in labelled.get("/first-run").json["counts"]}
    assert after["expired"] == expired + 1


def test_polling_a_spaces_screen_asks_for_its_labels_once(labelled: House) -> None:
    labelled.get("/jobs", spaceKey="OPS")
    before = labelled.site.meter.points
    labelled.get("/jobs", spaceKey="OPS")
    assert labelled.site.meter.points == before
