"""The site counts points as Atlassian does, and stops an add-on that has none left until the hour turns."""

from __future__ import annotations

from datetime import timedelta

import pytest

from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import Caller

SPACES = "/wiki/api/v2/spaces"


@pytest.mark.parametrize(
    ("path", "points"),
    [
        (SPACES, 4),
        (f"{SPACES}?limit=2", 3),
        (f"{SPACES}/{{docs}}", 2),
        (f"{SPACES}/{{docs}}/permissions?limit=5", 11),
        ("/wiki/rest/api/content/search?cql=space=DOCS&expand=history,version,metadata.labels,ancestors", 6),
        ("/wiki/rest/api/search?cql=space=DOCS&limit=0", 1),
        ("/wiki/rest/api/user?accountId=u-admin&expand=operations", 3),
        ("/wiki/rest/api/user/memberof?accountId=u-admin", 5),
        ("/wiki/api/v2/pages/{page}/properties", 1),
        ("/wiki/api/v2/pages/404404", 1),
        ("/wiki/rest/api/settings/systemInfo", 2),
    ],
)
def test_reads_cost_one_and_what_they_return(site: Site, call: Caller, path: str, points: int) -> None:
    page = next(page for page in site.contents("DOCS") if page.title == "Guide")
    call("GET", path.format(docs=site.space("DOCS").id, page=page.id))
    assert (site.meter.points, site.meter.calls) == (points, 1)


def test_writes_cost_one_and_looking_up_people_two_each(site: Site, call: Caller) -> None:
    page = next(site.contents("HR"))
    path = f"/wiki/api/v2/pages/{page.id}/properties"
    made = call("POST", path, json={"key": "k", "value": 1}).json()
    call("PUT", f"{path}/{made['id']}", json={"key": "k", "value": 2, "version": {"number": 2}})
    call("DELETE", f"{path}/{made['id']}")
    call("POST", "/wiki/rest/api/content/archive", json={"pages": [{"id": int(page.id)}]})
    assert site.meter.points == 4
    call("POST", "/wiki/api/v2/users-bulk", json={"accountIds": ["u-eve", "u-sam", "stranger"]})
    assert site.meter.points == 9


def test_headers_tell_what_is_left_and_warn_near_the_end(site: Site, call: Caller) -> None:
    roomy = call.get(SPACES).headers
    assert (roomy["X-RateLimit-Limit"], roomy["X-RateLimit-Remaining"]) == ("65000", "64996")
    assert roomy["X-RateLimit-Reset"] == "2026-11-22T13:00Z"
    assert roomy["RateLimit-Policy"] == '"global-app-quota";q=65000;w=3600'
    assert "X-RateLimit-NearLimit" not in roomy
    site.meter.used = 60_000
    tight = call.get(SPACES).headers
    assert tight["X-RateLimit-NearLimit"] == "true"
    assert tight["RateLimit"] == '"global-app-quota";r=4996;t=3600'


def test_an_empty_quota_answers_429_until_the_hour_turns(site: Site, call: Caller, clock: VirtualClock) -> None:
    clock.advance(timedelta(minutes=10))
    site.meter.used = site.meter.quota
    refused = call.get(SPACES)
    assert refused.status_code == 429
    assert (refused.headers["Retry-After"], refused.headers["X-RateLimit-Remaining"]) == ("3000", "0")
    assert refused.headers["RateLimit-Reason"] == "confluence-quota-global-based"
    assert site.meter.points == 0
    clock.advance(timedelta(minutes=50))
    assert call.get(SPACES).status_code == 200


def test_usage_and_the_request_log_name_endpoints_and_hold_no_token(site: Site, call: Caller) -> None:
    call.get(SPACES, limit=2)
    call.get("/wiki/api/v2/pages/404404")
    usage = call.get("/sandbox/usage").json()
    assert usage["byEndpoint"] == {
        "GET /wiki/api/v2/pages/{content_id}": {"calls": 1, "points": 1},
        "GET /wiki/api/v2/spaces": {"calls": 1, "points": 3},
    }
    assert (usage["points"], usage["calls"], usage["hour"]["used"]) == (4, 2, 4)
    log = call.get("/sandbox/requests")
    assert [(entry["method"], entry["path"], entry["status"]) for entry in log.json()["items"]] == [
        ("GET", "/wiki/api/v2/spaces?limit=2", 200),
        ("GET", "/wiki/api/v2/pages/404404", 404),
    ]
    assert "eyJ" not in log.text
    call("POST", "/sandbox/usage/reset")
    assert call.get("/sandbox/usage").json()["points"] == 0
