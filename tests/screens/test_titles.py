"""Every problem that the code can raise has a title in plain words, and every title is one that it raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from addon.base import FieldError, Refusal
from addon.screens.problems import STATUSES, Problem
from addon.screens.titles import BY_KIND, BY_STATUS, title

ADDON = Path(__file__).parents[2] / "addon"
PHRASES = {status.phrase.lower() for status in HTTPStatus} - {"not found"}
MADE = {"invalid-json", "invalid-yaml"}
"""Kinds that the code puts together, or has for what the web framework refuses."""


STATUS_OF = {kind.__name__: status for kind, status in STATUSES.items()}


def raised() -> Iterator[tuple[int | None, str, str]]:
    """Yield status, kind and place of every error whose kind is written out where it is made or in its class."""
    for path in sorted(ADDON.rglob("*.py")):
        tree = ast.parse(path.read_text())
        inside = {
            id(node): STATUS_OF[each.name]
            for each in ast.walk(tree)
            if isinstance(each, ast.ClassDef) and each.name in STATUS_OF
            for node in ast.walk(each)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            place = f"{path.relative_to(ADDON)}:{node.lineno}"
            words = [each.value if isinstance(each, ast.Constant) else None for each in node.args]
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name == "Problem" and isinstance(words[1], str):
                yield words[0] if isinstance(words[0], int) else None, words[1], place
            elif name == "json_object" and isinstance(words[1], str):
                yield 400, words[1], place
            elif (
                words and isinstance(words[0], str) and (name in STATUS_OF or (id(node) in inside and _of_super(node)))
            ):
                yield STATUS_OF.get(name) or inside[id(node)], words[0], place


def _of_super(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"


def test_every_error_of_the_rooms_below_has_its_status() -> None:
    def below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    raised_ones = {
        each for each in below(Refusal) if each.__module__.startswith("addon.") and not each.__subclasses__()
    }
    assert raised_ones - {Problem} == set(STATUSES)


def test_every_problem_in_the_code_has_a_title_of_its_own_or_is_a_refused_token() -> None:
    found = list(raised())
    assert len(found) > 60
    assert {(kind, place) for status, kind, place in found if kind not in BY_KIND and status != 401} == set()


def test_no_title_is_kept_for_a_problem_that_nothing_raises() -> None:
    """A kind may be chosen between two before it is raised; those that are put together are listed."""
    said = {
        node.value
        for path in ADDON.rglob("*.py")
        if path.name != "titles.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(BY_KIND) - said == MADE


@pytest.mark.parametrize("words", sorted({*BY_KIND.values(), *BY_STATUS.values()}))
def test_a_title_is_a_short_phrase_without_codes(words: str) -> None:
    assert words.lower() not in PHRASES
    assert words[0].isupper()
    assert not any(each.isdigit() for each in words)
    assert 8 < len(words) < 60
    assert not words.endswith(".")


@pytest.mark.parametrize("status", [status for status in HTTPStatus if status >= 400])
def test_whatever_the_server_refuses_has_words_too(status: HTTPStatus) -> None:
    assert title(status, status.phrase.lower().replace(" ", "-")).lower() not in PHRASES


def test_a_problem_carries_the_title_of_its_kind() -> None:
    errors = [FieldError("/statuses/0/name", "is empty")]
    assert Problem(422, "invalid-policies", "One field.", errors=errors).document()["title"] == (
        "The policies cannot be saved yet"
    )
    assert Problem(401, "token-qsh", "It was signed for another address.").document()["title"] == (
        "Open this inside Confluence"
    )


def test_a_problem_document_names_the_field_and_carries_its_extra_members() -> None:
    problem = Problem(
        409, "busy", "Another execution runs.", errors=[FieldError("/job", "unknown")], extra={"execution": {"id": "1"}}
    )
    assert problem.document() == {
        "type": "urn:content-steward:problem:busy",
        "title": "Another job is running",
        "status": 409,
        "detail": "Another execution runs.",
        "errors": [{"pointer": "/job", "detail": "unknown"}],
        "execution": {"id": "1"},
    }
