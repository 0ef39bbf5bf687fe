from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.base import Space
from addon.confluence.cql.parser import And, Clause, Literal, clauses, parse
from addon.confluence.cql.queries import (
    URL_BYTES,
    all_of,
    any_of,
    encoded_length,
    group_spaces,
    in_spaces,
    none_of,
    values,
)

# Speed is not what these tests are about, and machines are busy.
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def space(key: str) -> Space:
    return Space(key, key, key, "global")


def test_a_query_begins_with_the_types_and_holds_every_part_in_parentheses() -> None:
    query = in_spaces([space("A"), space("~b")], 'label = "x" or label = "y"')
    assert query == '(type in (page, blogpost)) and (space in ("A", "~b")) and (label = "x" or label = "y")'
    where = parse(query).where
    assert isinstance(where, And)
    assert next(clauses(where)).field == "type"


def test_a_query_without_spaces_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="space"):
        in_spaces([])


def test_parts_are_combined_and_empty_ones_left_out() -> None:
    assert all_of("a = 1", None, "", "b = 1 or c = 1") == "(a = 1) and (b = 1 or c = 1)"
    assert any_of("a = 1", None) == "(a = 1)"
    assert none_of("a = 1", "b = 1") == "not ((a = 1) or (b = 1))"
    assert none_of() == ""
    assert values(["a", 'b"']) == '("a", "b\\"")'


@relaxed
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_no_key_can_say_anything_but_itself(key: str) -> None:
    found = [clause for clause in clauses(parse(in_spaces([key])).where) if clause.field == "space"]
    assert found == [Clause("space", "in", (Literal(key),))]


@relaxed
@given(st.lists(st.text(min_size=1, max_size=200), unique=True, max_size=120), st.integers(0, 5_000))
def test_groups_keep_order_lose_nothing_and_fit_in_a_url(keys: list[str], length: int) -> None:
    spaces = [space(key) for key in keys]
    groups = list(group_spaces(spaces, length))
    assert [member for group in groups for member in group] == spaces
    for group in groups:
        assert 0 < len(group) <= 50
        if len(group) > 1:
            assert encoded_length(in_spaces(group, "x")) + length <= URL_BYTES


def test_ordinary_keys_fill_groups_of_fifty() -> None:
    assert [len(group) for group in group_spaces([space(f"KEY{n}") for n in range(120)], 500)] == [50, 50, 20]
