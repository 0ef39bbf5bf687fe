"""Listing is the last resort, and a large space is listed only when somebody agreed to what it costs."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from addon.confluence import errors
from addon.jobs.statuses.ask import listing
from tests.jobs.conftest import Bench


def inherit_from_many(bench: Bench) -> str:
    """Let so many pages pass a status on that their ids fit into no query; return a page below one of them."""
    bench.site.add_space("DOCS", homepage=False)
    bench.site.add_space("OPS")
    tops = [bench.page("DOCS", f"Top {number}") for number in range(500)]
    for top in tops:
        bench.site.label(top, "retired")

    def inherited(data: dict[str, Any]) -> None:
        data["statusSchemes"][0]["entries"][0]["ancestorCql"] = "label = retired"

    bench.put(inherited)
    return bench.page("DOCS", "Below", parent=tops[-1])


def test_a_large_space_waits_for_an_administrators_word(bench: Bench) -> None:
    below = inherit_from_many(bench)
    with patch.object(listing, "MOST", 400):
        run, _ = bench.refresh()
        assert run.states() == {"DOCS": "failed", "OPS": "done"}
        reason = run.spaces()["DOCS"].reason or ""
        assert "501 items" in reason
        assert "listLargeSpaces" in reason
        assert bench.stamp(below) is None
        bench.put(lambda data: data.update(listLargeSpaces=True))
        run, _ = bench.refresh()
        assert run.states() == {"DOCS": "done", "OPS": "done"}
        assert bench.stamp(below) == "expired"


def test_what_refuses_the_stamp_is_listed_and_not_written_again(bench: Bench) -> None:
    below = inherit_from_many(bench)
    bench.site.restrict(below, users=["u-admin"], operation="update")
    bench.refresh()
    _, metrics = bench.refresh()
    assert (bench.client.writes, metrics["contentsReadOnly"]) == (0, 1)
    assert metrics["statusCounts"] == {"expired": 1, "up-to-date": 501}
    bench.site.move(below, space_key="OPS")
    _, metrics = bench.refresh()
    assert metrics["contentsReadOnly"] == 0


def test_a_site_that_does_not_count_is_read_to_see_whether_the_space_is_too_large(bench: Bench) -> None:
    below = inherit_from_many(bench)

    def fault(method: str, _arguments: tuple[Any, ...]) -> None:
        if method == "count":
            raise errors.ServerError("down", status=503)

    bench.client.faults.append(fault)
    with patch.object(listing, "MOST", 400):
        run, _ = bench.refresh()
        assert run.states() == {"DOCS": "failed", "OPS": "done"}
        assert "more than 400 items" in (run.spaces()["DOCS"].reason or "")
    run, _ = bench.refresh()
    assert run.states() == {"DOCS": "done", "OPS": "done"}
    assert bench.stamp(below) == "expired"
