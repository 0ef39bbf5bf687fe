"""Errors for people: what they carry, and how pydantic's findings become one error per field."""

from __future__ import annotations

from typing import Annotated

import pydantic
import pytest

from addon.base import FieldError, Refusal, pointer
from addon.base.refusals import dotted, field_errors


class Inner(pydantic.BaseModel):
    number: int


class Outer(pydantic.BaseModel):
    parts: Annotated[tuple[Inner, ...], pydantic.Field(min_length=1)]


def found(data: object) -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        Outer.model_validate(data)
    return caught.value


def test_a_refusal_carries_what_a_person_and_a_program_need() -> None:
    error = Refusal("busy", "Another job is running.", errors=[FieldError("/job", "unknown")], retry_after=5)
    assert (error.kind, error.detail, error.retry_after) == ("busy", "Another job is running.", 5)
    assert error.errors == (FieldError("/job", "unknown"),)
    assert error.extra == {}
    assert str(error) == "busy: Another job is running."


def test_a_pointer_escapes_what_would_end_a_step() -> None:
    assert pointer("a/b~c", 0, "d") == "/a~1b~0c/0/d"
    assert pointer() == ""


def test_each_wrong_field_is_named_once_and_a_list_is_not_called_too_short_for_its_wrong_members() -> None:
    errors = field_errors(found({"parts": [{"number": "x"}]}))
    assert [error.pointer for error in errors] == ["/parts/0/number"]
    assert [error.pointer for error in field_errors(found({"parts": []}))] == ["/parts"]


def test_names_and_sentences_are_the_callers_choice() -> None:
    errors = field_errors(
        found({"parts": [{"number": "x"}]}), name=dotted, sentence=lambda kind, location, _message: f"{kind} {location}"
    )
    assert errors == [FieldError("parts.0.number", "int_parsing ('parts', 0, 'number')")]
