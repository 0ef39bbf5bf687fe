"""What schedules do over days and weeks: the real add-on and a pretend site, with a clock that the test turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import requests

from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.house import House, house_over


@contextmanager
def house(folder: Path, *, first_run: str = "start") -> Iterator[House]:
    """A site of four spaces with 80 contents."""
    clock = VirtualClock()
    site = Site(clock)
    seed_sized(site, spaces=4, pages=80)
    with house_over(site, clock, folder, first_run=first_run) as tenant:
        yield tenant


def test_a_fresh_installation_on_hold_reads_writes_and_sends_nothing_for_30_days(tmp_path: Path) -> None:
    with house(tmp_path, first_run="hold") as tenant:
        tenant.site.meter.reset()
        for _ in range(30 * 8):
            tenant.clock.advance(timedelta(hours=1))
            tenant.parts.engine.schedule_tick()
            tenant.parts.engine.reaper_tick()
        assert tenant.parts.engine.run_due() == 0
        assert (tenant.site.meter.calls, tenant.site.meter.points) == (0, 0)
        assert tenant.site.inbox is not None
        assert tenant.site.inbox.mails() == []
        refused = tenant.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"})
        assert refused.status_code == 422
        assert tenant.executions() == []


def test_a_confirmed_first_run_starts_at_once_then_with_the_next_slot_and_not_with_those_that_passed(
    tmp_path: Path,
) -> None:
    with house(tmp_path, first_run="hold") as tenant:
        tenant.clock.advance(timedelta(days=3))
        confirmed = tenant.api("POST", "/api/first-run", json={"spaces": "all"})
        assert confirmed.ok, confirmed.text
        tenant.tick()
        tenant.until_next("refresh-statuses")
        tenant.tick()
        tenant.tick()
        ended = [(execution["trigger"], execution["status"]) for execution in tenant.executions()]
        assert ended == [("scheduled", "successful"), ("manual", "successful")]


def test_the_refresh_runs_four_times_a_day_by_itself_and_a_manual_run_moves_no_slot(tmp_path: Path) -> None:
    with house(tmp_path) as tenant:
        starts = []
        for _ in range(4):
            tenant.until_next("refresh-statuses")
            starts.append(tenant.clock.now())
            tenant.tick()
        tenant.clock.advance(timedelta(minutes=5))
        assert (
            tenant.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).status_code == 201
        )
        tenant.tick()
        tenant.until_next("refresh-statuses")
        starts.append(tenant.clock.now())
        gaps = {round((after - before) / timedelta(hours=1), 2) for before, after in pairwise(starts)}
        assert gaps == {6.0}
        triggers = [(execution["trigger"], execution["status"]) for execution in tenant.executions()]
        assert triggers == [("manual", "successful")] + [("scheduled", "successful")] * 4


def test_a_space_whose_calls_fail_fails_alone_and_is_retried_after_five_minutes(tmp_path: Path) -> None:
    with house(tmp_path) as tenant:
        key = tenant.site.spaces()[0].key
        tenant.site.faults.add("status", status=500, space=key, method="GET", path="search")
        tenant.until_next("refresh-statuses")
        tenant.tick()
        [failed] = tenant.executions()
        assert (failed["status"], failed["trigger"]) == ("failed", "scheduled")
        spaces = tenant.api("GET", f"/api/executions/{failed['id']}/spaces").json()["items"]
        assert {space["spaceKey"]: space["status"] for space in spaces if space["spaceKey"] != key} == {
            space.key: "done" for space in tenant.site.spaces() if space.key != key
        }
        [bad] = [space for space in spaces if space["spaceKey"] == key]
        assert bad["status"] == "failed"
        assert bad["reason"]

        tenant.site.faults.clear()
        tenant.clock.advance(timedelta(minutes=4))
        tenant.tick()
        assert len(tenant.executions()) == 1, "the retry waits five minutes"
        tenant.clock.advance(timedelta(minutes=1, seconds=30))
        tenant.tick()
        retry, _ = tenant.executions()
        assert (retry["status"], retry["trigger"], retry["retryOf"], retry["attempt"]) == (
            "successful",
            "retry",
            failed["id"],
            2,
        )
        assert retry["metrics"]["spacesTotal"] == 1


def test_two_starts_at_the_same_instant_end_in_one_execution_and_one_refusal_that_names_it(tmp_path: Path) -> None:
    with house(tmp_path) as tenant:
        gate = threading.Barrier(2)
        answers: list[requests.Response] = []

        def start(job: str) -> None:
            gate.wait()
            answers.append(tenant.api("POST", "/api/executions", json={"job": job, "scope": "site"}))

        threads = [threading.Thread(target=start, args=(job,)) for job in ("refresh-statuses", "send-notifications")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert (won.status_code, lost.status_code) == (201, 409)
        assert lost.headers["Content-Type"] == "application/problem+json"
        assert lost.json()["execution"]["id"] == won.json()["id"]
