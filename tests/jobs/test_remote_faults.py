"""What becomes of a run when the site answers badly: its end, the reason in words, a retry or none, nothing twice."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from addon.base import UtcDateTime
from addon.engine import JobExecution, RetryDue
from addon.engine.models import JobSchedule
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over
from tests.support.site import small_site

REFRESH, NOTIFY, AUTOMATE = "refresh-statuses", "send-notifications", "execute-automations"
SEARCH = r"/rest/api/(content/)?search"
STAMP = "/properties$"
SPACES = {"DOCS", "ENG", "HR"}


@dataclass(frozen=True)
class Case:
    """A fault and what it does to a scheduled refresh."""

    name: str
    fault: dict[str, Any]
    status: str = "successful"
    failed: dict[str, str] = field(default_factory=dict)
    """The reason (a pattern) of each space that failed."""
    retry: bool = False
    """A retry waits, which ends what was left."""


BURST: dict[str, Any] = {"reason": "confluence-burst-based"}
ALWAYS: dict[str, Any] = {"path": SEARCH, "space": "ENG"}
CASES = (
    Case("429 with Retry-After is waited out", {"status": 429, "retry_after": 5, "path": SEARCH, "count": 1}),
    Case("four bursts in a row", {"status": 429, "retry_after": 2, "path": SEARCH, "count": 4}),
    Case("twelve seconds of 429 without a word", {"status": 429, "path": SEARCH, "count": 2}),
    Case(
        "a write that an overloaded site has done",
        {"status": 503, "retry_after": 5, "method": "POST", "path": STAMP, "count": 1, "after": True},
    ),
    Case("a burst of writes", {"status": 429, "retry_after": 2, "method": "POST", "path": STAMP, "count": 4}),
    Case("503 with Retry-After is waited out", {"status": 503, "retry_after": 2, "path": SEARCH, "count": 4}),
    Case("500 once is tried again", {"status": 500, "path": SEARCH, "count": 1}),
    Case("500 every time", {"status": 500, **ALWAYS}, "failed", {"ENG": "500"}, retry=True),
    Case("503 every time", {"status": 503, **ALWAYS}, "failed", {"ENG": "503"}, retry=True),
    Case("403 every time", {"status": 403, **ALWAYS}, "failed", {"ENG": "403"}),
    Case("404 every time", {"status": 404, **ALWAYS}, "failed", {"ENG": "404"}),
    Case("400 every time", {"status": 400, **ALWAYS}, "failed", {"ENG": "400"}),
    Case("malformed JSON once", {"effect": "malformed", "path": SEARCH, "count": 1}),
    Case("malformed JSON every time", {"effect": "malformed", **ALWAYS}, "failed", {"ENG": "not JSON"}, True),
    Case("a reset connection once", {"effect": "drop", "path": SEARCH, "count": 1}),
    Case("reset connections every time", {"effect": "drop", **ALWAYS}, "failed", {"ENG": "could not be reached"}, True),
    Case("a hang past the call's limit", {"effect": "hang", "seconds": 60, "path": SEARCH, "count": 1}),
    Case("a body that drips", {"effect": "slow", "seconds": 60, "path": SEARCH, "count": 1}),
    Case("a write that hangs", {"effect": "hang", "seconds": 60, "method": "POST", "path": STAMP, "count": 1}),
    Case("a write whose answer is lost", {"status": 500, "method": "POST", "path": STAMP, "count": 1, "after": True}),
    Case("a write that meets another version", {"status": 409, "method": "POST", "path": STAMP, "count": 1}),
    Case("a stamp that may not be written", {"status": 403, "method": "POST", "path": STAMP, "count": 1}),
)


@pytest.fixture(scope="module")
def site() -> Site:
    return small_site(VirtualClock())


@pytest.fixture(scope="module")
def house(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One add-on for all cases; a call of it may take three seconds in all."""
    clock = site.clock
    assert isinstance(clock, VirtualClock)
    with house_over(site, clock, tmp_path_factory.mktemp("faults"), lease_seconds=6, retry_seconds=300) as house:
        switch_on(house)
        house.run(REFRESH)
        yield house


@pytest.fixture(autouse=True)
def _well_again(site: Site) -> Iterator[None]:
    yield
    site.faults.clear()


def switch_on(house: House) -> None:
    """Enable every shipped rule and automation."""
    answer = house.api("GET", "/api/policies")
    policies = answer.json()
    for scheme in policies["notificationSchemes"]:
        for rule in scheme["rules"]:
            rule["enabled"] = True
    for scheme in policies["automationSchemes"]:
        for automation in scheme["automations"]:
            automation["enabled"] = True
    assert house.api("PUT", "/api/policies", json=policies, headers={"If-Match": answer.headers["ETag"]}).ok


