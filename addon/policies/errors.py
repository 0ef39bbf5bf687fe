"""The errors of policies that are not accepted, below one root, and the sentences for fields that are not right."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pydantic

from addon.base import FieldError, Location, Refusal, plain, pointer
from addon.base import field_errors as pydantic_errors

MAX_ERRORS = 50
"""How many mistakes one error names: no more than a person reads."""

UNKNOWN = "is not a field of the policies document"
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


class PolicyError(Refusal):
    """A policies document that is not read, not stored or not there."""


class UnsupportedMediaType(PolicyError):
    """The text is in a format that is neither JSON nor YAML."""

    def __init__(self) -> None:
        super().__init__(
            "unsupported-media-type", "Policies are read and written as application/json or application/yaml."
        )


class TooLarge(PolicyError):
    """The text is longer, or has more values, than is read."""


class Unreadable(PolicyError):
    """The text is not JSON or not YAML. `extra` has the line and column where that shows, both from 1."""


class NoSuchVersion(PolicyError):
    """There is no version of this number."""

    def __init__(self, version: int) -> None:
        super().__init__("no-such-version", f"There is no version {version} of the policies.")


class InvalidPolicies(PolicyError):
    """The document has fields that are not right. `errors` names the first MAX_ERRORS of them."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        fields = "field is" if len(errors) == 1 else "fields are"
        detail = f"The policies were not accepted: {len(errors)} {fields} not right."
        if len(errors) > MAX_ERRORS:
            detail += f" The first {MAX_ERRORS} are listed."
        super().__init__("invalid-policies", detail, errors=errors[:MAX_ERRORS])


class PoliciesChanged(PolicyError):
    """The policies changed since the author of this document read them. `extra` has the current version.

    Parameters: `version` is the current one, `named` the one that the author names.
    """

    def __init__(self, version: int, named: int) -> None:
        if named > version:
            why = f"The policies never had a version {named}"
        else:
            why = "The policies were changed meanwhile"
        super().__init__(
            "policies-changed",
            f"{why}: the current version is {version}. Load them again, repeat your changes and save.",
            extra={"currentVersion": version},
        )


class SavedTooOften(PolicyError):
    """One tenant stored more versions within a day than it may."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "saved-too-often",
            f"The policies were saved {most} times within a day. Save them again later.",
            retry_after=3600,
        )


def field_errors(error: pydantic.ValidationError) -> list[FieldError]:
    """Return one FieldError for each thing that pydantic found wrong in a document, in sentences for people."""
    return pydantic_errors(error, sentence=_sentence)


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


def _sentence(kind: str, location: Location, message: str) -> str:
    if kind == "string_pattern_mismatch" and location:
        return PATTERNS.get(str(location[-1]), plain(kind, location, message))
    return UNKNOWN if kind == "extra_forbidden" else plain(kind, location, message)
