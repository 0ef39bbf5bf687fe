"""Policies are read from JSON and YAML strictly and written so that they can be read again."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from addon.base import TenantId
from addon.policies import MAX_BYTES, PolicyDocument, codec, dump, parse, shipped
from addon.screens.problems import Problem
from tests.support.answers import refused_with_problem

DOCUMENT = shipped("steward", TenantId("t"))


def _refused(text: str | bytes, content_type: str = "application/yaml") -> Problem:
    with refused_with_problem() as refused:
        parse(text, content_type)
    return refused.value


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/yaml", "text/yaml; charset=utf-8", "TEXT/X-YAML"]
)
def test_what_is_written_is_read_again(content_type: str) -> None:
    assert parse(dump(DOCUMENT, content_type), content_type) == DOCUMENT.data()
    assert PolicyDocument.read(parse(dump(DOCUMENT, content_type).encode(), content_type)) == DOCUMENT


def test_any_other_yaml_reader_and_writer_agrees() -> None:
    written = dump(DOCUMENT, "application/yaml")
    assert yaml.safe_load(written) == DOCUMENT.data()
    assert parse(yaml.safe_dump(DOCUMENT.data()), "application/yaml") == DOCUMENT.data()
    assert parse(json.dumps(DOCUMENT.data()), "application/yaml") == DOCUMENT.data(), "JSON is YAML"


def test_yaml_is_written_for_people() -> None:
    written = dump(DOCUMENT, "application/yaml")
    assert written.startswith("version: 0\nstatuses:\n  - id: expired\n    name: Expired\n")
    assert "    text: |\n      Hello {{ recipient.name }},\n" in written
    assert "    html: |\n      <!doctype html>\n" in written
    assert dump(DOCUMENT, "application/yaml") == written


def test_words_that_older_yaml_misreads_are_what_they_look_like() -> None:
    text = """
        on: true
        no: off
        date: 2026-12-01
        time: 2026-12-01T08:00:00Z
        clock: 12:30
        octal: 010
        nothing: ~
        cron: 0 8 * * 1
    """
    assert parse(text, "application/yaml") == {
        "on": True,
        "no": "off",
        "date": "2026-12-01",
        "time": "2026-12-01T08:00:00Z",
        "clock": "12:30",
        "octal": "010",
        "nothing": None,
        "cron": "0 8 * * 1",
    }


TABS_AND_LINE_ENDS = {
    "a:\tb": "b",
    "a: \t b": "b",
    "a: b\tc": "b\tc",
    "a: b\t": "b",
    "a: b \t# said\n": "b",
    "a: # said\n\t\n \t# more\n  b": "b",
    "a: b\n \tc": "b c",
    "a: b\n \t\n c": "b\nc",
    "a:\n  -\tb\n  - c": ["b", "c"],
    "a: [b,\tc,\n\td]": ["b", "c", "d"],
    "a: {\tb:\t1\t}": {"b": 1},
    'a: "b\tc"': "b\tc",
    "a: | \t\n  b\tc\n\n  \td\n": "b\tc\n\n\td\n",
    "a: b\u2028c": "b\u2028c",
    "a: b\u2029 c\u0085d # e\u2028f\n": "b\u2029 c\u0085d",
    "a: 'b\u2028c'": "b\u2028c",
    'a: "b\u2028c\\Ld\\u2029\\N"': "b\u2028c\u2028d\u2029\u0085",
    "a: |\n  b\u2028c\n  d\u0085\n": "b\u2028c\nd\u0085\n",
    "a: b\ue000\u2028": "b\ue000\u2028",
    "a: b\r\n  c\r\n": "b c",
}


@pytest.mark.parametrize("text", TABS_AND_LINE_ENDS)
def test_tabs_separate_and_only_line_feeds_and_carriage_returns_end_a_line(text: str) -> None:
    assert parse(text, "application/yaml") == {"a": TABS_AND_LINE_ENDS[text]}


def test_a_mistake_behind_an_old_line_end_is_in_the_line_that_an_editor_shows() -> None:
    assert _refused("a: x\u2028y\u0085z\nb: [1").extra == {"line": 2, "column": 6}


NUMBERS_OF_1_2 = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|true|True|TRUE|false|False|FALSE|null|Null|NULL|~|"
)
"""The core schema's table of plain scalars that are no text (YAML 1.2.2, 10.3.2)."""


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.eExo+-_:~aAbBfFnNiIuUlLtTrRsSyY", max_size=6))
@example("1e3")
@example("1E+5")
@example("12e03")
@example("0o14")
@example("0xFF")
@example("012")
@example("1.")
@example("+.5")
@example(".Inf")
@example("-.INF")
@example(".NAN")
@example("+12")
@example("~")
@example("y")
@example("")
def test_a_text_that_any_yaml_would_take_for_something_else_is_quoted(text: str) -> None:
    written = dump({"a": text}, "application/yaml")
    plain = written.removeprefix("a: ").rstrip("\n") == text
    assert not (plain and NUMBERS_OF_1_2.fullmatch(text)), written
    assert yaml.safe_load(written) == {"a": text}, "by 1.1"
    assert parse(written, "application/yaml") == {"a": text}


