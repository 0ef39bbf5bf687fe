"""The choice of a way to ask for a group, and the usual way: by stamps.

By stamps a group costs one query per entry, one for what must leave, one count per stamped slug, and one point per item
found. When the counts of stamps disagree with the ledger, the stamps themselves are listed. A stamp that went and
another that came balance each other in a count; upkeep/drift.py finds those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from addon.base import Clock
from addon.confluence import SiteClient
from addon.jobs.counting import Counting
from addon.jobs.statuses.ask import listing, positive, unstamped
from addon.jobs.statuses.ask.clauses import QueryTooLong
from addon.jobs.statuses.ask.reading import Plan, Questions, Reading, Way, questions


def read_group(client: SiteClient, counting: Counting, clock: Clock, plan: Plan) -> Reading:
    """Ask Confluence what must change in the plan's spaces.

    Raises QueryTooLong when the group should be smaller, ListingRefused when a single space would have to be listed
    and is too large for that, and SiteError as the calls do.
    """
    asked = questions(client, counting, clock, plan)
    try:
        WAYS[plan.way](asked)
    except QueryTooLong:
        if len(plan.spaces) > 1:
            raise
        by_hand = replace(asked, reading=Reading(asked.reading.started, asked.reading.total))
        listing.read(by_hand)
        return by_hand.reading
    return asked.reading


def _read_by_stamps(asked: Questions) -> None:
    """Fill the reading. Raises QueryTooLong, and SiteError as the calls do."""
    group, terms = asked.group, asked.plan.terms
    entering = [(entry.slug, group.enter(index)) for index, entry in enumerate(terms.entries)]
    for slug, cql in [*entering, (terms.default, group.leave())]:
        if cql is not None:
            asked.take(cql, slug)
    for slug in sorted({entry.slug for entry in terms.entries} - {terms.default}):
        asked.compare(slug, asked.counting.count(group.having_stamp([slug])))
    if asked.plan.unstamped:
        unstamped.check(asked)


WAYS: Mapping[Way, Callable[[Questions], None]] = {
    "stamped": _read_by_stamps,
    "positive": positive.read,
    "ledger": unstamped.read,
}