def tick_for(house: House, job: str) -> None:
    """Let six hours pass, make all slots of a job due and no others, and run what the tick starts."""
    house.clock.advance(timedelta(hours=6))
    now = house.clock.now()
    far = now + timedelta(days=30)
    due_next(house, sa.case((JobSchedule.job_type == job, now), else_=far))
    house.tick()
    # The site's own hour and minute come from its id: no slot may fall into the wait for a retry.
    due_next(house, sa.literal(far, UtcDateTime()))


def due_next(house: House, when: sa.ColumnElement[Any]) -> None:
    with house.parts.db.write_all() as session:
        session.execute(sa.update(JobSchedule).values(next_fire_at=when))


def scheduled(house: House, job: str) -> dict[str, Any]:
    """Run a job by its schedule; return the execution."""
    tick_for(house, job)
    newest = house.executions()[0]
    assert (newest["job"], newest["trigger"]) == (job, "scheduled")
    return newest


def reasons(house: House, execution: dict[str, Any]) -> dict[str, str]:
    rows = house.api("GET", f"/api/executions/{execution['id']}/spaces").json()["items"]
    return {row["spaceKey"]: row["reason"] for row in rows if row["status"] == "failed"}


def retries(house: House) -> int:
    with house.parts.db.read_all() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(RetryDue)) or 0


def newest(house: House) -> JobExecution:
    """Return the newest execution from the rows: without points the screens cannot be asked."""
    with house.parts.db.read_all() as session:
        return session.scalars(sa.select(JobExecution).order_by(JobExecution.id.desc()).limit(1)).one()


def old_pages(house: House) -> list[str]:
    """Add an expired page to each space; return their ids."""
    then = house.clock.now() - timedelta(days=900)
    count = len(house.executions())
    return [house.site.add_page(space, f"Old {count} {space}", created_at=then).id for space in sorted(SPACES)]


def stamp_versions(house: House, pages: list[str]) -> list[int]:
    """Return how often each page's stamp was written."""
    stamps = [house.site.get(page).properties.get("steward-status") for page in pages]
    return [stamp.version if stamp else 0 for stamp in stamps]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_refresh_meets(house: House, case: Case) -> None:
    pages = old_pages(house)
    fault = house.site.faults.add(**case.fault)
    execution = scheduled(house, REFRESH)
    assert fault.hits > 0
    assert (execution["status"], retries(house)) == (case.status, int(case.retry))
    found = reasons(house, execution)
    assert found.keys() == case.failed.keys()
    assert all(re.search(pattern, found[space]) for space, pattern in case.failed.items()), found
    assert execution["metrics"]["spacesFailed"] == len(case.failed)
    # What is turned away with 429 is a call and costs no point.
    assert execution["metrics"]["points"] >= execution["metrics"]["calls"] - fault.hits >= 0
    house.site.faults.clear()
    if case.retry:
        house.clock.advance(301)
        house.tick()
        newest = house.executions()[0]
        assert (newest["trigger"], newest["status"], newest["retryOf"]) == ("retry", "successful", execution["id"])
        assert newest["metrics"]["spacesTotal"] == len(case.failed)
    elif case.failed:
        scheduled(house, REFRESH)
    if "may not be written" in case.name:
        assert sorted(stamp_versions(house, pages)) == [0, 1, 1]
    else:
        assert stamp_versions(house, pages) == [1, 1, 1]


def test_a_used_up_quota_pauses_the_run_and_it_goes_on_by_itself(house: House) -> None:
    pages = old_pages(house)
    quota: dict[str, Any] = {
        "status": 429,
        "retry_after": 900,
        "reason": "confluence-quota-tenant-based",
        "path": SEARCH,
    }
    fault = house.site.faults.add(**quota, count=1)
    tick_for(house, REFRESH)
    paused = newest(house)
    assert (fault.hits, paused.status, paused.owner, retries(house)) == (1, "running", None, 0)
    assert paused.not_before is not None
    assert paused.not_before >= house.clock.now() + timedelta(seconds=800)
    assert paused.pause_reason
    house.clock.set(paused.not_before)
    house.tick()
    assert (newest(house).id, newest(house).status) == (paused.id, "successful")
    assert stamp_versions(house, pages) == [1, 1, 1]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "retry_after": 700, "path": SEARCH, **BURST},
        {"status": 429, "retry_after": 99999999999999, "path": SEARCH, **BURST},
        {"status": 429, "retry_after": 18446744073709551615, "path": "/spaces", **BURST},
        {"status": 503, "retry_after": 99999999999999, **ALWAYS},
        {"status": 503, "retry_after": 99999999999999, "method": "POST", "path": STAMP},
    ],
    ids=["minutes", "14 digits", "2^64", "one space overloaded", "writes overloaded"],
)
def test_a_site_that_asks_for_fewer_requests_for_long_pauses_the_run_and_no_space_fails(
    house: House, fault: dict[str, Any]
) -> None:
    pages = old_pages(house)
    # A space that came since has the spaces listed.
    house.site.add_space("NEW", homepage=False)
    house.site.faults.add(**fault)
    tick_for(house, REFRESH)
    paused = newest(house)
    assert (paused.status, paused.owner, paused.pause_reason) == (
        "running",
        None,
        "Confluence asks for fewer requests",
    )
    assert paused.not_before is not None
    assert timedelta(minutes=10) < paused.not_before - house.clock.now() <= timedelta(hours=2)
    house.site.faults.clear()
    house.clock.set(paused.not_before)
    house.tick()
    assert (newest(house).id, newest(house).status, retries(house)) == (paused.id, "successful", 0)
    assert stamp_versions(house, pages) == [1, 1, 1]


