"""The places where policies name a status or a space, either of which may be gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from addon.base import pointer
from addon.policies.checks import Notice
from addon.policies.document import PolicyDocument
from addon.policies.elements import Selector

_VALUE = r"\"[^\"]*\"|'[^']*'|[\w-]+"
_SLUG = re.compile(_VALUE)


def statuses_in(cql: str, namespace: str) -> frozenset[str]:
    """Return the status ids that `cql` compares our status aliases with (`stewardStatus in ("expired", "draft")`)."""
    comparison = re.compile(
        rf"\b{re.escape(namespace)}(?:Previous)?Status\s*(?:!?=|(?:not\s+)?in)\s*({_VALUE}|\([^()]*\))", re.IGNORECASE
    )
    return frozenset(slug.strip("\"'") for operand in comparison.findall(cql) for slug in _SLUG.findall(operand))


def unknown_statuses(document: PolicyDocument, namespace: str) -> Iterator[Notice]:
    """Yield a notice for every rule and automation whose CQL names a status that the document does not have.

    It is no error: pages keep a removed status until their next refresh, and a rule may be about just those.
    """
    known = {status.id for status in document.statuses}
    for path, cql in _looking(document):
        for slug in sorted(statuses_in(cql, namespace) - known):
            yield Notice(pointer(*path), f"names the status {slug}, which is not among the statuses")


def keys_named(document: PolicyDocument) -> dict[str, str]:
    """Return every space key of `document` by the JSON pointer of its field."""
    lists: dict[str, tuple[Selector, ...]] = {
        "/includedSpaces/{}/key": document.included_spaces,
        "/excludedSpaces/{}/key": document.excluded_spaces,
        "/assignments/{}/space/key": tuple(each.space for each in document.assignments),
        "/indicator/spaces/{}/key": document.indicator.spaces,
    }
    return {
        place.format(position): selector.key
        for place, selectors in lists.items()
        for position, selector in enumerate(selectors)
        if selector.key is not None
    }


def _looking(document: PolicyDocument) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for i, notifications in enumerate(document.notification_schemes):
        for j, rule in enumerate(notifications.rules):
            yield ("notificationSchemes", i, "rules", j, "cql"), rule.cql
    for i, automations in enumerate(document.automation_schemes):
        for j, automation in enumerate(automations.automations):
            yield ("automationSchemes", i, "automations", j, "cql"), automation.cql
