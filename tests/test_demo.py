"""What a newcomer runs: the demo with its printed address, and one job in a terminal for people and for programs."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from addon import demo
from addon.sandbox.site import Site
from tests.support.servers import eventually

STEWARD = (sys.executable, "-c", "from addon.cli import main; main()")


def once(
    capsys: pytest.CaptureFixture[str], job: str, spaces: int | None = None, pages: int | None = None
) -> dict[str, Any]:
    status = demo.run_once(job, spaces=spaces, pages=pages, latency_ms=0, as_json=True)
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert status == (0 if summary["status"] == "successful" else 1)
    assert set(summary) == {"status", "metrics", "calls", "points", "seconds"}
    assert job in printed.err
    return dict(summary)


def items_of(running: demo.Demo, execution_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = running.call("GET", f"/api/executions/{execution_id}/items{cursor}").json()
        items += page["items"]
        if page["nextCursor"] is None:
            return items
        cursor = f"?cursor={page['nextCursor']}"


def test_a_refresh_of_a_sized_site_changes_the_fifth_that_is_old(capsys: pytest.CaptureFixture[str]) -> None:
    summary = once(capsys, "refresh-statuses", spaces=3, pages=200)
    assert summary["status"] == "successful"
    metrics = summary["metrics"]
    assert (metrics["spacesProcessed"], metrics["spacesFailed"], metrics["spacesTotal"]) == (3, 0, 3)
    assert metrics["contentsChecked"] == 200
    assert sum(metrics["statusCounts"].values()) == 200
    assert 36 <= metrics["statusesChanged"] <= 44
    assert summary["points"] == metrics["points"] < 3 * 200
    assert summary["calls"] == metrics["calls"] > 0
    assert 0 < summary["seconds"] < 60


def test_notifications_find_something_to_send_on_a_fresh_site(capsys: pytest.CaptureFixture[str]) -> None:
    summary = once(capsys, "send-notifications", spaces=2, pages=60)
    assert summary["status"] == "successful"
    assert summary["metrics"]["contentsMatched"] > 0
    assert summary["metrics"]["emailsSent"] > 0
    assert summary["metrics"]["emailsFailed"] == 0


def test_automations_archive_old_leaves_of_the_company_and_spare_homes_and_parents(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = once(capsys, "execute-automations")
    assert summary["status"] == "successful"
    assert summary["metrics"]["contentsArchived"] >= 15
    assert summary["metrics"]["contentsSkipped"] >= 2
    assert summary["metrics"]["contentsFailed"] == 0


def test_people_get_a_table_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run_once("refresh-statuses", spaces=1, pages=5, latency_ms=0, as_json=False) == 0
    printed = capsys.readouterr().out
    assert "SUCCESSFUL" in printed
    assert "Contents checked" in printed


def test_more_spaces_than_pages_are_refused_with_the_reason() -> None:
    with pytest.raises(demo.DemoFailed, match="each has a home page"):
        demo.run_once("refresh-statuses", spaces=10, pages=5, latency_ms=0, as_json=True)


def test_a_failing_space_makes_the_command_fail_with_the_spaces_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeder = demo._seeder

    def faulty(spaces: int | None, pages: int | None, *, stamped: bool = False) -> object:
        fill = seeder(spaces, pages, stamped=stamped)

        def seed(site: Site, namespace: str) -> None:
            fill(site, namespace)
            site.faults.add("status", status=403, path="/search", space="S0002")

        return seed

    monkeypatch.setattr(demo, "_seeder", faulty)
    assert demo.run_once("refresh-statuses", spaces=3, pages=9, latency_ms=0, as_json=False) == 1
    printed = capsys.readouterr()
    assert "FAILED" in printed.out
    assert "S0002" in printed.err


def test_the_site_agrees_with_the_execution_about_points_and_calls() -> None:
    with demo.running_demo(seed=demo._seeder(2, 100)) as running:
        running.switch_on(schedules=False)
        before = running.site.meter.points, running.site.meter.calls
        execution = running.finish(running.start("refresh-statuses"), lambda _seen: None)
        points = running.site.meter.points - before[0]
        calls = running.site.meter.calls - before[1]
    # The person's permission check and the names on the screen are asked of the site, too, but not by the run.
    assert 0 <= points - execution["metrics"]["points"] <= 20
    assert 0 <= calls - execution["metrics"]["calls"] <= 5


def test_the_company_goes_through_all_three_jobs_as_the_readme_says() -> None:
    with demo.running_demo() as running:
        running.switch_on(schedules=True)
        refreshed = running.finish(running.start("refresh-statuses"), lambda _seen: None)
        assert refreshed["status"] == "successful"
        again = running.finish(running.start("refresh-statuses"), lambda _seen: None)
        assert again["metrics"]["statusesChanged"] == 0
        mailed = running.finish(running.start("send-notifications"), lambda _seen: None)
        assert mailed["metrics"]["emailsSent"] == len(running.inbox.mails()) > 5
        assert mailed["metrics"]["emailsSuppressed"] > 0
        recipients = [mail.account_id for mail in running.inbox.mails()]
        assert len(set(recipients)) == len(recipients)
        archived = running.finish(running.start("execute-automations"), lambda _seen: None)
        assert archived["metrics"]["contentsArchived"] == sum(1 for _ in running.site.contents(status="archived"))
        items = items_of(running, archived["id"])
        reasons = {item["reason"] for item in items if item["outcome"] == "skipped"}
        assert reasons >= {"home page of the space", "has children", "would expose restricted children"}
        finance = running.site.space("FIN")
        assert running.site.get(finance.homepage_id or "").status == "current"


def test_a_kept_database_stays_private_and_is_the_same_installation_next_time(tmp_path: Path) -> None:
    for _ in range(2):
        with demo.running_demo(data=tmp_path, seed=demo._seeder(1, 3)) as running:
            running.switch_on(schedules=False)
            running.finish(running.start("refresh-statuses"), lambda _seen: None)
            listed = running.call("GET", "/api/executions").json()["items"]
    assert len(listed) == 2
    assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600


def test_steward_demo_prints_an_address_that_opens_and_ends_on_interrupt() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STEWARD_")}
    process = subprocess.Popen(
        [*STEWARD, "demo", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Open http://127.0.0.1:"), first + (process.stderr.read() if process.stderr else "")
        url = first.split()[1]
        answer = eventually(lambda: requests.get(url, timeout=10))
        assert "Rivermark" in answer.text
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert "Stopping." in rest
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
