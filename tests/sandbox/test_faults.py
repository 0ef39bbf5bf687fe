"""What a test asks to go wrong goes wrong: which requests, how often, in which way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from addon.sandbox.faults import BadFault, Faults
from addon.sandbox.site import Site
from tests.support.site import Caller

SPACES = "/wiki/api/v2/spaces"
SEARCH = "/wiki/rest/api/content/search"


def test_a_status_hits_as_often_as_it_was_asked_to(site: Site, call: Caller) -> None:
    site.faults.add(status=503, path="/spaces", retry_after=7, count=2, skip=1)
    answers = [call.get(SPACES) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert answers[1].json()["errors"][0]["code"] == "INJECTED_FAULT"


def test_rules_choose_by_method_space_and_query(site: Site, call: Caller) -> None:
    page = next(site.contents("HR"))
    site.faults.add(status=403, space="HR")
    site.faults.add(status=500, method="post", path="users-bulk")
    site.faults.add(status=400, cql="label = doomed")
    assert call.get(f"/wiki/api/v2/pages/{page.id}").status_code == 403
    assert call.get("/wiki/api/v2/pages", id=page.id).status_code == 403
    assert call.get(SEARCH, cql='space in ("DOCS", "HR")').status_code == 403
    assert call.get(SEARCH, cql='space in ("DOCS")').status_code == 200
    assert call.get(SEARCH, cql="type = page and label = doomed").status_code == 400
    assert call("POST", "/wiki/api/v2/users-bulk", json={"accountIds": ["u-eve"]}).status_code == 500
    archive = {"pages": [{"id": int(page.id)}]}
    assert call("POST", "/wiki/rest/api/content/archive", json=archive).status_code == 403


def test_a_hanging_request_goes_on_when_released(site: Site, call: Caller) -> None:
    hang = site.faults.add("hang", path="/spaces", seconds=60, count=1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call.get, SPACES)
        assert hang.reached.wait(10)
        assert call.get("/wiki/rest/api/settings/systemInfo").status_code == 200, "nobody else waits"
        site.faults.remove(hang.id)
        assert waiting.result(10).status_code == 200


def test_a_write_may_be_done_although_its_answer_is_lost(site: Site, call: Caller) -> None:
    page = next(site.contents("HR"))
    site.faults.add("drop", method="POST", after=True, count=1)
    with pytest.raises(requests.ConnectionError):
        call("POST", f"/wiki/api/v2/pages/{page.id}/properties", json={"key": "k", "value": 1})
    assert site.get(page.id).properties["k"].value == 1


def test_a_dropped_connection_does_nothing(site: Site, call: Caller) -> None:
    page = next(site.contents("HR"))
    site.faults.add("drop", count=1)
    with pytest.raises(requests.ConnectionError):
        call("DELETE", f"/wiki/api/v2/pages/{page.id}")
    assert site.get(page.id).status == "current"
    assert call.get(SPACES).status_code == 200


def test_malformed_and_slow_bodies(site: Site, call: Caller) -> None:
    site.faults.add("malformed", count=1)
    broken = call.get(SPACES)
    assert broken.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        broken.json()
    slow = site.faults.add("slow", seconds=600, count=1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call.get, SPACES)
        assert slow.reached.wait(10)
        assert not waiting.done()
        slow.released.set()
        assert len(waiting.result(10).json()["results"]) == 3


def test_faults_are_made_listed_and_cleared_over_http(site: Site, call: Caller) -> None:
    made = call("POST", "/sandbox/faults", json={"status": 429, "path": "search", "retryAfter": 3, "count": 1})
    assert made.status_code == 201
    refused = call.get(SEARCH, cql="type=page")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    assert call.get("/sandbox/faults").json()["items"][0]["hits"] == 1
    assert call("DELETE", f"/sandbox/faults/{made.json()['id']}").status_code == 204
    assert site.faults.all() == []
    for wrong in ({"effect": "explode"}, {"path": "("}, {"wat": 1}, {"status": "many"}):
        assert call("POST", "/sandbox/faults", json=wrong).status_code == 422


def test_clearing_releases_everybody() -> None:
    faults = Faults()
    hang = faults.add("hang")
    waiter = threading.Thread(target=hang.released.wait, args=(60,))
    waiter.start()
    faults.clear()
    waiter.join(5)
    assert not waiter.is_alive()
    with pytest.raises(BadFault):
        faults.add(path="[")
