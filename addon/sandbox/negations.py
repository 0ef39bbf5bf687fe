"""How the pretend site reads each form of negation for content that lacks the field it negates.

Confluence's documents do not say (docs/rules/confluence-api.md 4.1), so that every combination can be set apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Negation = Literal["inclusive", "exclusive"]
FORMS = ("!=", "not in", "not")
TYPES = ("date", "string")
"""Types of indexed values that are distinguished; text and numbers are read like strings."""


@dataclass(slots=True)
class Negations:
    """Inclusive in every form, but for the (form, type) that are named exclusive."""

    exclusive: set[tuple[str, str]] = field(default_factory=set)

    def put(self, reading: Negation, form: str | None = None, kind: str | None = None) -> None:
        """Let negations of this form and type be read so; of all forms or types where None."""
        chosen = {(each, every) for each in FORMS for every in TYPES if form in (None, each) and kind in (None, every)}
        self.exclusive = self.exclusive | chosen if reading == "exclusive" else self.exclusive - chosen

    def finds_lacking(self, form: str, kind: str) -> bool:
        """Return whether a negation written `form` finds content without a value of type `kind`."""
        form = "!=" if form == "!~" else form
        return (form, kind if kind == "date" else "string") not in self.exclusive

    @property
    def summary(self) -> str:
        """Return inclusive, exclusive, or mixed."""
        if not self.exclusive:
            return "inclusive"
        return "exclusive" if len(self.exclusive) == len(FORMS) * len(TYPES) else "mixed"
