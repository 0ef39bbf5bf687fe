"""The error of a room that cannot do what was asked, with what the person who asked needs to know.

Each room has one root of its own below `Refusal` (`ConnectError`, `PolicyError`, `RightsError`). No room knows HTTP
statuses: `addon.screens.problems` has the table from error classes to answers.
"""

from __future__ import annotations

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


def field_errors(
    error: pydantic.ValidationError,
    *,
    name: Callable[..., str] = pointer,
    sentence: Callable[[str, Location, str], str] = lambda _kind, _location, message: message,
) -> list[FieldError]:
    """Return one FieldError for each thing that pydantic found wrong.

    Parameters: `name` makes a field's name out of its location (`pointer` or `dotted`); `sentence` the words out of
    pydantic's error type, location and message, which are its message when not given.

    pydantic also calls a tuple too short because its wrong members do not count; that is left out.
    """
    entries = error.errors(include_url=False, include_context=False, include_input=False)
    within = {entry["loc"][:length] for entry in entries for length in range(len(entry["loc"]))}
    return [
        FieldError(name(*entry["loc"]), sentence(entry["type"], entry["loc"], entry["msg"]))
        for entry in entries
        if entry["type"] != "too_short" or entry["loc"] not in within
    ]
