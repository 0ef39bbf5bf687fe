"""What a site does with `alias != "x"` changes the price of a refresh and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from addon.confluence import errors
from addon.jobs import site_facts
from addon.jobs.ledger import slugs_of
from tests.jobs.conftest import Bench

PROBE = '!= "~none~"'


def known(bench: Bench) -> str:
    with bench.db.read(bench.tenant_id) as session:
        return site_facts.load(session).negation


def fill(bench: Bench, spaces: int = 4, contents: int = 40) -> list[str]:
    """Add equal spaces where every fifth page is old and every fifth ageing, created on different days."""
    found: list[str] = []
    for space in range(spaces):
        bench.site.add_space(f"S{space}", homepage=False)
        for number in range(contents):
            months = {0: 30, 1: 15}.get(number % 5, 1) + number / 50
            found.append(bench.page(f"S{space}", f"Page {number}", months=months))
    return found


def asked(bench: Bench) -> list[str]:
    queries: list[str] = []

    def listen(method: str, arguments: tuple[Any, ...]) -> None:
        if method in ("count", "search"):
            queries.append(str(arguments[0]))

    bench.client.faults.append(listen)
    return queries


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
def test_the_probe_finds_out_and_remembers_for_a_week(bench: Bench, negation: Any) -> None:
    fill(bench)
    bench.site.negation = negation
    queries = asked(bench)
    bench.refresh()
    bench.refresh()
    assert known(bench) == negation
    once = len([query for query in queries if PROBE in query])
    assert 1 <= once <= 2
    bench.clock.advance(timedelta(days=7))
    bench.refresh()
    assert len([query for query in queries if PROBE in query]) == 2 * once


def test_a_site_where_everything_is_stamped_tells_nothing(bench: Bench) -> None:
    bench.site.add_space("DOCS", homepage=False)
    page = bench.page("DOCS", "Old", months=30)
    bench.site.set_property(page, "steward-status", {"id": "expired", "content": page})
    bench.refresh()
    assert known(bench) == "unknown"
    bench.page("DOCS", "New")
    bench.refresh()
    assert known(bench) == "inclusive"


def test_a_site_that_does_not_know_the_alias_yet_is_asked_again(bench: Bench) -> None:
    fill(bench)

    def silent(method: str, arguments: tuple[Any, ...]) -> None:
        if method == "count" and "~none~" in arguments[0]:
            raise errors.CqlRejected("no such field", status=400)

    bench.client.faults.append(silent)
    run, metrics = bench.refresh()
    assert known(bench) == "unknown"
    assert set(run.states().values()) == {"done"}
    assert metrics["statusCounts"] == {"expired": 32, "not-updated": 32, "up-to-date": 96}
    bench.client.faults.clear()
    bench.refresh()
    assert known(bench) == "inclusive"


def test_no_question_is_negated_on_an_exclusive_site(bench: Bench) -> None:
    pages = fill(bench)
    bench.site.negation = "exclusive"
    queries = asked(bench)
    bench.refresh()
    bench.site.edit(pages[0])
    bench.clock.advance(timedelta(days=40))
    bench.refresh()
    ours = [query for query in queries if "space in" in query]
    assert len(ours) > 20
    assert not [query for query in ours if "not" in query.replace("not-updated", "") or "!=" in query]


def test_both_kinds_of_site_come_to_the_same_through_a_year(bench: Bench) -> None:
    pages = fill(bench)
    bench.site.negation = "exclusive"
    for month in range(12):
        bench.clock.advance(timedelta(days=30))
        for page in pages[month * 3 : month * 3 + 4]:
            bench.site.edit(page)
        _, metrics = bench.refresh()

        def older(months: int) -> int:
            return len(list(bench.client.search(f'type in (page) and lastmodified < now("-{months}M")')))

        expired, not_updated = older(24), older(12) - older(24)
        found = [metrics["statusCounts"].get(slug, 0) for slug in ("expired", "not-updated", "up-to-date")]
        assert found == [expired, not_updated, len(pages) - expired - not_updated]


def test_an_idle_exclusive_site_costs_at_most_half_as_much_again(bench: Bench) -> None:
    fill(bench, spaces=30, contents=10)
    bench.refresh()
    bench.refresh()
    inclusive = bench.client.points, sum(bench.client.calls.values())
    bench.clock.advance(timedelta(days=7))
    bench.site.negation = "exclusive"
    bench.refresh()
    _, metrics = bench.refresh()
    assert metrics["statusesChanged"] == 0
    assert bench.client.points <= 1.5 * inclusive[0]
    assert sum(bench.client.calls.values()) <= 1.5 * inclusive[1]


def test_few_changes_among_many_contents_are_found_without_listing_them(bench: Bench) -> None:
    pages = fill(bench, spaces=2, contents=400)
    bench.site.negation = "exclusive"
    bench.refresh()
    bench.refresh()
    idle = bench.client.points
    bench.site.set_property(pages[2], "steward-review", {"expirationDate": "2026-01-01"}, by="u-admin")
    bench.site.edit(pages[400])
    _, metrics = bench.refresh()
    assert metrics["statusesChanged"] == 2
    # Listing what is stamped would cost 320, and listing the contents 800.
    assert bench.client.points - idle < 240


@pytest.mark.parametrize("statuses", [1, 2, 4])
def test_calls_grow_with_groups_and_statuses_only(bench: Bench, statuses: int) -> None:
    def scheme(data: dict[str, Any]) -> None:
        slugs = [f"s{number}" for number in range(statuses)]
        data["statuses"] += [{"id": slug, "name": slug.upper()} for slug in slugs]
        entries = [{"status": slug, "cql": f'lastmodified < now("-{40 - n}M")'} for n, slug in enumerate(slugs)]
        data["statusSchemes"][0]["entries"] = [*entries, {"status": "up-to-date"}]

    fill(bench, spaces=60, contents=5)
    bench.put(scheme)
    bench.refresh()
    bench.refresh()
    assert sum(bench.client.calls.values()) <= 2 + 2 * (2 * statuses + 2)


FORMS = [f"{form} {kind}" for form in ("!=", "not in", "not") for kind in ("string", "date")]
DATES = ((None, None), ("2020-01-01", None), ("2099-01-01", None), (None, "2026-11-01"), (None, "2025-06-01"),
         ("2099-01-01", "2019-01-01"), ("2020-01-01", "2026-11-01"))  # fmt: skip
SCHEMES = ("freshness", "last-update", "expiry-date")


def by_words(scheme: str, months: int, expires: str | None, reviewed: str | None) -> str:
    """Return the status as the shipped schemes' descriptions say it, at the end of November 2026."""
    touched = min([months, *([1] if reviewed == "2026-11-01" else []), *([18] if reviewed == "2025-06-01" else [])])
    passed, ahead = expires == "2020-01-01", expires == "2099-01-01"
    if scheme == "expiry-date":
        return "expired" if passed else "up-to-date"
    if scheme == "last-update":
        expired = touched > 24
    else:
        expired = passed or (touched > 24 and not ahead)
    return "expired" if expired else "not-updated" if touched > 12 else "up-to-date"


