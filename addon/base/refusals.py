"""The error of a room that cannot do what was asked, with what the person who asked needs to know.

Each room has one root of its own below `Refusal` (`ConnectError`, `PolicyError`, `RightsError`). No room knows HTTP
statuses: `addon.screens.problems` has the table from error classes to answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pydantic

Location = tuple[int | str, ...]
"""The way to a field: names and list positions, from the outside in."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the input. `pointer` is a JSON pointer (RFC 6901), or a parameter's name."""

    pointer: str
    detail: str


class Refusal(Exception):
    """A request that is not served, in words for people: what happened, why, what to do.

    Parameters: `kind` a stable slug that programs may compare; `detail` a sentence or two; `errors` one per field that
    is not right; `extra` further facts for programs (JSON-ready, camelCase); `retry_after` the seconds after which it
    makes sense to try again, None where time does not help.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.retry_after = retry_after


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a path of field names and list positions."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def dotted(*parts: str | int) -> str:
    """Return the name of a query parameter, which is no part of a document and has no pointer."""
    return ".".join(str(part) for part in parts)


SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_pattern_mismatch": "has characters that are not allowed here",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "model_type": "must be an object with fields",
    "model_attributes_type": "must be an object with fields",
    "dict_type": "must be an object with fields",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "timezone_aware": "must name its time zone, such as 2026-12-01T08:00:00Z",
}
"""What is wrong, by pydantic's type of error."""
_OPENINGS = {
    "Value error, ": "",
    "Input should be greater than or equal to ": "must be at least ",
    "Input should be less than or equal to ": "must be at most ",
    "Input should be ": "must be ",
    "Input should ": "must ",
    "String should ": "must ",
    "List should ": "must ",
    "Tuple should ": "must ",
}
_BRANCH = re.compile(r"(?:literal|list|tuple|constrained-\w+|function-\w+|lax-or-strict)\[.*\]|constrained-\w+")
"""What pydantic puts into a location for one possibility of several (a union); no field of ours is named so."""


def plain(kind: str, _location: Location, message: str) -> str:
    """Return what is wrong in plain words, out of pydantic's type of error and its message."""
    if kind in SENTENCES:
        return SENTENCES[kind]
    for opening, words in _OPENINGS.items():
        if message.startswith(opening):
            return words + message.removeprefix(opening)
    return message[:1].lower() + message[1:]


def field_errors(
    error: pydantic.ValidationError,
    *,
    name: Callable[..., str] = pointer,
    sentence: Callable[[str, Location, str], str] = plain,
) -> list[FieldError]:
    """Return one FieldError for each thing that pydantic found wrong.

    Parameters: `name` makes a field's name out of its location (`pointer` or `dotted`); `sentence` the words out of
    pydantic's error type, location and message, `plain` when not given.

    pydantic also calls a tuple too short because its wrong members do not count; that is left out. Where a value may be
    one of several things, it reports on each: a possibility that was not meant is left out, since another one says
    what is wrong inside, and the others are joined to one error.
    """
    found = [
        (_without_branches(entry["type"], entry["loc"]), entry["type"], entry["msg"])
        for entry in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    within = {location[:length] for location, _, _ in found for length in range(len(location))}
    said: dict[Location, list[str]] = {}
    for location, kind, message in found:
        if kind not in ("too_short", "literal_error") or location not in within:
            said.setdefault(location, []).append(sentence(kind, location, message))
    return [FieldError(name(*location), ", or ".join(dict.fromkeys(words))) for location, words in said.items()]


def _without_branches(kind: str, location: Location) -> Location:
    """Return the way to a field without pydantic's own steps; an unknown field keeps its name, whatever that is."""
    kept = location[-1:] if kind == "extra_forbidden" else ()
    steps = location[: len(location) - len(kept)]
    return tuple(step for step in steps if isinstance(step, int) or not _BRANCH.fullmatch(step)) + kept
