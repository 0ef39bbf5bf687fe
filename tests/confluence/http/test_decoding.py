"""What one person wrote into an answer costs nothing but itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from addon.confluence import SiteClient
from addon.confluence.http.decoding import DEEPEST, KEPT_DEPTH, KEPT_TEXT, KEPT_VALUES, decoded, kept
from tests.confluence.conftest import BASE

SEARCH = f"{BASE}/rest/api/content/search"
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=40,
)


@given(plain)
def test_what_is_no_burden_is_read_as_it_is(value: Any) -> None:
    text = json.dumps(value).replace("\\u0000", "")
    assert decoded(text.encode()) == json.loads(text)


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1, 500, 970, 1000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"\\"]}":', "}"), ('[1,{"a":', "},[[2]]]")])
def test_what_is_nested_too_deep_is_read_as_far_as_it_can_be(levels: int, opening: str, closing: str) -> None:
    inside = opening * levels + "0" + closing * levels
    answer = decoded(f'{{"before": "[[{{", "deep": {inside}, "after": [{inside}, "\\ud800"]}}'.encode())
    assert (answer["before"], answer["after"][1]) == ("[[{", "\N{REPLACEMENT CHARACTER}")
    assert answer["deep"]


@pytest.mark.parametrize("text", ["[" * 100_000, "]" * 9 + "[" * 9, '{"a": ' * 2000, '"', "9" * 5000 + "x"])
def test_what_is_no_json_is_none_at_any_depth(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(text.encode())


def test_a_number_longer_than_python_reads_is_a_number() -> None:
    assert decoded(b'{"a": ' + b"9" * 5000 + b', "b": -' + b"9" * 25 + b', "c": 12}') == {
        "a": float("inf"),
        "b": -1e25,
        "c": 12,
    }


def size(value: Any) -> tuple[int, int]:
    """Return how many values and how many levels."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    sizes = [size(each) for each in inner]
    return 1 + sum(number for number, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)


@given(plain)
def test_of_a_property_no_more_is_kept_than_is_of_use(value: Any) -> None:
    number, depth = size(kept(value))
    assert number <= KEPT_VALUES
    assert depth <= KEPT_DEPTH + 1
    if size(value)[0] < KEPT_VALUES and size(value)[1] <= KEPT_DEPTH and len(str(value)) < KEPT_TEXT:
        assert kept(value) == value


def test_a_huge_property_is_cut_in_every_direction() -> None:
    wide = kept({"keep": True, "x": [{} for _ in range(10_000)], "y": "z" * 32_000})
    assert wide["keep"] is True
    assert size(wide)[0] <= KEPT_VALUES
    assert len(kept("z" * 32_000)) == KEPT_TEXT


@pytest.mark.parametrize(
    "poison",
    ["[" * 5000 + "]" * 5000, '{"a":' * 980 + "1" + "}" * 980, "9" * 5000, '{"x": "\\udc00\\u0000"}', "1e999", "NaN"],
    ids=lambda poison: poison[:20],
)
def test_one_contents_property_leaves_the_other_rows_of_a_listing_alone(
    client: SiteClient, web: responses.RequestsMock, poison: str
) -> None:
    def row(number: int, value: str) -> str:
        found = f'{{"id": "5{number}", "value": {value}, "version": {{"number": 1}}}}'
        return f'{{"id": "{number}", "type": "page", "metadata": {{"properties": {{"steward-status": {found}}}}}}}'

    rows = ",".join([row(1, '{"id": "expired"}'), row(2, poison), row(3, '{"id": "not-updated"}')])
    web.get(SEARCH, body=f'{{"results": [{rows}], "_links": {{}}}}', content_type="application/json")
    found = {content.id: content.properties["steward-status"] for content in client.search("type = page")}
    assert (found["1"].value, found["3"].value) == ({"id": "expired"}, {"id": "not-updated"})
    assert found["2"].version == 1


def test_a_date_that_cannot_be_read_costs_its_content_that_date_alone(
    client: SiteClient, web: responses.RequestsMock
) -> None:
    whens = ["2026-01-02T03:04:05.000Z", "yesterday", "0001-01-01T00:00:00+14:00"]
    rows = [
        {"id": str(number), "type": "page", "history": {"lastUpdated": {"when": when}}}
        for number, when in enumerate(whens)
    ]
    web.get(SEARCH, json={"results": rows, "_links": {}})
    years = [content.updated_at and content.updated_at.year for content in client.search("type = page")]
    assert years == [2026, None, 1900]