@pytest.mark.parametrize("stamps", [True, False])
@pytest.mark.parametrize("exclusive", [[], ["not date"], ["not string"], ["!= string", "not in date"], FORMS])
def test_each_shipped_scheme_finds_the_same_contents_however_the_site_reads_negations(
    bench: Bench, exclusive: list[str], stamps: bool
) -> None:
    expected: dict[str, str] = {}
    for scheme in SCHEMES:
        bench.site.add_space(scheme.upper(), homepage=False)
        for months in (1, 15, 30):
            for expires, reviewed in DATES:
                page = bench.page(scheme.upper(), f"{months} {expires} {reviewed}", months=months)
                said = {"expirationDate": expires, "reviewedOn": reviewed}
                bench.site.set_property(page, "steward-review", {k: v for k, v in said.items() if v}, by="u-admin")
                expected[page] = by_words(scheme, months, expires, reviewed)

    def assigned(data: dict[str, Any]) -> None:
        data["statusStamps"] = stamps
        data["assignments"] = [{"space": {"key": each.upper()}, "statusScheme": each} for each in SCHEMES]

    bench.put(assigned)
    for each in exclusive:
        form, _, kind = each.rpartition(" ")
        bench.site.negations.put("exclusive", form, kind)
    for _ in range(2):
        _, metrics = bench.refresh()
        with bench.db.read(bench.tenant_id) as session:
            found = slugs_of(session, expected)
        assert {page: found.get(page, "up-to-date") for page in expected} == expected
    assert (metrics["statusesChanged"], bench.client.writes) == (0, 0)
