"""What does `alias != "x"` find on this site: contents without the property too, or only those that have it?

Confluence does not say (confluence-api.md 4.1), so each site is asked once a week, for three points: all contents T,
those whose status is not one that exists nowhere U, those with any stamp S. U = T: inclusive. U = S: exclusive.
Neither, or T = S so that it cannot be told: unknown, asked again by the next run; until then positive questions serve,
which are right on both.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from addon.confluence.queries import CONTENT, all_of, values
from addon.jobs.counting import Counting
from addon.jobs.traits import Negation, Traits

WEEK = timedelta(days=7)
NOWHERE = "~none~"
"""No slug can be this."""


def due(traits: Traits, now: datetime) -> bool:
    """Return whether the site is to be asked."""
    return traits.negation == "unknown" or traits.probed_at is None or now - traits.probed_at >= WEEK


def probe(counting: Counting, alias: str, slugs: Collection[str]) -> Negation | None:
    """Ask the site, reading only.

    Parameters: `slugs` are all that stamps may have. Returns None where the site does not
    count. Raises QuotaExhausted, TenantGone and Unreachable.
    """
    everything = counting.known(all_of(CONTENT))
    # Right after an installation the site may not know the alias yet.
    unlike = counting.known(all_of(CONTENT, f'{alias} != "{NOWHERE}"'))
    stamped = counting.known(all_of(CONTENT, f"{alias} in {values(sorted(slugs))}"))
    if None in (everything, unlike, stamped):
        return None
    if everything == stamped:
        return "unknown"
    return "inclusive" if unlike == everything else "exclusive" if unlike == stamped else "unknown"