def test_what_an_older_yaml_takes_for_a_line_end_is_written_as_an_escape() -> None:
    text = "one\u2028two\nthree\u0085four\u2029\n\tfive\n"
    written = dump({"a": text}, "application/yaml")
    assert not set("\u2028\u2029\u0085\t") & set(written)
    assert yaml.safe_load(written) == parse(written, "application/yaml") == {"a": text}


def test_a_bomb_of_aliases_is_refused_where_it_begins() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    problem = _refused(bomb)
    assert (problem.status, problem.kind) == (400, "invalid-yaml")
    assert "line 1, column 4" in problem.detail
    assert problem.extra == {"line": 1, "column": 4}


YAML_MISTAKES = {
    "cron: * * * * *": (1, 7, "quotes"),
    "a: 1\nb: [1, 2\n": (3, 1, ""),
    "a: 1\na: 2": (2, 1, "'a' is given twice"),
    "a:\n  b: 1\n  c: 2\n  b: 3": (4, 3, "'b' is given twice"),
    "a: !!python/object/apply:os.system [ls]": (1, 4, "tags"),
    "a: !custom x": (1, 4, "tags"),
    "a: 1\n---\nb: 2": (2, 1, ""),
    "1: x": (1, 1, "field names are text"),
    "? [a, b]\n: x": (1, 3, "field names are text"),
    "<<: {a: 1}": None,
    "a: \t- b\n\t c": (1, 5, "sequence entries are not allowed here"),
    "-\ta: 1": (1, 4, "mapping values are not allowed here"),
    "a:\n\tb: 1": (2, 1, "a tab cannot indent"),
    "a:\n  b: 1\n\tc: 2": (3, 1, "a tab cannot indent"),
    "a: b\n\tc": (2, 1, "a tab cannot indent"),
    "x: " + "[" * 50 + "]" * 50: (1, 23, "deeply"),
    "a: 1\nb: \x07": (2, 4, "character"),
}


@pytest.mark.parametrize("text", YAML_MISTAKES)
def test_yaml_that_cannot_be_read_is_refused_with_line_and_column(text: str) -> None:
    expected = YAML_MISTAKES[text]
    if expected is None:
        assert parse(text, "application/yaml") == {"<<": {"a": 1}}, "merging is not done either"
        return
    problem = _refused(text)
    assert problem.status == 400
    assert (problem.extra["line"], problem.extra["column"]) == expected[:2], problem.detail
    assert expected[2] in problem.detail


JSON_MISTAKES = {
    '{"a": 1,}': (1, 9),
    '{\n  "a": 1,\n  "a": 2}': (3, 3),
    '{"a": NaN}': (1, 7),
    '{"a": "x}': (1, 7),
    "": (1, 1),
    '{"a": ' + "[" * 50_000: (1, 1),
    '{"a": ' + "9" * 5000 + "}": (1, 1),
}


