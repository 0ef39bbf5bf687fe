"""Spaces of excluded types cost nothing, and no space that should take part is ever lost for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.jobs.conftest import Bench


@pytest.fixture
def crowded(bench: Bench) -> Bench:
    """A site with two shared and forty personal spaces, which the shipped policies exclude."""
    bench.site.add_space("DOCS")
    bench.site.add_space("KB", type="knowledge_base")
    for number in range(40):
        bench.site.add_space(f"~u{number}", type="personal", homepage=False)
    return bench


def listed(bench: Bench) -> tuple[set[str], int]:
    """List the spaces of a new run; return their keys and how often the site was asked for spaces."""
    run = bench.run()
    bench.client.calls.clear()
    return {space.key for space in bench.refresh_job.list_spaces(run)}, bench.client.calls["spaces"]


def a_day_later(bench: Bench) -> Bench:
    bench.clock.advance(timedelta(days=1))
    return bench


def test_after_the_first_listing_only_the_types_that_take_part_are_listed(crowded: Bench) -> None:
    assert listed(crowded) == ({"DOCS", "KB"}, 1)
    assert listed(a_day_later(crowded)) == ({"DOCS", "KB"}, 3)


def test_a_site_with_few_excluded_spaces_is_listed_in_one_go(bench: Bench) -> None:
    bench.site.add_space("DOCS")
    bench.site.add_space("~one", type="personal")
    assert listed(bench) == ({"DOCS"}, 1)
    assert listed(a_day_later(bench)) == ({"DOCS"}, 1)


def test_a_personal_space_that_an_assignment_names_takes_part_however_its_key_is_written(crowded: Bench) -> None:
    listed(crowded)

    def name(key: str) -> None:
        assignment = {"space": {"key": key}, "statusScheme": "freshness"}
        crowded.put(lambda data: data.update(assignments=[assignment]))

    name("~u7")
    assert listed(crowded) == ({"DOCS", "KB", "~u7"}, 4)
    name("~U8")
    found, _ = listed(crowded)
    assert found == {"DOCS", "KB", "~u8"}


def test_a_named_space_that_does_not_exist_causes_one_full_listing_and_no_more(crowded: Bench) -> None:
    listed(crowded)
    crowded.put(lambda data: data.update(assignments=[{"space": {"key": "GONE"}, "statusScheme": "freshness"}]))
    assert listed(crowded)[1] == 5
    assert listed(crowded)[1] == 0
    assert listed(a_day_later(crowded))[1] == 4


def test_a_type_that_nobody_knew_is_found_within_a_week(crowded: Bench) -> None:
    listed(crowded)
    crowded.site.add_space("NEW", type="moon")
    assert "NEW" not in listed(crowded)[0]
    assert "NEW" not in listed(a_day_later(crowded))[0]
    crowded.clock.advance(timedelta(days=7))
    assert listed(crowded) == ({"DOCS", "KB", "NEW"}, 1)
    assert "NEW" in listed(crowded)[0]


def test_a_type_that_is_let_in_is_listed_at_once(crowded: Bench) -> None:
    listed(crowded)
    crowded.put(lambda data: data.update(excludedSpaces=[{"type": "system"}]))
    assert len(listed(crowded)[0]) == 42


def test_a_retry_reports_which_of_its_spaces_are_excluded(crowded: Bench) -> None:
    own = [crowded.site.space(key).id for key in ("DOCS", "~u1", "~u2")]
    found = crowded.refresh_job.list_spaces(crowded.run(trigger="retry", params={"spaces": own}))
    assert {space.key: space.state for space in found} == {"DOCS": "pending", "~u1": "skipped", "~u2": "skipped"}


def test_spaces_are_selected_by_their_labels(bench: Bench) -> None:
    for key in ("DOCS", "OPS"):
        bench.site.add_space(key, labels=["archive-me"] if key == "OPS" else [])
        bench.page(key, "Old", months=30)

    def by_label(data: dict[str, Any]) -> None:
        data["excludedSpaces"] = [{"label": "archive-me"}]

    assert listed(bench)[0] == {"DOCS", "OPS"}
    bench.put(by_label)
    assert listed(bench)[0] == {"DOCS"}
    run, _ = bench.refresh()
    assert run.states() == {"DOCS": "done"}


def test_a_scheme_is_assigned_by_label(bench: Bench) -> None:
    bench.site.add_space("OPS", labels=["strict"])
    page = bench.page("OPS", "Young", months=1)

    bench.put(strict)
    bench.refresh()
    assert bench.stamp(page) == "expired"


def strict(data: dict[str, Any]) -> None:
    entries = [{"status": "expired", "cql": 'lastmodified < now("-1w")'}, {"status": "up-to-date"}]
    data["statusSchemes"].append({"id": "strict", "name": "Strict", "entries": entries})
    data["assignments"] = [{"space": {"label": "strict"}, "statusScheme": "strict"}]


def test_a_run_keeps_the_scheme_of_a_label_that_the_newest_policies_do_not_ask_for_any_more(bench: Bench) -> None:
    bench.site.add_space("OPS", labels=["strict"])
    page = bench.page("OPS", "Young", months=1)
    bench.put(strict)
    run = bench.run()
    bench.put(lambda data: data.update(assignments=[]))
    run.go(bench.refresh_job)
    assert bench.stamp(page) == "expired"


def test_a_space_that_is_excluded_by_its_label_loses_the_stamps_it_had(bench: Bench) -> None:
    bench.site.add_space("DOCS")
    bench.site.add_space("OPS", labels=["archive-me"])
    page = bench.page("OPS", "Old", months=30)
    bench.refresh()
    assert bench.stamp(page) == "expired"
    bench.put(lambda data: data.update(excludedSpaces=[{"label": "archive-me"}]))
    bench.refresh()
    assert bench.stamp(page) is None
