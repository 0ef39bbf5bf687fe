"""Problem documents (RFC 9457): the one shape of every error the outside sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from addon.base.titles import title


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the input. `pointer` is a JSON pointer (RFC 6901), or a parameter's name."""

    pointer: str
    detail: str


class Problem(Exception):
    """An answer for people: what happened, why, what to do.

    Parameters: `status` the HTTP status; `kind` a stable slug that programs may compare; `detail` a sentence or two;
    `errors` per field; `extra` further members of the document (camelCase); `retry_after` in seconds.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{status} {kind}: {detail}")
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.retry_after = retry_after

    def document(self) -> dict[str, Any]:
        """Return the problem document as a JSON-ready dictionary."""
        body: dict[str, Any] = {
            "type": f"urn:content-steward:problem:{self.kind}",
            "title": title(self.status, self.kind),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in self.errors]
        return body | self.extra
