"""What one tenant does to the others: nothing. The attacker and the victim share one running server."""

# ruff: noqa: F811  (fixtures that are imported)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from itertools import islice

import requests

from tests.support.neighbours import Neighbours, neighbours  # noqa: F401  (fixture)

PEOPLE = 24
THREADS = 8
"""Of the server that the fixture starts."""


def test_the_run_of_a_site_that_disables_the_app_ends_and_its_neighbours_goes_on(neighbours: Neighbours) -> None:
    theirs, ours = (neighbours.execution(site, end=False) for site in (neighbours.theirs, neighbours.ours))
    try:
        neighbours.theirs.host.switch(enabled=False)
        assert neighbours.call(neighbours.theirs, "GET", "/api/jobs").status_code == 401
        assert neighbours.call(neighbours.ours, "GET", f"/api/executions/{ours}").json()["status"] == "running"
    finally:
        neighbours.theirs.host.switch(enabled=True)
        neighbours.call(neighbours.ours, "POST", f"/api/executions/{ours}/cancel")
    ended = neighbours.call(neighbours.theirs, "GET", f"/api/executions/{theirs}").json()
    assert ended["status"] == "cancelled"


def test_while_24_people_wait_for_a_silent_site_another_tenant_and_the_health_check_are_answered(
    neighbours: Neighbours,
) -> None:
    neighbours.parts.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]  (no decision is remembered)
    hanging = neighbours.theirs.faults.add("hang", seconds=60)
    with ThreadPoolExecutor(PEOPLE) as people:
        calls = [people.submit(neighbours.call, neighbours.theirs, "GET", "/api/jobs") for _ in range(PEOPLE)]
        try:
            turned_away = [call.result() for call in islice(as_completed(calls, 30), PEOPLE - THREADS // 4)]
            assert neighbours.call(neighbours.ours, "GET", "/api/jobs").status_code == 200
            assert requests.get(f"{neighbours.url}/healthz", timeout=20).status_code == 200
            assert [call.done() for call in calls].count(False) == THREADS // 4
        finally:
            neighbours.theirs.faults.remove(hanging.id)
        served = [call.result() for call in calls if call.result() not in turned_away]
    for answer in turned_away:
        assert (answer.status_code, answer.json()["title"]) == (503, "Confluence answers slowly")
        assert int(answer.headers["Retry-After"]) >= 1
    assert {answer.status_code for answer in served} == {200}
