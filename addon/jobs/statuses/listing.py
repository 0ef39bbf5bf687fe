"""Which status has each content of one space, decided in Python over all of them? The last resort.

A space is listed when its queries fit into no URL: its ancestor CQL finds too many pages. That costs a point per
content at every refresh, so a large space is listed only when an administrator agreed to it.
"""

from __future__ import annotations

from addon.jobs.statuses.reading import Questions
from addon.jobs.statuses.resolve import Matches, resolve
from addon.jobs.statuses.stamp import own_stamp

MOST = 10_000
"""Contents of a space that are listed without asking anybody."""


class ListingRefused(Exception):
    """The space is too large to be listed unless an administrator agrees. The message says what to do."""


def read(asked: Questions) -> None:
    """Fill the reading of a plan with one space. Raises ListingRefused, and SiteError as the calls do."""
    plan, group, reading = asked.plan, asked.group, asked.reading
    _may(asked)
    matches = [
        Matches(
            entry.slug,
            {content.id for content in asked.client.search(group.direct(index))} if entry.cql else frozenset(),
            frozenset(group.ancestors.get(index, ())),
        )
        for index, entry in enumerate(plan.terms.entries)
    ]
    reading.listed = {} if plan.way == "ledger" else {slug: {} for slug in plan.terms.others}
    reading.absent = {id for id, slug in plan.held.items() if slug != plan.terms.default}
    expand = ("space", "ancestors", f"metadata.properties.{plan.property_key}")
    for content in asked.client.search(group.everything(), expand=expand):
        slug = resolve(matches, plan.terms.default, content.id, content.ancestors)
        known = plan.held.get(content.id)
        if known is not None or plan.way == "ledger":
            if slug != plan.terms.default:
                reading.absent.discard(content.id)
                if slug != known:
                    asked.propose(content, slug)
            continue
        seen = content.properties.get(plan.property_key)
        stamp = own_stamp(seen, content.id)
        if stamp is None and seen is None and slug == plan.terms.default:
            continue
        if stamp is None or stamp.slug != slug:
            asked.propose(content, slug, seen)
        elif slug in reading.listed:
            reading.listed[slug][content.id] = content


def _may(asked: Questions) -> None:
    number = asked.reading.total or asked.client.count(asked.group.everything())
    if number > MOST and not asked.plan.may_list:
        raise ListingRefused(
            f"its ancestor CQL finds more pages than fit into a query, so all {number:,} contents would have to be "
            "listed at every refresh: narrow the ancestor CQL, or agree with listLargeSpaces: true in the policies"
        )
