"""Which spaces does a site have, for the fewest points? A listed space costs a point, also one that is excluded.

Where whole types are excluded (personal spaces, by the shipped rule) and there are many of them, only the other types
are listed. All spaces are listed once a week, so that a type nobody knows yet is missed for a week at most; and when an
assignment names a space by a key that listing did not show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from addon.base import Space
from addon.confluence import SiteClient
from addon.engine.job import Run
from addon.jobs import traits
from addon.jobs.traits import Traits
from addon.policies import PolicyDocument

TYPES = ("global", "collaboration", "knowledge_base", "personal", "system", "onboarding", "xflow_sample_space")
"""The types that Confluence lists on their own (confluence-api.md 2.1)."""
WEEK = timedelta(days=7)
WORTH = 25
"""So many excluded spaces more than listings by type cost are worth listing by type."""


def taking_part(run: Run, client: SiteClient, live: PolicyDocument) -> list[Space]:
    """Return all current spaces but those that are excluded for their type. Raises what the call raises."""
    with run.read() as session:
        known = traits.load(session)
    types = _types_to_list(known, live)
    now = run.clock.now()
    if types is not None and known.census_at is not None and now - known.census_at < WEEK:
        shown = client.spaces(types=types)
        named = _named(live, shown)
        shown += client.spaces(keys=named) if named else []
        if set(_unfound(live, shown)) <= set(known.unfound):
            return shown
    shown = client.spaces()
    census = dict(Counter(space.type for space in shown))
    with run.write() as session:
        unfound = _unfound(live, shown)
        traits.save(session, run.tenant_id, census=census, unfound=unfound, census_at=now)
    return shown


def _types_to_list(known: Traits, document: PolicyDocument) -> list[str] | None:
    """Return the types to list one by one, None when listing everything is as cheap."""
    excluded = {selector.type.casefold() for selector in document.exclusion_rules if selector.type is not None}
    types = sorted({*TYPES, *known.census} - excluded)
    if not set(types) <= set(TYPES):
        return None
    saved = sum(number for kind, number in known.census.items() if kind in excluded)
    return types if saved - len(types) >= WORTH else None


def _named(document: PolicyDocument, shown: Sequence[Space]) -> list[str]:
    """Return the keys that assignments name and that are not among the listed, as they were typed."""
    found = {space.key.casefold() for space in shown}
    keys = [assignment.space.key for assignment in document.assignments if assignment.space.key is not None]
    return list(dict.fromkeys(key for key in keys if key.casefold() not in found))


def _unfound(document: PolicyDocument, shown: Sequence[Space]) -> list[str]:
    return sorted(key.casefold() for key in _named(document, shown))
