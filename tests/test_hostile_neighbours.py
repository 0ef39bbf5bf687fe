"""What one tenant does to the others: nothing. The attacker and the victim share one running server.

Each row of ATTACKS is sent four times at once, while the victim opens its screens and a probe asks for the health. The
victim must be served all the time, and the attacker told in words. How long each took is logged, not judged, since a
busy machine proves nothing: `pytest -rP --log-level INFO`.
"""

# ruff: noqa: F811  (fixtures that are imported)

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from itertools import islice

import pytest
import requests

from tests.support.clock import VirtualClock
from tests.support.connect import InstallKeys, install_claims, install_payload
from tests.support.neighbours import Neighbours, neighbours  # noqa: F401  (fixture)

log = logging.getLogger(__name__)

PEOPLE = 24
THREADS = 8
"""Of the server that the fixture starts."""


Attack = Callable[[Neighbours], requests.Response]


def _put(body: str, kind: str = "application/json") -> Attack:
    """Put `body` as the attacker's policies."""

    def sent(neighbours: Neighbours) -> requests.Response:
        version = neighbours.call(neighbours.theirs, "GET", "/api/policies").headers["ETag"]
        token = neighbours.theirs.host.context_token("u-admin")
        headers = {"Authorization": f"JWT {token}", "If-Match": version, "Content-Type": kind}
        return requests.put(f"{neighbours.url}/api/policies", data=body.encode(), headers=headers, timeout=60)

    return sent


def _template(html: str) -> Attack:
    """Put the attacker's own policies with another mail template."""

    def sent(neighbours: Neighbours) -> requests.Response:
        document = neighbours.call(neighbours.theirs, "GET", "/api/policies").json()
        document["templates"][0]["html"] = html
        return _put(json.dumps(document))(neighbours)

    return sent


def _install(neighbours: Neighbours) -> requests.Response:
    """An installation by a key of the attacker's own, under an id that no host knows."""
    now = neighbours.parts.clock.now()
    keys = InstallKeys(f"random-{time.monotonic_ns()}")
    token = keys.sign(install_claims(now=now, aud=[neighbours.url]), kid=keys.kid)
    body = install_payload(baseUrl=neighbours.theirs.base_url)
    url = f"{neighbours.url}/connect/installed"
    return requests.post(url, json=body, headers={"Authorization": f"JWT {token}"}, timeout=60)


def _doubled(neighbours: Neighbours) -> requests.Response:
    token = neighbours.theirs.host.context_token("u-admin")
    url = f"{neighbours.url}/api//jobs?jwt={token}"
    return requests.get(url, headers={"Host": "evil.example.com"}, timeout=60, allow_redirects=False)


ATTACKS: dict[str, tuple[Attack, set[int]]] = {
    "a template that rounds to millions of digits": (_template("{{ 1|round(-12000000) }}"), {422}),
    "a template of nested joins": (_template("{{ 'ab'" + "|join('ab'|join('abcdefgh'))" * 40 + " }}"), {422}),
    "a template that sorts in loops": (
        _template(
            "{% for a in sections %}{% for b in a.contents %}"
            + "{{ sections[0].contents|sort(attribute='title')|length }}" * 1200
            + "{% endfor %}{% endfor %}"
        ),
        {422},
    ),
    "a megabyte of YAML": (_put("a:\n" + "- b\n" * 249_000, "application/yaml"), {413}),
    "YAML with the most values": (_put("statuses:\n" + "- {}\n" * 6_600, "application/yaml"), {422, 503}),
    "a million bytes of empty objects": (_put('{"statuses":[' + "{}," * 330_000 + "{}]}"), {413}),
    "JSON with the most values": (_put('{"statuses":[' + "{}," * 49_000 + "{}]}"), {422, 503}),
    "JSON nested without end": (_put("[" * 50_000), {400, 503}),
    "an install with a key of one's own": (_install, {401, 503}),
    "an address that would redirect": (_doubled, {404}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_beside_an_attacker_the_victim_and_the_health_check_are_served(neighbours: Neighbours, name: str) -> None:
    attack, expected = ATTACKS[name]
    before = neighbours.call(neighbours.theirs, "GET", "/api/policies").json()
    with ThreadPoolExecutor(4) as attackers:
        attacks = [attackers.submit(_timed, attack, neighbours) for _ in range(4)]
        victim = [_timed(_look, neighbours)]
        while not all(each.done() for each in attacks):
            victim.append(_timed(_look, neighbours))
        answers = [each.result() for each in attacks]
    assert {answer.status_code for _, answer in victim} == {200}
    assert {answer.status_code for _, answer in answers} <= expected, [answer.text[:300] for _, answer in answers]
    assert all("Traceback" not in answer.text for _, answer in answers)
    assert neighbours.call(neighbours.theirs, "GET", "/api/policies").json() == before, "nothing was stored"
    slowest = max(seconds for seconds, _ in victim)
    log.info("%s: attacker %.2f s, victim at most %.2f s", name, max(seconds for seconds, _ in answers), slowest)


def _timed(send: Attack, neighbours: Neighbours) -> tuple[float, requests.Response]:
    began = time.monotonic()
    answer = send(neighbours)
    return time.monotonic() - began, answer


def _look(neighbours: Neighbours) -> requests.Response:
    """What the victim sees of its Jobs screen, once the health check was answered."""
    assert requests.get(f"{neighbours.url}/healthz", timeout=60).status_code == 200
    answer: requests.Response = neighbours.call(neighbours.ours, "GET", "/api/jobs")
    return answer


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
    clock = neighbours.parts.clock
    assert isinstance(clock, VirtualClock)
    clock.advance(timedelta(hours=1))  # No decision is remembered.
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
