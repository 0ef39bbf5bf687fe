"""The scheme of a space, and whether it is excluded: the first selector that matches wins.

Two rules protect spaces from being swept up. A personal space has automations only when an assignment names it by its
key. And an exclusion by type (all personal spaces, say) is lifted for a space that an assignment names by its key:
that is how one personal space is let in. Exclusions by key, label or pattern are never lifted.

Where the policies choose the spaces that take part, every other one is left alone, also each that is made later. To be
chosen lifts no exclusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from addon.base import Space

if TYPE_CHECKING:
    from addon.policies.document import PolicyDocument
    from addon.policies.elements import AutomationScheme, Selector

Sort = Literal["status_scheme", "notification_scheme", "automation_scheme"]

NOT_INCLUDED = "not included: only the spaces chosen in the policies take part"
TYPES = {
    "personal": "personal spaces",
    "system": "system spaces",
    "onboarding": "onboarding spaces",
    "xflow_sample_space": "sample spaces",
}


class Scheme(Protocol):
    """What the three sorts of schemes have in common."""

    @property
    def id(self) -> str:
        """The scheme's slug."""
        ...

    @property
    def default(self) -> bool:
        """Whether spaces without an assignment have it."""
        ...


S = TypeVar("S", bound=Scheme)


def matches(selector: Selector, space: Space) -> bool:
    """Whether `selector` selects `space`. Keys compare without case, as Confluence's own do.

    Raises ValueError for a label when the labels of `space` are not known: to take it for one without labels would
    give it another scheme than it has.
    """
    if selector.key is not None:
        return selector.key.casefold() == space.key.casefold()
    if selector.type is not None:
        return selector.type.casefold() == space.type.casefold()
    if selector.label is not None:
        if space.labels is None:
            raise ValueError(f"the labels of the space {space.key} were not asked for")
        return selector.label.casefold() in {label.casefold() for label in space.labels}
    assert selector.key_pattern is not None, "the model holds exactly one"
    return fnmatchcase(space.key.casefold(), selector.key_pattern.casefold().replace("[", "[[]"))


def assigned(document: PolicyDocument, space: Space, sort: Sort, schemes: Sequence[S]) -> S:
    """Return the scheme of `space` among `schemes`.

    That is the one of the first assignment naming one of this sort, else the default, else (in a document from before a
    check) the first.
    """
    for assignment in document.assignments:
        wanted = getattr(assignment, sort)
        if wanted is not None and matches(assignment.space, space):
            for scheme in schemes:
                if scheme.id == wanted:
                    return scheme
    return next((scheme for scheme in schemes if scheme.default), schemes[0])


def automation_scheme(document: PolicyDocument, space: Space) -> AutomationScheme | None:
    """Return the automation scheme of `space`, None when it is personal and no assignment names it by its key."""
    if space.type != "personal":
        return assigned(document, space, "automation_scheme", document.automation_schemes)
    for assignment in document.assignments:
        if assignment.automation_scheme and assignment.space.key and matches(assignment.space, space):
            return next((s for s in document.automation_schemes if s.id == assignment.automation_scheme), None)
    return None


def exclusion(document: PolicyDocument, space: Space) -> str | None:
    """Return why jobs leave `space` alone ("excluded by rule: personal spaces"), or None.

    A space that is not among the chosen ones has the reason NOT_INCLUDED.
    """
    key = space.key.casefold()
    if key in document.excluded_keys:
        return f"excluded by rule: space {space.key}"
    named = key in document.named_keys
    for selector in document.exclusion_rules:
        if matches(selector, space) and not (named and selector.type is not None):
            return f"excluded by rule: {describe(selector)}"
    chosen = not document.included_spaces or key in document.included_keys
    if chosen or any(matches(selector, space) for selector in document.inclusion_rules):
        return None
    return NOT_INCLUDED


def describe(selector: Selector) -> str:
    """Return the selector as a phrase for people."""
    if selector.key is not None:
        return f"space {selector.key}"
    if selector.type is not None:
        return TYPES.get(selector.type.casefold(), f"spaces of the type {selector.type}")
    if selector.label is not None:
        return f"spaces labelled {selector.label}"
    return f"spaces whose key fits {selector.key_pattern}"
