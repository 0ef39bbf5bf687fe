"""How this site reads each form of negation, for items that lack the field it negates.

Confluence does not say (docs/rules/confluence-api.md 4.1), so each site is asked once a week: all items T, those that
have a value H, and those that a negation finds which no value meets, N. N = T: inclusive. N = H: exclusive. Neither, or
T = H so that the two cannot be distinguished: not known, and asked again by the next run where it is NOT, on which most
depends. Three points where all negations together find everything, up to eleven where each is asked on its own.
"""

from __future__ import annotations

from collections.abc import Collection

from addon.confluence import SiteClient
from addon.confluence.cql import CONTENT, NEGATION_FORMS, NEGATION_TYPES, Spelling, all_of, any_of, spelling, values
from addon.jobs.counting import Counting
from addon.jobs.site_facts import Negation, Readings
from addon.jobs.statuses.stamp import expiration_alias, status_alias

NOWHERE = "~none~"
"""No slug can be this."""
NEVER = "1970-01-01"
"""A day on which nothing expires."""


def first_spelling(client: SiteClient, namespace: str, slugs: Collection[str]) -> Spelling:
    """Return how negations are put to a site that no refresh has asked yet; costs and raises as `probe`.

    Parameters: `namespace` prefixes our aliases, `slugs` are all that stamps may have.
    """
    return spelling(probe(Counting(client), namespace, slugs) or {})


def probe(counting: Counting, namespace: str, slugs: Collection[str]) -> dict[str, str] | None:
    """Ask the site, reading only, and return what it does with "<form> <type>", as far as that is known.

    Parameters: `namespace` prefixes our aliases, of which one of a string and one of a date are asked; `slugs` are all
    that stamps may have. None where the site does not count; empty where it does not know the aliases yet (right after
    an installation). Costs 3 to 11 points. Raises QuotaExhausted, TenantGone and Unreachable.
    """
    status, expiration = status_alias(namespace), expiration_alias(namespace)
    have = {"string": f"{status} in {values(sorted(slugs))}", "date": f'{expiration} > "{NEVER}"'}
    negations = {
        "!= string": f'{status} != "{NOWHERE}"',
        "not in string": f'{status} not in ("{NOWHERE}")',
        "not string": f'not ({status} = "{NOWHERE}")',
        "!= date": f'{expiration} != "{NEVER}"',
        "not in date": f'{expiration} not in ("{NEVER}")',
        "not date": f'not ({expiration} < "{NEVER}")',
    }
    everything = counting.count(all_of(CONTENT))
    if everything is None:
        return None
    some = counting.count(all_of(CONTENT, any_of(*have.values())))
    if some is None:
        return {}
    if some < everything and counting.count(all_of(CONTENT, *negations.values())) == everything:
        return dict.fromkeys(negations, "inclusive")
    found: dict[str, str] = {}
    for kind in NEGATION_TYPES:
        having = counting.count(all_of(CONTENT, have[kind]))
        if having is None or having == everything:
            continue
        for form in NEGATION_FORMS:
            number = counting.count(all_of(CONTENT, negations[f"{form} {kind}"]))
            if number in (everything, having):
                found[f"{form} {kind}"] = "inclusive" if number == everything else "exclusive"
    return found


def verdict(readings: Readings) -> Negation:
    """Return what matters most of the readings: whether NOT finds items that lack the field."""
    if spelling(readings) != "pieces":
        return "inclusive"
    known = {readings.get(f"not {kind}") for kind in NEGATION_TYPES}
    return "exclusive" if "exclusive" in known else "unknown"