def test_a_run_that_lets_the_site_rest_hears_a_cancel_within_a_second(house: House) -> None:
    fault = house.site.faults.add(status=429, retry_after=300, path=SEARCH, **BURST)
    started = house.api("POST", "/api/executions", json={"job": REFRESH, "scope": "site"}).json()
    working = threading.Thread(target=house.work)
    working.start()
    assert fault.reached.wait(30)
    rests_from = house.clock.now()
    assert house.api("POST", f"/api/executions/{started['id']}/cancel").status_code == 202
    working.join(60)
    assert house.clock.now() - rests_from < timedelta(seconds=100)
    assert house.api("GET", f"/api/executions/{started['id']}").json()["status"] == "cancelled"


@pytest.mark.parametrize("reason", [None, "confluence-burst-based"])
@pytest.mark.parametrize("number", [5, 99999999999999, 18446744073709551615])
@pytest.mark.parametrize("path", ["/rest/api/user", SEARCH, "/spaces"])
def test_people_are_told_when_to_come_back_whatever_number_the_site_names(
    house: House, number: int, reason: str | None, path: str
) -> None:
    house.clock.advance(timedelta(minutes=20))
    house.site.faults.add(status=429, retry_after=number, reason=reason, path=path)
    document = house.api("GET", "/api/overview?keys=DOCS,ENG")
    checked = house.api("POST", "/api/cql-checks", json={"kind": "rule", "cql": f'title ~ "{number}"'})
    for answer in (document, checked):
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 503:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert 1 <= int(answer.headers["Retry-After"]) <= 7200
    assert 503 in (document.status_code, checked.status_code)
    house.site.faults.clear()
    house.clock.advance(timedelta(hours=2))


def test_a_space_that_notifications_could_not_read_is_made_up_for_and_nobody_is_told_the_same_twice(
    house: House,
) -> None:
    old_pages(house)
    scheduled(house, REFRESH)
    house.site.faults.add(status=500, **ALWAYS)
    failed = scheduled(house, NOTIFY)
    assert (failed["status"], retries(house)) == ("failed", 1)
    assert reasons(house, failed).keys() == {"ENG"}
    house.site.faults.clear()
    house.clock.advance(301)
    house.tick()
    retried = house.executions()[0]
    assert (retried["trigger"], retried["status"], retries(house)) == ("retry", "successful", 0)
    sent = contents_by_person(house)
    assert sent
    assert all(len(titles) == len(set(titles)) for titles in sent.values())


def contents_by_person(house: House) -> dict[str, list[str]]:
    """Return the titles in each person's mails."""
    assert house.site.inbox is not None
    told: dict[str, list[str]] = {}
    for mail in house.site.inbox.mails():
        text = mail.text
        told.setdefault(mail.recipient, []).extend(re.findall(r"Old \d+ \w+", text))
    return told


@pytest.mark.parametrize(
    ("fault", "retry"),
    [({"status": 500}, 1), ({"effect": "drop"}, 1), ({"status": 403}, 0)],
    ids=["500", "reset", "403"],
)
def test_automations_whose_search_fails_in_one_space_fail_that_space_only(
    house: House, fault: dict[str, Any], retry: int
) -> None:
    house.site.faults.add(**fault, **ALWAYS)
    execution = scheduled(house, AUTOMATE)
    assert (execution["status"], set(reasons(house, execution)), retries(house)) == ("failed", {"ENG"}, retry)
    house.site.faults.clear()
    if retry:
        house.clock.advance(301)
        house.tick()
        assert house.executions()[0]["status"] == "successful"


def test_a_refused_signature_ends_the_run_with_what_to_do_and_no_retry(house: House) -> None:
    house.site.faults.add(status=401, path="/rest/api|/api/v2")
    tick_for(house, REFRESH)
    execution = newest(house)
    assert (execution.trigger, execution.status, retries(house)) == ("scheduled", "failed", 0)
    assert "install it again" in str(execution.error)
