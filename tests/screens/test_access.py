"""Who may see and do what: Confluence administrators, a space's administrators, everybody else."""

from __future__ import annotations

from datetime import timedelta

from tests.screens.conftest import ADMIN, EVE, SAM, House

SITE_READS = [
    "/jobs",
    "/executions",
    "/executions/current",
    "/policies",
    "/policies/versions",
    "/first-run",
    "/missed-slots",
]


def test_site_scope_is_for_confluence_administrators(house: House) -> None:
    for path in SITE_READS:
        assert house.get(path).status_code == 200, path
        for account in (SAM, EVE):
            answer = house.get(path, account=account)
            assert answer.status_code == 403, path
            assert "Only Confluence administrators may do this" in answer.json["detail"]
    for account in (SAM, EVE):
        assert house.start(account=account).status_code == 403
        assert house.call("POST", "/hold", json={"on": True}, account=account).status_code == 403
        assert house.call("POST", "/first-run", json={"spaces": "all"}, account=account).status_code == 403
        put = house.call("PUT", "/policies", data=b"{}", account=account, headers={"If-Match": "1"},
                         content_type="application/json")  # fmt: skip
        assert put.status_code == 403


def test_space_scope_is_for_administrators_of_that_space(house: House) -> None:
    for path in ("/jobs", "/executions", "/executions/current"):
        assert house.get(path, account=SAM, spaceKey="DOCS").status_code == 200
        assert house.get(path, account=ADMIN, spaceKey="DOCS").status_code == 200
        assert house.get(path, account=SAM, spaceKey="ENG").status_code == 403
        assert house.get(path, account=EVE, spaceKey="DOCS").status_code == 403
    assert house.start(account=SAM, scope="space", spaceKey="ENG").status_code == 403
    assert house.start(account=EVE, scope="space", spaceKey="DOCS").status_code == 403
    assert house.start(account=SAM, scope="space", spaceKey="DOCS").status_code == 201


def test_nobody_but_a_confluence_administrator_learns_which_spaces_exist(house: House) -> None:
    hidden = house.get("/jobs", account=EVE, spaceKey="DOCS")
    missing = house.get("/jobs", account=EVE, spaceKey="NOPE")
    assert (hidden.status_code, missing.status_code) == (403, 403)
    assert house.get("/jobs", account=ADMIN, spaceKey="NOPE").status_code == 422


def test_a_space_administrator_sees_the_runs_of_the_space_and_no_others(house: House) -> None:
    site_run = house.run()
    eng_run = house.run(scope="space", spaceKey="ENG")
    docs_run = house.run(scope="space", spaceKey="DOCS")
    rows = house.get("/executions", account=SAM, spaceKey="DOCS").json["items"]
    assert [row["id"] for row in rows] == [docs_run]
    assert house.get("/executions", account=SAM, spaceKey="DOCS", scope="site").json["items"] == []
    for path in ("", "/spaces", "/items"):
        assert house.get(f"/executions/{docs_run}{path}", account=SAM, spaceKey="DOCS").status_code == 200
        assert house.get(f"/executions/{docs_run}{path}", account=SAM).status_code == 200
        for foreign in (site_run, eng_run):
            assert house.get(f"/executions/{foreign}{path}", account=SAM, spaceKey="DOCS").status_code == 404
            assert house.get(f"/executions/{foreign}{path}", account=SAM).status_code == 403
        assert house.get(f"/executions/{docs_run}{path}", account=EVE).status_code == 403


def test_a_space_administrator_sees_that_a_site_run_goes_on_and_how_far_it_is(house: House) -> None:
    running = house.start().json["id"]
    jobs = house.get("/jobs", account=SAM, spaceKey="DOCS").json
    current = jobs["current"]
    assert (current["id"], current["scope"], current["restricted"]) == (running, "site", True)
    assert current["progress"]["percent"] == 0
    assert current["startedBy"] is None
    assert current["mayCancel"] is False
    assert all(not job["startable"] for job in jobs["items"])
    assert house.get("/executions/current", account=SAM, spaceKey="DOCS").json["execution"] == current
    seen = house.get(f"/executions/{running}", account=SAM, spaceKey="DOCS").json
    assert seen["restricted"] is True
    assert seen["metrics"] is None
    assert house.get(f"/executions/{running}/spaces", account=SAM, spaceKey="DOCS").status_code == 403
    house.parts.engine.run_due()
    assert house.get(f"/executions/{running}", account=SAM, spaceKey="DOCS").status_code == 404


def test_another_spaces_run_is_not_named_to_a_space_administrator(house: House) -> None:
    house.start(scope="space", spaceKey="ENG")
    current = house.get("/jobs", account=SAM, spaceKey="DOCS").json["current"]
    assert current["restricted"] is True
    assert current["spaceKey"] is None
    refused = house.start(account=SAM, scope="space", spaceKey="DOCS")
    assert refused.status_code == 409
    assert "ENG" not in refused.text
    assert ADMIN not in refused.text
    assert "running over another space" in refused.json["detail"]


def test_cancel_needs_the_scope_of_the_run(house: House) -> None:
    site_run = house.start().json["id"]
    for account, query in [(SAM, "?spaceKey=DOCS"), (SAM, ""), (EVE, "")]:
        assert house.call("POST", f"/executions/{site_run}/cancel{query}", account=account).status_code == 403
    assert house.call("POST", f"/executions/{site_run}/cancel").status_code == 202

    eng_run = house.start(scope="space", spaceKey="ENG").json["id"]
    assert house.call("POST", f"/executions/{eng_run}/cancel?spaceKey=DOCS", account=SAM).status_code == 404
    assert house.call("POST", f"/executions/{eng_run}/cancel", account=SAM).status_code == 403
    assert house.call("POST", f"/executions/{eng_run}/cancel").status_code == 202

    docs_run = house.start(scope="space", spaceKey="DOCS").json["id"]
    assert house.call("POST", f"/executions/{docs_run}/cancel", account=EVE).status_code == 403
    assert house.call("POST", f"/executions/{docs_run}/cancel?spaceKey=DOCS", account=SAM).status_code == 202


def test_a_confluence_administrator_may_cancel_a_site_run_from_a_spaces_screen(house: House) -> None:
    site_run = house.start().json["id"]
    assert house.call("POST", f"/executions/{site_run}/cancel?spaceKey=DOCS").status_code == 202


def test_a_right_that_was_withdrawn_no_longer_starts_after_a_minute_nor_shows_after_a_quarter_of_an_hour(
    house: House,
) -> None:
    assert house.start(account=SAM, scope="space", spaceKey="DOCS").status_code == 201
    house.parts.engine.run_due()
    house.site.access.revoke(house.site.space("DOCS").id, SAM)
    house.clock.advance(timedelta(seconds=61))
    assert house.get("/executions", account=SAM, spaceKey="DOCS").status_code == 200
    assert house.start(account=SAM, scope="space", spaceKey="DOCS").status_code == 403
    house.clock.advance(timedelta(minutes=15))
    assert house.get("/executions", account=SAM, spaceKey="DOCS").status_code == 403


def test_a_site_that_cannot_be_asked_lets_nobody_in(house: House) -> None:
    house.site.faults.add(path="/rest/api/user", status=403)
    answer = house.start()
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert "Retry-After" in answer.headers
