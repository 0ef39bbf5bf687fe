"""Trying the failed spaces of an execution again by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from addon.engine import StartRequest
from addon.engine.job import Run, RunSpace
from tests.screens.conftest import ADMIN, EVE, SAM, House
from tests.support.fakejob import FakeJob, Trouble

UNKNOWN = "00000000-0000-7000-8000-000000000000"


def failing(house: House, *keys: str, job: str = "refresh-statuses") -> FakeJob:
    """Let these spaces fail permanently from now on."""

    def call(run: Run, space: RunSpace) -> dict[str, Any]:
        if space.key in keys:
            raise Trouble("403: no permission", transient=False)
        return {}

    found = house.jobs[job]
    found.call = call
    return found


def mended(house: House) -> FakeJob:
    return failing(house)


def retry(house: House, execution: str, **options: Any) -> Any:
    return house.call("POST", f"/executions/{execution}/retry", **options)


def spaces_of(house: House, execution: str) -> dict[str, str]:
    rows = house.get(f"/executions/{execution}/spaces").json["items"]
    return {row["spaceKey"]: row["status"] for row in rows}


def test_a_retry_does_exactly_the_spaces_that_failed(house: House) -> None:
    failing(house, "A", "C")
    failed = house.run()
    assert house.get(f"/executions/{failed}").json["mayRetry"] is True
    job = mended(house)
    job.worked.clear()
    started = retry(house, failed)
    assert started.status_code == 201, started.json
    accepted = started.json
    assert started.headers["Location"] == f"/api/executions/{accepted['id']}"
    assert (accepted["retryOf"], accepted["trigger"], accepted["startedBy"]) == (failed, "manual", ADMIN)
    assert (accepted["scope"], accepted["attempt"]) == ("site", 1)
    house.parts.engine.run_due()
    assert job.worked == ["A", "C"]
    assert spaces_of(house, accepted["id"]) == {"A": "done", "C": "done"}
    assert house.row(accepted["id"]).status == "successful"
    old = house.get(f"/executions/{failed}").json
    assert (old["status"], old["retriedBy"], old["mayRetry"]) == ("failed", accepted["id"], False)


def test_of_a_retry_that_fails_the_retry_is_retried_and_not_the_first_run_again(house: House) -> None:
    failing(house, "A", "C")
    failed = house.run()
    failing(house, "C")
    second = retry(house, failed).json["id"]
    house.parts.engine.run_due()
    again = retry(house, failed)
    assert again.status_code == 409
    assert "tried again already" in again.json["detail"]
    mended(house)
    third = retry(house, second).json["id"]
    house.parts.engine.run_due()
    assert spaces_of(house, third) == {"C": "done"}


def test_a_cancelled_retry_has_taken_over_nothing(house: House) -> None:
    failing(house, "B")
    failed = house.run()
    second = retry(house, failed).json["id"]
    assert house.get("/executions").json["items"][1]["mayRetry"] is False
    house.call("POST", f"/executions/{second}/cancel")
    assert house.get("/executions").json["items"][1]["mayRetry"] is True
    assert retry(house, failed).status_code == 201


def test_while_another_runs_a_retry_is_refused_and_names_it(house: House) -> None:
    failing(house, "B")
    failed = house.run()
    running = house.start("send-notifications").json["id"]
    answer = retry(house, failed)
    assert answer.status_code == 409
    assert answer.json["execution"]["id"] == running
    assert "Send notifications is running over all included spaces" in answer.json["detail"]


def test_only_what_failed_is_retried(house: House) -> None:
    done = house.run()
    running = house.start().json["id"]
    for execution, status in ((done, "successful"), (running, "running")):
        answer = retry(house, execution)
        assert answer.status_code == 409
        assert answer.content_type == "application/problem+json"
        assert f"this one is {status}" in answer.json["detail"]
        assert house.get(f"/executions/{execution}").json["mayRetry"] is False


def test_a_run_that_failed_before_it_knew_its_spaces_has_none_to_retry(house: House) -> None:
    def listing(run: Run) -> list[RunSpace]:
        raise RuntimeError("no list")

    house.jobs["refresh-statuses"].listing = listing
    failed = house.run()
    assert house.get(f"/executions/{failed}").json["mayRetry"] is False
    answer = retry(house, failed)
    assert answer.status_code == 409
    assert "Start the job again" in answer.json["detail"]


def test_a_retry_by_hand_ends_the_schedules_own_retry_and_works_while_all_is_held(house: House) -> None:
    job = house.jobs["refresh-statuses"]
    job.call = lambda run, space: (_ for _ in ()).throw(Trouble("503", transient=True))
    with house.parts.db.write(house.tenant_id) as session:
        row = house.parts.engine.start(
            session, StartRequest(tenant_id=house.tenant_id, job_type=job.type, scope="site", trigger="scheduled")
        )
    house.parts.engine.run_due()
    assert house.get(f"/executions/{row.id}").json["nextRetry"] is not None
    house.call("POST", "/hold", json={"on": True})
    assert retry(house, row.id).status_code == 201
    assert house.get("/jobs").json["retries"] == []
    house.parts.engine.run_due()
    assert house.get("/jobs").json["retries"] == [], "a run by hand is not retried automatically"


def test_a_retry_takes_the_newest_policies_and_stays_a_dry_run(house: House) -> None:
    failing(house, "B", job="execute-automations")
    failed = house.run("execute-automations", dryRun=True)
    policies = house.get("/policies")
    version = house.call(
        "PUT",
        "/policies",
        json=policies.json | {"listLargeSpaces": True},
        headers={"If-Match": policies.headers["ETag"]},
    )
    assert version.status_code == 200, version.json
    started = retry(house, failed).json
    assert started["dryRun"] is True
    assert house.row(started["id"]).policy_version == house.row(failed).policy_version + 1


def test_a_retry_belongs_to_those_who_may_start_that_scope(house: House) -> None:
    failing(house, "B", "DOCS")
    site_run = house.run()
    space_run = house.run(scope="space", spaceKey="DOCS", account=SAM)
    assert retry(house, site_run, account=SAM).status_code == 403
    assert house.call("POST", f"/executions/{site_run}/retry?spaceKey=DOCS", account=SAM).status_code == 404
    for execution in (site_run, space_run):
        assert retry(house, execution, account=EVE).status_code == 403
    assert retry(house, UNKNOWN).status_code == 404
    mended(house)
    started = house.call("POST", f"/executions/{space_run}/retry?spaceKey=DOCS", account=SAM)
    assert started.status_code == 201, started.json
    assert (started.json["scope"], started.json["spaceKey"], started.json["startedBy"]) == ("space", "DOCS", SAM)
    house.parts.engine.run_due()
    assert spaces_of(house, started.json["id"]) == {"DOCS": "done"}


def test_another_tenants_failure_is_not_retried(house: House, stranger: Callable[[], str]) -> None:
    assert retry(house, stranger()).status_code == 404


def test_a_space_that_is_gone_or_excluded_meanwhile_is_not_retried(house: House) -> None:
    failing(house, "DOCS")
    failed = house.run(scope="space", spaceKey="DOCS")
    house.site.remove_space("DOCS")
    house.clock.advance(timedelta(minutes=2))
    assert retry(house, failed).status_code == 422
    house.site.add_space("DOCS", "Another space of this key", admins=[SAM])
    house.clock.advance(timedelta(minutes=2))
    answer = retry(house, failed)
    assert answer.status_code == 422
    assert "is gone" in answer.json["detail"]


def test_a_job_that_cannot_run_says_what_is_missing(house: House) -> None:
    refused = "No mail transport is configured."
    failing(house, "B", job="send-notifications")
    failed = house.run("send-notifications")
    house.jobs["send-notifications"].refusal = refused
    answer = retry(house, failed)
    assert (answer.status_code, answer.json["detail"]) == (422, refused)
