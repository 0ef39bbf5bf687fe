"""Every query fits into a URL, whatever people wrote and however their spaces are called."""

from __future__ import annotations

from typing import Any

import pytest

from addon.confluence.cql import encoded_length
from tests.jobs.conftest import Bench


def long_cql(bytes_: int) -> str:
    words: list[int] = []
    while encoded_length(" or ".join(f"label = w{number}" for number in words or [0])) < bytes_:
        words.append(len(words))
    return " or ".join(f"label = w{number}" for number in words)


@pytest.mark.parametrize("negation", ["inclusive", "exclusive"])
@pytest.mark.parametrize(("field", "size"), [("cql", 1_500), ("ancestorCql", 3_000)])
def test_long_conditions_and_long_keys_make_smaller_groups(bench: Bench, negation: Any, field: str, size: int) -> None:
    bench.site.negation = negation
    pages = []
    for number in range(12):
        key = f"{'VERYLONGKEY' * 10}{number}"
        bench.site.add_space(key, homepage=False)
        top = bench.page(key, "Top")
        pages.append(bench.page(key, "Below", parent=top))
        bench.site.label(top if field == "ancestorCql" else pages[-1], "w7")
    queries: list[int] = []

    def measure(method: str, arguments: tuple[Any, ...]) -> None:
        if method in ("search", "count"):
            queries.append(encoded_length(arguments[0]))

    bench.client.faults.append(measure)
    bench.put(lambda data: data["statusSchemes"][0]["entries"][0].update({field: long_cql(size)}))
    run, metrics = bench.refresh()
    assert set(run.states().values()) == {"done"}
    assert [bench.stamp(page) for page in pages] == ["expired"] * 12
    assert max(queries) <= 6_000
    assert metrics["contentsChecked"] == 24


def test_a_condition_that_fits_nowhere_fails_its_spaces_with_the_reason(bench: Bench) -> None:
    for key in ("A", "B"):
        bench.site.add_space(key)
    # Each umlaut takes six bytes of a URL.
    bench.put(lambda data: data["statusSchemes"][0]["entries"][0].update(cql=f'title ~ "{"ü" * 1_000}"'))
    run, _ = bench.refresh()
    assert run.states() == {"A": "failed", "B": "failed"}
    assert "fits into no URL" in (run.spaces()["A"].reason or "")
