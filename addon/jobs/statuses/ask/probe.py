"""How this site reads each form of negation, for content that lacks the field it negates.

Confluence does not say (docs/rules/confluence-api.md 4.1), so each site is asked once a week: all contents T, those
that have a value H, and those that a negation finds which no value meets, N. N = T: inclusive. N = H: exclusive.
Neither, or T = H so that it cannot be told: not known, and asked again by the next run where it is NOT, on which most
depends. Three points where all negations together find everything, up to eleven where each has to be asked by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from addon.base import within
from addon.confluence.cql import CONTENT, FORMS, TYPES, all_of, any_of, spelling, values
from addon.jobs.counting import Counting
from addon.jobs.site_facts import Negation, Readings, SiteFacts

WEEK = timedelta(days=7)
NOWHERE = "~none~"
"""No slug can be this."""
NEVER = "1970-01-01"
"""A day on which nothing expires."""


def due(traits: SiteFacts, now: datetime) -> bool:
    """Return whether the site is to be asked."""
    unknown = traits.negation == "unknown" or not traits.readings
    return unknown or traits.probed_at is None or not within(WEEK, traits.probed_at, now)


def probe(counting: Counting, status: str, expiration: str, slugs: Collection[str]) -> dict[str, str] | None:
    """Ask the site, reading only, and return what it does with "<form> <type>", as far as that is known.

    Parameters: `status` and `expiration` are our aliases of a string and of a date; `slugs` all that stamps may have.
    None where the site does not count; empty where it does not know the aliases yet (right after an installation).
    Raises QuotaExhausted, TenantGone and Unreachable.
    """
    have = {"string": f"{status} in {values(sorted(slugs))}", "date": f'{expiration} > "{NEVER}"'}
    negations = {
        "!= string": f'{status} != "{NOWHERE}"',
        "not in string": f'{status} not in ("{NOWHERE}")',
        "not string": f'not ({status} = "{NOWHERE}")',
        "!= date": f'{expiration} != "{NEVER}"',
        "not in date": f'{expiration} not in ("{NEVER}")',
        "not date": f'not ({expiration} < "{NEVER}")',
    }
    everything = counting.known(all_of(CONTENT))
    if everything is None:
        return None
    some = counting.known(all_of(CONTENT, any_of(*have.values())))
    if some is None:
        return {}
    if some < everything and counting.known(all_of(CONTENT, *negations.values())) == everything:
        return dict.fromkeys(negations, "inclusive")
    found: dict[str, str] = {}
    for kind in TYPES:
        having = counting.known(all_of(CONTENT, have[kind]))
        if having is None or having == everything:
            continue
        for form in FORMS:
            number = counting.known(all_of(CONTENT, negations[f"{form} {kind}"]))
            if number in (everything, having):
                found[f"{form} {kind}"] = "inclusive" if number == everything else "exclusive"
    return found


def verdict(readings: Readings) -> Negation:
    """Return what matters most of the readings: whether NOT finds content that lacks the field."""
    if spelling(readings) != "pieces":
        return "inclusive"
    known = {readings.get(f"not {kind}") for kind in TYPES}
    return "exclusive" if "exclusive" in known else "unknown"
