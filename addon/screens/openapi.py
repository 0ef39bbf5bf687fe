"""The OpenAPI 3.1 document of the JSON API, made from the operations themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from addon.screens.operations import Operation
from addon.screens.schemas import Model
from addon.screens.times import HEADER

REFERENCE = "#/components/schemas/{model}"


def document(declared: Iterable[Operation], *, problem: type[Model], version: str, server: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `declared`.

    Parameters: `problem` is the model of every error; `version` of the add-on; `server` the API's base address, such as
    https://host/api.
    """
    wanted = list(declared)
    schemas, names = _schemas(wanted, problem)
    paths: dict[str, dict[str, Any]] = {}
    for each in wanted:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, names, schemas, names[problem])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Content Steward",
            "version": version,
            "description": (
                "Start, watch and cancel job executions over a Confluence site, and keep its policies. Only one "
                "execution runs at a time per site. Every error is a problem document (RFC 9457). Times inside its "
                f"sentences are in the IANA zone that the header {HEADER} names, else in the site's."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "security": [{"contextToken": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "contextToken": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`JWT <token>`, the token being what AP.context.getToken() gives inside Confluence.",
                }
            },
        },
    }


def _schemas(wanted: list[Operation], problem: type[Model]) -> tuple[dict[str, Any], dict[type[Model], str]]:
    """Return all component schemas, and under which name each model of an answer or a body is found there."""
    answers: set[type[Model]] = {problem}
    bodies: set[type[Model]] = set()
    for each in wanted:
        answers.update(model for model in each.answers.values() if model is not None)
        if each.body is not None:
            bodies.add(each.body)
    inputs: list[Any] = [(model, "serialization") for model in sorted(answers, key=lambda model: model.__name__)]
    inputs += [(model, "validation") for model in sorted(bodies, key=lambda model: model.__name__)]
    keys, definitions = models_json_schema(inputs, ref_template=REFERENCE, schema_generator=GenerateJsonSchema)
    names: dict[type[Model], str] = {
        model: str(schema["$ref"]).rpartition("/")[2]
        for (model, _), schema in keys.items()
        if isinstance(model, type) and issubclass(model, Model) and "$ref" in schema
    }
    return dict(definitions["$defs"]), names


def _operation(each: Operation, names: dict[type[Model], str], schemas: dict[str, Any], problem: str) -> dict[str, Any]:
    result: dict[str, Any] = {"operationId": each.name, "summary": each.summary}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", each.path)
    ]
    if each.query is not None:
        parameters += _query_parameters(each, schemas)
    if each.headers:
        parameters += [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in each.headers.items()
        ]
    if parameters:
        result["parameters"] = parameters
    if each.body is not None:
        content: Any = {"application/json": {"schema": {"$ref": REFERENCE.format(model=names[each.body])}}}
        result["requestBody"] = {"required": True, "content": content}
    elif each.raw is not None:
        result["requestBody"] = {"required": True, "content": dict(each.raw)}
    result["responses"] = _responses(each, names, problem)
    return result


def _query_parameters(each: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    assert each.query is not None
    schema = each.query.model_json_schema(by_alias=True, ref_template=REFERENCE)
    schemas.update(schema.get("$defs", {}))
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(definition)}
        for name, definition in schema.get("properties", {}).items()
    ]


def _without_null(definition: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    kept = {key: value for key, value in definition.items() if key not in ("title", "default", "anyOf")}
    if definition.get("default") is not None:
        kept["default"] = definition["default"]
    choices = [choice for choice in definition.get("anyOf", []) if choice != {"type": "null"}]
    return kept | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})


def _responses(each: Operation, names: dict[type[Model], str], problem: str) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, model in each.answers.items():
        schema: Any = {} if model is None else {"$ref": REFERENCE.format(model=names[model])}
        content: dict[str, Any] = {"application/json": {"schema": schema}}
        for media in each.also:
            content[media] = {"schema": {"type": "string"}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    for status in each.problems:
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model=problem)}}},
        }
    return responses
