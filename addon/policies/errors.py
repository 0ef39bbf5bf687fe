"""Where in the document is the mistake, and what is it? JSON pointers and sentences for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

from addon.base import FieldError

SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of the policies document",
    "string_type": "must be text",
    "string_pattern_mismatch": "has characters that are not allowed here",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "model_type": "must be an object with fields",
    "dict_type": "must be an object with fields",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "timezone_aware": "must name its time zone, such as 2026-12-01T08:00:00Z",
}
PATTERNS = {
    "id": "must be a slug: small letters, digits and single hyphens, at most 64",
    "status": "must be the id of a status",
    "template": "must be the id of a template",
    "colour": "must be a colour such as #22a06b",
    "icon": "must be the name of an icon: up to 40 characters without blanks, quotes or markup",
    "name": "must be one line of text",
    "key": "must be a space key",
    "keyPattern": "must be a pattern of space keys, such as ARCH*",
}


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a path of field names and list positions."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def field_errors(error: pydantic.ValidationError) -> list[FieldError]:
    """Return one FieldError for each thing that is wrong.

    pydantic also calls a list too short because its wrong members do not count; that is left out.
    """
    entries = error.errors(include_url=False, include_context=False, include_input=False)
    within = {entry["loc"][:length] for entry in entries for length in range(len(entry["loc"]))}
    return [
        FieldError(pointer(*entry["loc"]), _sentence(entry["type"], entry["loc"], entry["msg"]))
        for entry in entries
        if entry["type"] != "too_short" or entry["loc"] not in within
    ]


def unstorable(data: Mapping[str, Any]) -> list[FieldError]:
    """Return an error for every text that no database or mail can carry: control characters, half surrogates."""
    return [
        FieldError(pointer(*path), "has a control character or half a character pair")
        for path, text in _texts(data)
        if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r" for char in text)
    ]


def _texts(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield (*path, "(name)"), str(name)
            yield from _texts(inner, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*path, position))


def _sentence(kind: str, location: tuple[int | str, ...], message: str) -> str:
    if kind == "string_pattern_mismatch" and location:
        return PATTERNS.get(str(location[-1]), SENTENCES[kind])
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return SENTENCES.get(kind, message[:1].lower() + message[1:])
