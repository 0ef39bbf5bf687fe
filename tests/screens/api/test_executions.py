"""Starting, watching, cancelling and looking back over the JSON API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from addon.engine import StartRequest
from addon.engine.job import Run, RunSpace
from tests.screens.conftest import ADMIN, EVE, SAM, House
from tests.support.fakejob import Trouble, spaces


def test_a_started_execution_runs_and_its_results_are_there_at_once(house: House) -> None:
    started = house.start()
    assert started.status_code == 201
    accepted = started.json
    assert started.headers["Location"] == f"/api/executions/{accepted['id']}"
    assert accepted["status"] == "running"
    assert (accepted["job"], accepted["scope"], accepted["spaceKey"]) == ("refresh-statuses", "site", None)
    assert (accepted["trigger"], accepted["startedBy"], accepted["dryRun"]) == ("manual", ADMIN, False)
    house.parts.engine.run_due()
    ended = house.get(f"/executions/{accepted['id']}").json
    assert ended["status"] == "successful"
    assert ended["metrics"]["spacesProcessed"] == 3
    assert ended["metrics"]["contentsChecked"] == 30
    assert ended["progress"] | {"secondsLeft": None} == {
        "spacesDone": 3, "spacesFailed": 0, "spacesSkipped": 0, "spacesTotal": 3, "percent": 100, "secondsLeft": None,
    }  # fmt: skip
    assert ended["endedAt"] is not None
    assert house.get("/executions/current").json == {"execution": None}


def test_a_second_start_is_refused_and_told_what_is_in_the_way(house: House) -> None:
    first = house.start().json
    second = house.start("send-notifications")
    assert second.status_code == 409
    assert second.content_type == "application/problem+json"
    problem = second.json
    assert problem["execution"]["id"] == first["id"]
    assert problem["execution"]["startedBy"] == ADMIN
    assert "Refresh content statuses is running over all included spaces" in problem["detail"]
    assert "started by" in problem["detail"]
    assert "at 13:00 (Europe/Berlin)." in problem["detail"]


def test_the_times_of_a_refusal_are_in_the_readers_own_zone_where_the_screen_names_it(house: House) -> None:
    house.start()

    def refused(zone: str) -> str:
        body = {"job": "send-notifications", "scope": "site"}
        return str(house.call("POST", "/executions", json=body, headers={"Steward-Time-Zone": zone}).json["detail"])

    assert "at 07:00 (America/New_York)." in refused("America/New_York")
    house.clock.advance(timedelta(hours=12))
    assert "at 02:00 (Pacific/Kiritimati)." in refused("Pacific/Kiritimati")
    assert "at 21:00 on 22 November (Asia/Tokyo)." in refused("Asia/Tokyo")
    for odd in ("Nowhere/At-all", "localtime", "../../etc/passwd", "x" * 5000):
        assert "at 13:00 on 22 November (Europe/Berlin)." in refused(odd), odd


def test_of_two_starts_at_the_same_instant_one_wins(house: House) -> None:
    barrier = threading.Barrier(2)
    answers: list[int] = []

    def start() -> None:
        barrier.wait()
        answers.append(house.start().status_code)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [201, 409]


def test_a_space_run_is_over_that_space_only(house: House) -> None:
    started = house.start(scope="space", spaceKey="DOCS", account=SAM)
    assert started.status_code == 201, started.json
    assert started.json["spaceKey"] == "DOCS"
    house.parts.engine.run_due()
    rows = house.get(f"/executions/{started.json['id']}/spaces", account=SAM, spaceKey="DOCS").json
    assert [row["spaceKey"] for row in rows["items"]] == ["DOCS"]


NOT_MEANT: list[tuple[dict[str, object], str]] = [
    ({"job": "no-such-job", "scope": "site"}, "/job"),
    ({"job": "refresh-statuses", "scope": "space"}, "/spaceKey"),
    ({"job": "refresh-statuses", "scope": "site", "spaceKey": "DOCS"}, "/spaceKey"),
    ({"job": "refresh-statuses", "scope": "galaxy"}, "/scope"),
    ({"scope": "site"}, "/job"),
    ({"job": "refresh-statuses", "scope": "site", "dryRun": "yes"}, "/dryRun"),
    ({"job": "refresh-statuses", "scope": "site", "dryRun": True}, "/dryRun"),
    ({"job": "refresh-statuses", "scope": "site", "speed": 9}, "/speed"),
    ({"job": 5, "scope": "site"}, "/job"),
    ({"job": "refresh-statuses", "scope": "space", "spaceKey": "a b\u0000"}, "/spaceKey"),
]


def test_a_start_that_cannot_be_meant_names_the_field(house: House) -> None:
    for body, pointer in NOT_MEANT:
        answer = house.call("POST", "/executions", json=body)
        assert answer.status_code == 422, body
        assert answer.content_type == "application/problem+json"
        assert pointer in [error["pointer"] for error in answer.json["errors"]], body


GARBAGE = [
    (b"{", "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 5000, "application/json", 400),
    (b"", "application/json", 400),
    (b"[]", "application/json", 422),
    (b"null", "application/json", 422),
    (b"job=x", "application/x-www-form-urlencoded", 415),
    (b"{}", "text/plain", 415),
    (b'{"job": "' + b"x" * 70_000 + b'"}', "application/json", 413),
]


def test_garbage_gets_a_problem_document(house: House) -> None:
    for data, content_type, status in GARBAGE:
        answer = house.call("POST", "/executions", data=data, content_type=content_type)
        assert answer.status_code == status, data[:40]
        assert answer.content_type == "application/problem+json"
        assert answer.json["detail"]


def test_no_token_or_a_garbled_one_is_401(house: House) -> None:
    assert house.call("GET", "/jobs", account=None).status_code == 401
    answer = house.call("GET", "/jobs", account=None, headers={"Authorization": "JWT rubbish"})
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"


def test_a_job_that_cannot_run_says_what_is_missing(house: House) -> None:
    house.jobs["send-notifications"].refusal = "No mail transport is configured. Set STEWARD_SMTP_URL."
    answer = house.start("send-notifications")
    assert answer.status_code == 422
    assert answer.json["detail"] == "No mail transport is configured. Set STEWARD_SMTP_URL."


def test_a_space_that_is_hidden_archived_or_unknown_is_422_for_a_confluence_administrator(house: House) -> None:
    answer = house.start(scope="space", spaceKey="NOPE")
    assert answer.status_code == 422
    assert "cannot see the space NOPE" in answer.json["detail"]


def test_an_excluded_space_is_422_with_the_rule(house: House) -> None:
    house.site.add_space("~sam", "Sam", type="personal", admins=[SAM])
    answer = house.start(scope="space", spaceKey="~sam", account=SAM)
    assert answer.status_code == 422
    assert answer.json["detail"] == "The space ~sam is excluded by rule: personal spaces."


def test_cancel_ends_a_run_that_nobody_works_on_at_once_and_only_once(house: House) -> None:
    execution = house.start().json["id"]
    answer = house.call("POST", f"/executions/{execution}/cancel")
    assert answer.status_code == 202
    assert answer.json["status"] == "cancelled"
    again = house.call("POST", f"/executions/{execution}/cancel")
    assert again.status_code == 409
    assert "cancelled" in again.json["detail"]


def test_cancel_of_a_run_at_work_is_asked_for_and_reached_at_the_next_safe_point(house: House) -> None:
    answers: list[int] = []

    def call(run: Run, space: RunSpace) -> dict[str, int]:
        if not answers:
            answers.append(house.call("POST", f"/executions/{run.execution_id}/cancel").status_code)
            answers.append(house.start().status_code)
        return {}

    house.jobs["refresh-statuses"].call = call
    execution = house.run()
    assert answers == [202, 409]
    ended = house.get(f"/executions/{execution}").json
    assert ended["status"] == "cancelled"
    assert ended["progress"]["spacesTotal"] == 3


OF_ONE = [("GET", ""), ("GET", "/spaces"), ("GET", "/items"), ("POST", "/cancel"), ("POST", "/retry")]


def test_an_unknown_id_is_404(house: House) -> None:
    for execution_id in ["x", "00000000-0000-7000-8000-000000000000", "%00", "..%2f..", "1 or 1=1"]:
        for method, path in OF_ONE:
            answer = house.call(method, f"/executions/{execution_id}{path}")
            assert answer.status_code == 404, execution_id
            assert answer.content_type == "application/problem+json"


def test_another_tenants_execution_does_not_exist(house: House, stranger: Callable[[], str]) -> None:
    foreign = stranger()
    for method, path in OF_ONE:
        assert house.call(method, f"/executions/{foreign}{path}").status_code == 404
    assert house.get("/executions").json["items"] == []
    assert house.get("/executions/current").json == {"execution": None}
    assert house.start().status_code == 201


def test_the_audit_log_is_newest_first_paged_and_filtered(house: House) -> None:
    ids = []
    runs: list[tuple[str, dict[str, Any]]] = [
        ("refresh-statuses", {}),
        ("send-notifications", {}),
        ("execute-automations", {"dryRun": True}),
        ("refresh-statuses", {"scope": "space", "spaceKey": "DOCS"}),
    ]
    for job, body in runs:
        house.clock.advance(60)
        ids.append(house.run(job, **body))
    ids.reverse()
    everything = house.get("/executions").json
    assert [row["id"] for row in everything["items"]] == ids
    assert everything["nextCursor"] is None
    first = house.get("/executions", limit=3).json
    second = house.get("/executions", limit=3, cursor=first["nextCursor"]).json
    assert [row["id"] for row in first["items"] + second["items"]] == ids

    def found(**query: str) -> list[int]:
        return [ids.index(row["id"]) for row in house.get("/executions", **query).json["items"]]

    assert found(job="refresh-statuses") == [0, 3]
    assert found(scope="space") == [0]
    assert found(scope="site") == [1, 2, 3]
    assert found(spaceKey="DOCS") == [0]
    assert found(trigger="scheduled") == []
    assert found(status="successful", job="execute-automations") == [1]
    assert everything["items"][1]["dryRun"] is True


def test_a_query_that_cannot_be_meant_is_422(house: House) -> None:
    for query in [
        {"cursor": "rubbish"},
        {"cursor": "eyJhIjoxfQ"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "many"},
        {"limit": "+5"},
        {"limit": " 5"},
        {"limit": "05"},
        {"limit": "1_0"},
        {"limit": "5.0"},
        {"limit": "٥"},
        {"space_key": "DOCS"},
        {"status": "odd"},
        {"colour": "red"},
        {"spaceKey": "a b"},
        {"job": "\x00"},
    ]:
        answer = house.get("/executions", **query)
        assert answer.status_code == 422, query
        assert answer.content_type == "application/problem+json"
    assert house.call("GET", "/executions?limit=1&limit=2").status_code == 422


def test_the_log_of_a_space_that_is_gone_is_still_there_for_a_confluence_administrator(house: House) -> None:
    execution = house.run(scope="space", spaceKey="DOCS")
    house.site.remove_space("DOCS")
    house.clock.advance(timedelta(minutes=16))
    rows = house.get("/executions", spaceKey="DOCS").json["items"]
    assert [row["id"] for row in rows] == [execution]


def test_a_failed_space_is_named_with_its_reason(house: House) -> None:
    def call(run: Run, space: RunSpace) -> dict[str, int]:
        if space.key == "B":
            raise Trouble("Confluence answered 403: no permission to view this space.", transient=False)
        return {"contentsChecked": 5}

    house.jobs["refresh-statuses"].call = call
    execution = house.run()
    ended = house.get(f"/executions/{execution}").json
    assert ended["status"] == "failed"
    assert ended["failures"] == [
        {"spaceKey": "B", "reason": "Confluence answered 403: no permission to view this space."}
    ]
    failed = house.get(f"/executions/{execution}/spaces", status="failed").json["items"]
    assert [(row["spaceKey"], row["status"]) for row in failed] == [("B", "failed")]
    assert failed[0]["reason"].startswith("Confluence answered 403")


def test_progress_is_there_while_the_run_goes_on(house: House) -> None:
    seen: list[dict[str, object]] = []

    def call(run: Run, space: RunSpace) -> dict[str, int]:
        house.clock.advance(5)
        seen.append(house.get("/executions/current").json["execution"])
        return {}

    house.jobs["refresh-statuses"].listing = lambda run: spaces(*(f"S{n}" for n in range(10)))
    house.jobs["refresh-statuses"].call = call
    house.run()
    percents = [each["progress"]["percent"] for each in seen]  # type: ignore[index]
    assert percents == sorted(percents)
    assert percents[-1] == 90
    assert seen[-1]["progress"]["spacesTotal"] == 10  # type: ignore[index]
    assert seen[-1]["runningSpaces"] == ["S9"]
    assert seen[-1]["mayCancel"] is True


def test_a_retry_is_linked_to_the_run_it_repeats(house: House) -> None:
    job = house.jobs["refresh-statuses"]
    job.call = lambda run, space: (_ for _ in ()).throw(Trouble("503: try later", transient=True))
    with house.parts.db.write(house.tenant_id) as session:
        row = house.parts.engine.start(
            session,
            StartRequest(tenant_id=house.tenant_id, job_type="refresh-statuses", scope="site", trigger="scheduled"),
        )
    house.parts.engine.run_due()
    failed = house.get(f"/executions/{row.id}").json
    assert failed["status"] == "failed"
    assert failed["startedBy"] is None
    assert failed["nextRetry"]["attempt"] == 2
    assert failed["nextRetry"]["attempts"] == 4
    shown = {job["job"]: job for job in house.get("/jobs").json["items"]}
    assert shown["refresh-statuses"]["retry"]["dueAt"] == failed["nextRetry"]["dueAt"]
    job.call = lambda run, space: {}
    house.clock.advance(timedelta(minutes=6))
    house.parts.engine.schedule_tick()
    house.parts.engine.run_due()
    newest = house.get("/executions").json["items"][0]
    assert (newest["trigger"], newest["retryOf"], newest["attempt"]) == ("retry", row.id, 2)
    assert house.get(f"/executions/{row.id}").json["retriedBy"] == newest["id"]
    assert house.get(f"/executions/{row.id}").json["nextRetry"] is None


def test_who_started_it_is_named_by_confluence(house: House) -> None:
    house.run(scope="space", spaceKey="DOCS", account=SAM)
    assert house.get("/executions").json["items"][0]["startedByName"] == "Sam Spaceadmin"


def test_names_that_confluence_does_not_tell_break_nothing(house: House) -> None:
    house.site.faults.add(path="users-bulk", status=401)
    started = house.start()
    assert started.status_code == 201
    assert (started.json["startedBy"], started.json["startedByName"]) == (ADMIN, None)


def test_somebody_who_administers_nothing_starts_nothing(house: House) -> None:
    assert house.start(account=EVE).status_code == 403
    assert house.start(account=EVE, scope="space", spaceKey="DOCS").status_code == 403
    assert house.start(account=EVE, scope="space", spaceKey="NOPE").status_code == 403
