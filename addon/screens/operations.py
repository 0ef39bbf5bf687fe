"""The operations of the JSON API, declared once next to their code: routing, validation and OpenAPI follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pydantic
from flask import Response, request

from addon.base import Caller, Location, dotted, field_errors, plain
from addon.screens.problems import Problem
from addon.screens.schemas import Body, Model, Query

F = TypeVar("F", bound=Callable[..., Any])

PATTERNS = {
    "spaceKey": "must be a space key",
    "spaces": "must be a space key",
    "spaceKeys": "must be space keys with commas between them",
    "keys": "must be space keys with commas between them",
    "contentId": "must be the id of a page or post",
    "ids": "must be the id of a page or post",
    "job": "must be the name of a job",
    "cursor": "was not given by this list",
}
"""What text must be where a pattern decides, by the field's name."""

MAX_BODY = 64 * 1024
"""Bytes of a request body, where an operation does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address. `path` is relative to /api, with OpenAPI's braces."""

    method: str
    path: str
    answers: Mapping[int, type[Model] | None]
    query: type[Query] | None = None
    body: type[Body] | None = None
    problems: Sequence[int] = ()
    raw: Mapping[str, Any] | None = None
    """OpenAPI request body content of an operation that reads its body itself."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers the operation needs, with what they say."""
    also: Sequence[str] = ()
    """Further media types of the answers, negotiated by Accept."""
    max_body: int = MAX_BODY
    name: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers when it is not just a model with the first declared status."""

    status: int
    model: Model
    headers: Mapping[str, str] = field(default_factory=dict)


def operation(method: str, path: str, **declared: Any) -> Callable[[F], F]:
    """Declare a method of an API class as an operation; its docstring's first line is the summary."""

    def mark(function: F) -> F:
        summary = (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        function.__operation__ = Operation(  # type: ignore[attr-defined]
            method, path, summary=summary, **{"name": function.__name__, **declared}
        )
        return function

    return mark


def operations(api: type) -> Iterator[tuple[str, Operation]]:
    """Yield the attribute names and operations of an API class, in the order of the source."""
    for name, attribute in vars(api).items():
        declared = getattr(attribute, "__operation__", None)
        if isinstance(declared, Operation):
            yield name, declared


def view(declared: Operation, function: Callable[..., Any], caller: Callable[[], Caller]) -> Callable[..., Response]:
    """Return the Flask view of an operation: who calls, what they sent, and the answer as JSON.

    Raises Problem 400 (not JSON), 413, 415 and 422 (with the fields) before the operation is asked.
    """

    def answer(**path: str) -> Response:
        values: dict[str, Any] = dict(path)
        who = caller()
        request.max_content_length = declared.max_body
        if declared.query is not None:
            values["query"] = read_query(declared.query)
        if declared.body is not None:
            values["body"] = read_body(declared.body)
        result = function(who, **values)
        if isinstance(result, Response):
            return result
        if not isinstance(result, Answer):
            result = Answer(next(iter(declared.answers)), result)
        response = Response(
            result.model.model_dump_json(by_alias=True), status=result.status, mimetype="application/json"
        )
        response.headers.update(result.headers)
        return response

    return answer


def read_query(model: type[Query]) -> Any:
    """Return the request's query parameters as `model`. Raises Problem 422; a repeated parameter is refused."""
    values: dict[str, str] = {}
    for name, given in request.args.lists():
        if name == "jwt":
            continue
        if len(given) > 1:
            raise Problem(422, "invalid", f"The parameter {name} is given more than once.")
        values[name] = given[0]
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise Problem(
            422,
            "invalid",
            "A query parameter is not acceptable.",
            errors=field_errors(error, name=dotted, sentence=_sentence),
        ) from error


def read_body(model: type[Body]) -> Any:
    """Return the request's JSON body as `model`. Raises Problem 400, 413, 415 or 422."""
    if request.mimetype != "application/json":
        raise Problem(415, "unsupported-media-type", "Send the body as application/json.")
    try:
        return model.model_validate_json(request.get_data())
    except pydantic.ValidationError as error:
        if any(entry["type"] == "json_invalid" for entry in error.errors(include_context=False)):
            raise Problem(400, "not-json", "The body is not JSON.") from error
        raise Problem(
            422,
            "invalid",
            "The request is not acceptable: see the fields.",
            errors=field_errors(error, sentence=_sentence),
        ) from error


def _sentence(kind: str, location: Location, message: str) -> str:
    names = [step for step in location if isinstance(step, str)]
    if kind == "string_pattern_mismatch" and names and names[-1] in PATTERNS:
        return PATTERNS[names[-1]]
    return plain(kind, location, message)
