from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.confluence.cql.parser import (
    MAX_LENGTH,
    And,
    Clause,
    CqlSyntaxError,
    Expression,
    Function,
    Literal,
    Not,
    Or,
    Query,
    Value,
    clauses,
    parse,
    quote,
    to_cql,
)

# Speed is not what these tests are about, and machines are busy.
relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

A, B, C = (Clause(name, "=", (Literal("1", quoted=False),)) for name in "abc")

words = st.from_regex(r"[\w\-:]{1,12}", fullmatch=True).filter(
    lambda word: word.lower() not in {"and", "or", "not", "in", "order", "by"}
)
names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9\-]{0,8}", fullmatch=True).filter(
    lambda word: word.lower() not in {"and", "or", "not", "in", "order", "by"}
)


def storable(length: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=length)


literals = st.builds(Literal, storable(20), st.just(True)) | st.builds(Literal, words, st.just(False))
functions = st.builds(Function, names, st.lists(storable(8), max_size=3).map(tuple))
values: st.SearchStrategy[Value] = literals | functions
fields = names | st.sampled_from(["space.type", "content.property[steward-status].name.value", "space"])
plain = st.builds(Clause, fields, st.sampled_from(["=", "!=", "~", "!~", ">", ">=", "<", "<="]), st.tuples(values))
several = st.builds(
    Clause, fields, st.sampled_from(["in", "not in"]), st.lists(values, min_size=1, max_size=4).map(tuple)
)
expressions: st.SearchStrategy[Expression] = st.recursive(
    plain | several,
    lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner) | st.builds(Not, inner),
    max_leaves=12,
)


@relaxed
@given(expressions, st.lists(st.tuples(names, st.booleans()), max_size=2).map(tuple))
def test_what_is_written_reads_back_the_same(where: Expression, order: tuple[tuple[str, bool], ...]) -> None:
    query = Query(where, order)
    assert parse(to_cql(query)) == query


def refusal(text: str) -> CqlSyntaxError | None:
    try:
        parse(text)
    except CqlSyntaxError as error:
        return error
    return None


@relaxed
@given(st.text(max_size=60))
def test_any_text_is_a_query_or_a_syntax_error_with_a_position_inside_it(text: str) -> None:
    error = refusal(text)
    assert error is None or (0 <= error.position <= len(text) and error.message)


@relaxed
@given(st.text(alphabet="ab=\"'() \\andorti[],.~<!", max_size=40))
def test_near_misses_never_end_in_anything_but_a_syntax_error(text: str) -> None:
    try:
        query = parse(text)
    except CqlSyntaxError:
        return
    assert parse(to_cql(query)) == query


def test_without_parentheses_and_and_or_are_read_left_to_right() -> None:
    assert parse("a = 1 or b = 1 and c = 1").where == And(Or(A, B), C)
    assert parse("a = 1 and b = 1 or c = 1").where == Or(And(A, B), C)
    assert parse("not a = 1 and b = 1").where == And(Not(A), B)
    assert to_cql(And(Or(A, B), C)) == "(a = 1 or b = 1) and c = 1"


@pytest.mark.parametrize(
    "text",
    [
        'type in (page, blogpost) AND Space = "DS"',
        'lastmodified < now("-12M") order by lastmodified desc, title',
        "created > now(-7d)",
        "created >= startOfYear(+1w)",
        "created = 2026-11-22",
        'created = "2026/11/22 10:00"',
        "space.type = personal and space.key not in (A, B)",
        "content.property[steward-status].content = 12",
        "space in favouriteSpaces()",
        'title = "\\"exact phrase\\""',
        "creator = 557058:1a2b-3c",
        "ORDER BY created",
    ],
)
def test_confluences_own_forms_are_understood(text: str) -> None:
    assert parse(to_cql(parse(text))) == parse(text)


def test_keywords_take_any_case_and_fields_keep_theirs() -> None:
    assert parse("Type IN (page) AnD NOT a = 1").where == And(
        Clause("Type", "in", (Literal("page", quoted=False),)), Not(A)
    )


def test_escapes_in_strings_are_resolved() -> None:
    assert parse(r'title = "a \"b\" \\ \u00e9"').where == Clause("title", "=", (Literal('a "b" \\ é'),))
    assert quote('a"b\\') == r'"a\"b\\"'


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("type", 4),
        ("type = ", 7),
        ('type = "x', 7),
        ("a = 1)", 5),
        ("a in ()", 6),
        ("a = 1 b = 2", 6),
        ("a = and", 4),
        ("a = x.y", 5),
        ("a in b", 6),
    ],
)
def test_a_broken_query_says_where(text: str, position: int) -> None:
    with pytest.raises(CqlSyntaxError) as caught:
        parse(text)
    assert caught.value.position == position


def test_endless_queries_are_refused_before_they_cost_anything() -> None:
    with pytest.raises(CqlSyntaxError, match="at most"):
        parse("a" * (MAX_LENGTH + 1))
    with pytest.raises(CqlSyntaxError, match="AND, OR and NOT"):
        parse(" and ".join(["a = 1"] * 300))
    with pytest.raises(CqlSyntaxError):
        parse("(" * 5000)


def test_every_condition_can_be_visited() -> None:
    assert list(clauses(parse("a = 1 and (b = 1 or not c = 1)").where)) == [A, B, C]
    assert list(clauses(None)) == []


def test_escapes_of_character_pairs_are_read_together_and_halves_are_refused() -> None:
    assert parse(r'title = "\ud83d\ude00"').where == Clause("title", "=", (Literal("\N{GRINNING FACE}"),))
    for text in (r'title = "\ud83d"', r'title = "\ude00\ud83d"', r'label = "a\u0000"'):
        with pytest.raises(CqlSyntaxError) as refused:
            parse(text)
        assert refused.value.position == 8