@pytest.mark.parametrize("text", JSON_MISTAKES, ids=[text[:20] for text in JSON_MISTAKES])
def test_json_that_cannot_be_read_is_refused_with_line_and_column(text: str) -> None:
    problem = _refused(text, "application/json")
    assert (problem.status, problem.kind) == (400, "invalid-json")
    assert (problem.extra["line"], problem.extra["column"]) == JSON_MISTAKES[text], problem.detail


@pytest.mark.parametrize("text", ["", "[]", "text", "3", "null"])
@pytest.mark.parametrize("content_type", ["application/yaml", "application/json"])
def test_a_document_is_an_object(text: str, content_type: str) -> None:
    assert _refused(text, content_type).status == 400


def test_text_that_is_not_utf_8_says_where() -> None:
    problem = _refused(b"a: 1\nb: \xff\xfe")
    assert (problem.status, problem.extra) == (400, {"line": 2, "column": 4})


def test_a_document_that_is_too_long_is_not_even_read() -> None:
    assert _refused(b"a: " + b"x" * MAX_BYTES).status == 413


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/xml", "application/merge-patch+json"])
def test_an_unknown_content_type_is_refused_both_ways(content_type: str | None) -> None:
    assert _refused("{}", content_type or "").status == 415
    with refused_with_problem() as refused:
        dump(DOCUMENT, content_type)
    assert refused.value.status == 415


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("abcdefON123~-", min_size=1), PLAIN, max_size=5))
def test_anything_plain_survives_yaml_and_json(data: dict[str, Any]) -> None:
    for content_type in ("application/yaml", "application/json"):
        assert parse(dump(data, content_type), content_type) == data


@settings(max_examples=150, deadline=None)
@given(st.text() | st.binary())
def test_no_text_at_all_is_an_unexpected_error(text: str | bytes) -> None:
    for content_type in ("application/yaml", "application/json"):
        with refused_with_problem() as refused:
            PolicyDocument.read(parse(text, content_type))
        assert refused.value.status in (400, 413, 422)


TOO_LARGE = {
    "a long YAML": ("a: " + "x" * 256_000, "application/yaml", "256,000 bytes"),
    "a YAML of many lines": ("a:\n" + "- b\n" * 20_000, "application/yaml", "20,000 values"),
    "a YAML of many braces": ("a: [" + "{}," * 20_000 + "]", "application/yaml", "20,000 values"),
    "a long JSON": ('{"a": "' + "x" * 1_000_000 + '"}', "application/json", "1,000,000 bytes"),
    "a JSON of many objects": ('{"statuses":[' + "{}," * 100_000 + "{}]}", "application/json", "100,000 values"),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_what_would_take_long_to_read_is_refused_before_it_is_read(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, content_type, most = TOO_LARGE[kind]
    monkeypatch.setattr(json, "loads", None)
    monkeypatch.setattr(codec, "_Reader", None)
    with refused_with_problem(match=most) as refused:
        parse(text, content_type)
    assert refused.value.status == 413
    assert ("read as JSON" in refused.value.detail) == (content_type == "application/yaml")


def test_a_yaml_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counting(codec._Reader):
        def __init__(self, text: str) -> None:
            made.append(text)
            super().__init__(text)

    monkeypatch.setattr(codec, "_Reader", Counting)
    monkeypatch.setattr(yaml, "parse", None)
    monkeypatch.setattr(yaml, "load", None)
    monkeypatch.setattr(yaml, "compose", None)
    assert parse("a: [1, 2]", "application/yaml") == {"a": [1, 2]}
    assert len(made) == 1


def test_a_second_yaml_document_is_named_in_a_sentence_of_its_own() -> None:
    detail = _refused("a: 1\n---\nb: 2\n").detail
    assert detail.endswith(": a second document begins here, but only one is read.")
