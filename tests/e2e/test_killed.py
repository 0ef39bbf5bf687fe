"""After the add-on's process was killed in the middle of its work, the same run continues and ends well."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from addon.base import SystemClock
from addon.sandbox.seed import seed_sized
from addon.sandbox.site import Site
from tests.e2e.stack import ADMIN, Stack, stack_over
from tests.support.servers import eventually

STAMP = "steward-status"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A site of six spaces with 240 contents, every fifth of them old, and the add-on installed."""
    site = Site(SystemClock())
    seed_sized(site, spaces=6, pages=240)
    with stack_over(site, tmp_path) as running:
        yield running


def stamped(site: Site) -> dict[str, int]:
    """The version of each status stamp: 1 where it was written once."""
    with site.lock:
        return {
            content.id: content.properties[STAMP].version for content in site.contents() if STAMP in content.properties
        }


def spaces_by_status(stack: Stack, execution_id: str) -> dict[str, str]:
    answer = stack.api("GET", f"/api/executions/{execution_id}/spaces", params={"limit": 100}).json()
    return {space["spaceKey"]: space["status"] for space in answer["items"]}


def test_a_refresh_whose_process_was_killed_goes_on_and_writes_nothing_twice(stack: Stack) -> None:
    held = stack.site.faults.add("hang", method="POST", path="/properties$", skip=20)
    started = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
    assert held.reached.wait(30)
    stack.kill()
    written_before = stamped(stack.site)
    stack.site.faults.clear()
    assert 0 < len(written_before) < 48

    stack.start()
    ended = stack.ended(started["id"])

    assert ended["status"] == "successful"
    assert ended["id"] == started["id"]
    assert set(spaces_by_status(stack, started["id"]).values()) == {"done"}
    assert ended["metrics"]["spacesProcessed"] == ended["metrics"]["spacesTotal"] == 6
    versions = stamped(stack.site)
    assert len(versions) == 48
    assert set(versions.values()) == {1}
    assert sum(ended["metrics"]["statusCounts"].values()) == ended["metrics"]["contentsChecked"] == 240


def test_a_space_that_was_finished_before_the_kill_is_not_done_again(stack: Stack) -> None:
    held = stack.site.faults.add("hang", method="POST", path="/properties$", skip=42)
    started = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
    assert held.reached.wait(30)
    eventually(lambda: "done" in spaces_by_status(stack, started["id"]).values())
    finished = {key for key, status in spaces_by_status(stack, started["id"]).items() if status == "done"}
    stack.kill()
    stack.site.faults.clear()
    stack.site.meter.reset()

    stack.start()
    assert stack.ended(started["id"])["status"] == "successful"

    asked = " ".join(unquote_plus(entry.target) for entry in stack.site.meter.log)
    assert "cql=" in asked
    assert {key for key in finished if f'"{key}"' in asked} == set()


def test_a_kill_in_the_middle_of_sending_gives_nobody_a_second_digest(stack: Stack) -> None:
    assert stack.run("refresh-statuses")["status"] == "successful"
    policies = stack.api("GET", "/api/policies").json()
    for scheme in policies["notificationSchemes"]:
        for rule in scheme["rules"]:
            rule["enabled"] = True
    stored = stack.api("PUT", "/api/policies", json=policies, headers={"If-Match": f'"{policies["version"]}"'})
    assert stored.ok, stored.text
    stack.inbox.latency_ms = 400
    started = stack.api("POST", "/api/executions", json={"job": "send-notifications", "scope": "site"}).json()
    stack.inbox.wait_for(2, seconds=30)
    stack.kill()
    stack.inbox.latency_ms = 0

    stack.start()
    ended = stack.ended(started["id"])

    assert ended["status"] == "successful"
    received = Counter(mail.recipient for mail in stack.inbox.mails())
    assert set(received.values()) == {1}
    metrics = ended["metrics"]
    assert metrics["emailsSent"] + metrics["emailsFailed"] >= len(received) > 2
    assert metrics["emailsPending"] == 0


def test_a_second_process_on_the_same_sqlite_file_says_who_holds_it(stack: Stack) -> None:
    second = subprocess.run(
        [*stack.command, "serve", "--port", "0"],
        env=stack.environment(),
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 3
    assert stack.process is not None
    assert f"process {stack.process.pid} on" in second.stderr


def test_an_operators_stop_hands_the_run_over_and_the_next_process_ends_it(stack: Stack) -> None:
    stack.site.latency_ms = 300
    started = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
    eventually(lambda: stamped(stack.site))
    assert stack.stop() == 0
    stack.site.latency_ms = 0
    waiting = len(stamped(stack.site))
    assert waiting < 48

    stack.start()

    assert stack.ended(started["id"])["status"] == "successful"
    assert set(stamped(stack.site).values()) == {1}
    assert stack.api("GET", "/api/executions", account=ADMIN).json()["items"][0]["id"] == started["id"]


def test_a_stop_leaves_at_once_when_its_time_is_over_and_a_call_still_hangs(tmp_path: Path) -> None:
    site = Site(SystemClock())
    seed_sized(site, spaces=2, pages=20)
    # A call may take a minute here: a process that waited for its thread would not be gone within the time a stop has.
    patient: Any = {"STEWARD_LEASE_SECONDS": "120", "STEWARD_STOP_SECONDS": "1"}
    with stack_over(site, tmp_path, **patient) as stack:
        held = site.faults.add("hang", seconds=300, method="POST", path="/properties$")
        started = stack.api("POST", "/api/executions", json={"job": "refresh-statuses", "scope": "site"}).json()
        assert held.reached.wait(30)
        assert stack.stop() == 0
        assert re.search(r"action=stop_timed_out .* seconds=1", (tmp_path / "addon.log").read_text())
        site.faults.clear()
        stack.start(**patient)
        assert stack.ended(started["id"])["status"] == "successful"
        assert set(stamped(site).values()) == {1}
