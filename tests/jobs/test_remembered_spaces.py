"""Spaces are listed once a day and counted in between, and a change on the site is seen at once all the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.confluence import errors, note_hint
from tests.jobs.conftest import Bench

MISSING = "no longer visible or deleted"
SPACES = 300


def keys(bench: Bench) -> set[str]:
    """Return the keys that a new run lists to work on."""
    bench.client.calls.clear()
    bench.client.points = 0
    return {space.key for space in bench.refresh_job.list_spaces(bench.run()) if space.state == "pending"}


@pytest.fixture
def wide(bench: Bench) -> Bench:
    """A site with many spaces, listed once."""
    for number in range(SPACES):
        bench.site.add_space(f"S{number}", homepage=False)
    assert len(keys(bench)) == SPACES
    return bench


def test_a_site_on_which_no_space_came_or_went_costs_a_count_of_all_and_one_of_the_listed(wide: Bench) -> None:
    assert len(keys(wide)) == SPACES
    assert dict(wide.client.calls) == {"count": 2}
    assert wide.client.points == 2


def test_the_spaces_are_listed_again_once_a_day(wide: Bench) -> None:
    asked = []
    for _ in range(8):
        wide.clock.advance(timedelta(hours=6))
        keys(wide)
        asked.append(wide.client.calls["spaces"])
    assert asked == [0, 0, 0, 1, 0, 0, 0, 1]


def test_a_space_that_is_new_takes_part_in_the_next_run(wide: Bench) -> None:
    wide.site.add_space("NEW")
    assert "NEW" in keys(wide)
    assert wide.client.calls["spaces"] == 1


def test_one_that_comes_as_another_goes_is_seen_though_their_number_is_the_same(wide: Bench) -> None:
    wide.site.remove_space("S7")
    wide.site.add_space("NEW")
    found = keys(wide)
    assert "NEW" in found
    assert "S7" not in found


def test_a_webhook_about_a_space_has_the_spaces_listed(wide: Bench) -> None:
    wide.clock.advance(60)
    with wide.db.write(wide.tenant_id) as session:
        note_hint(
            session,
            wide.tenant_id,
            kind="space",
            subject_id="7",
            event="space_removed",
            space_key="S7",
            at=wide.clock.now(),
        )
    wide.clock.advance(60)
    keys(wide)
    assert wide.client.calls["spaces"] == 1
    keys(wide)
    assert wide.client.calls["spaces"] == 0


def test_a_key_that_was_never_looked_for_has_the_spaces_listed_once(wide: Bench) -> None:
    wide.put(lambda data: data.update(assignments=[{"space": {"key": "NOWHERE"}, "statusScheme": "freshness"}]))
    keys(wide)
    assert wide.client.calls["spaces"] == 1
    keys(wide)
    assert wide.client.calls["spaces"] == 0


@pytest.mark.parametrize("error", [errors.ServerError("down", status=503), errors.CqlRejected("no", status=400)])
def test_where_search_does_not_count_spaces_they_are_listed_at_every_start(wide: Bench, error: Exception) -> None:
    def fault(method: str, _arguments: tuple[Any, ...]) -> None:
        if method == "count":
            raise error

    wide.client.faults.append(fault)
    wide.site.add_space("NEW")
    for _ in range(2):
        assert len(keys(wide)) == SPACES + 1
        assert wide.client.calls["spaces"] == 1


def test_a_site_that_counts_no_space_at_all_is_not_believed(wide: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide.client, "count", lambda _cql: 0)
    for _ in range(2):
        keys(wide)
        assert wide.client.calls["spaces"] == 1


def test_a_retry_asks_the_site_for_its_own_spaces_and_no_others(wide: Bench) -> None:
    own = wide.site.space("S5").id
    run = wide.run(trigger="retry", params={"spaces": [own]})
    wide.client.points = 0
    [space] = wide.refresh_job.list_spaces(run)
    assert (space.id, space.key, space.state) == (own, "S5", "pending")
    assert wide.client.points == 2


def test_another_tenants_list_is_not_touched(wide: Bench, new_tenant: Any) -> None:
    from tests.jobs.conftest import make_bench

    other = make_bench(wide.db, wide.clock, new_tenant("https://two.atlassian.net/wiki"))
    other.site.add_space("ONLY")
    assert keys(other) == {"ONLY"}
    assert len(keys(wide)) == SPACES
    assert wide.client.calls["spaces"] == 0
    assert keys(other) == {"ONLY"}


def test_of_a_site_full_of_personal_spaces_only_the_others_are_remembered(bench: Bench) -> None:
    bench.site.add_space("DOCS")
    for number in range(400):
        bench.site.add_space(f"~u{number}", type="personal", homepage=False)
    bench.put(lambda data: data.update(assignments=[{"space": {"key": "~u7"}, "statusScheme": "freshness"}]))
    assert keys(bench) == {"DOCS", "~u7"}
    assert keys(bench) == {"DOCS", "~u7"}
    assert (bench.client.points, bench.client.calls["spaces"]) == (2, 0)
    bench.clock.advance(timedelta(days=1))
    assert keys(bench) == {"DOCS", "~u7"}
    assert bench.client.points < 20


# Spaces that went


@pytest.fixture
def three(bench: Bench) -> Bench:
    """Three spaces with an old page each, refreshed once."""
    for key in ("A", "B", "C"):
        bench.site.add_space(key)
        bench.page(key, f"Old {key}", months=30)
    bench.refresh()
    return bench


def gone(bench: Bench, how: str, key: str = "B") -> None:
    space = bench.site.space(key)
    if how == "deleted":
        bench.site.remove_space(key)
    elif how == "hidden":
        bench.site.access.set_app(space.id, [])
    else:
        space.status = "archived"


@pytest.mark.parametrize(
    ("how", "reason"), [("deleted", MISSING), ("hidden", MISSING), ("archived", "archived meanwhile")]
)
def test_a_space_that_went_between_two_runs_is_reported_by_the_next_one_and_by_no_other(
    three: Bench, how: str, reason: str
) -> None:
    gone(three, how)
    run, _ = three.refresh()
    assert run.states() == {"A": "done", "B": "skipped", "C": "done"}
    assert run.spaces()["B"].reason == reason
    run, _ = three.refresh()
    assert run.states() == {"A": "done", "C": "done"}


@pytest.mark.parametrize("how", ["deleted", "hidden", "archived"])
@pytest.mark.parametrize("kind", ["refresh", "notify", "automate"])
def test_a_space_that_goes_while_the_run_waits_for_its_turn_is_skipped(three: Bench, how: str, kind: str) -> None:
    getattr(three, kind)()
    run = three.run({"refresh": "refresh-statuses", "notify": "send-notifications"}.get(kind, "execute-automations"))
    job = {"refresh": three.refresh_job, "notify": three.notify_job, "automate": three.automate_job}[kind]
    run.fix(job.list_spaces(run))
    gone(three, how)
    three.clock.advance(timedelta(minutes=10))
    job.work(run, run.left())
    assert run.states() == {"A": "done", "B": "skipped", "C": "done"}


def test_a_space_of_which_nothing_is_left_is_asked_for_before_it_counts_as_done(three: Bench) -> None:
    run = three.run()
    run.fix(three.refresh_job.list_spaces(run))
    three.clock.advance(timedelta(hours=1))
    run = three.run()
    run.fix(three.refresh_job.list_spaces(run))
    gone(three, "hidden")
    three.refresh_job.work(run, run.left())
    assert run.states() == {"A": "done", "B": "skipped", "C": "done"}


def test_what_a_retry_has_reported_is_not_reported_again(three: Bench) -> None:
    space = three.site.space("B").id
    gone(three, "deleted")
    run = three.run(trigger="retry", params={"spaces": [space]})
    run.go(three.refresh_job)
    assert [found.reason for found in run.spaces().values()] == [MISSING]
    run, _ = three.refresh()
    assert run.states() == {"A": "done", "C": "done"}


def test_a_retry_in_between_hides_no_space_that_went(three: Bench) -> None:
    three.run(trigger="retry", params={"spaces": [three.site.space("A").id]}).go(three.refresh_job)
    gone(three, "deleted")
    run, _ = three.refresh()
    assert run.spaces()["B"].reason == MISSING


def test_a_dry_run_takes_no_report_from_the_real_one(three: Bench) -> None:
    three.automate()
    three.automate(dry_run=True)
    gone(three, "deleted")
    assert three.automate(dry_run=True)[0].states()["B"] == "skipped"
    assert three.automate()[0].states()["B"] == "skipped"


def test_a_space_that_an_administrator_excludes_is_not_taken_for_gone(three: Bench) -> None:
    three.put(lambda data: data.update(excludedSpaces=[{"key": "B"}]))
    run, _ = three.refresh()
    assert run.states() == {"A": "done", "C": "done"}
