"""The plain rule over all items of a listed space: the last resort, and what the other ways are tested against.

A space is listed when its queries fit into no URL, because its ancestor CQL finds too many pages. That costs a point
for each item at every refresh, so a large space is listed only when an administrator agreed to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from addon.confluence import Content
from addon.jobs.statuses.ask.reading import Questions, differences
from addon.jobs.statuses.stamp import own_stamp

MOST = 10_000
"""Items of a space that are listed without an administrator's consent."""


class ListingRefused(Exception):
    """The space is too large to be listed unless an administrator agrees. The message says what to do."""


def read(asked: Questions) -> None:
    """Fill the reading of a plan with one space. Raises ListingRefused, and SiteError as the calls do."""
    plan, group, reading = asked.plan, asked.group, asked.reading
    contents = _everything(asked)
    matches = [
        Matches(
            entry.slug,
            {content.id for content in differences(asked.client, group.whole(), group.direct(index))},
            frozenset(group.ancestors.get(index, ())),
        )
        for index, entry in enumerate(plan.terms.entries)
    ]
    reading.stamped = {} if plan.way == "ledger" else {slug: {} for slug in plan.terms.others}
    reading.unmatched = {id for id, slug in plan.unstamped.items() if slug != plan.terms.default}
    for content in contents:
        slug = resolve(matches, plan.terms.default, content.id, content.ancestors)
        known = plan.unstamped.get(content.id)
        if known is not None or plan.way == "ledger":
            if slug != plan.terms.default:
                reading.unmatched.discard(content.id)
                if slug != known:
                    asked.propose(content, slug)
            continue
        seen = content.properties.get(plan.property_key)
        stamp = own_stamp(seen, content.id)
        if stamp is None and seen is None and slug == plan.terms.default:
            continue
        if stamp is None or stamp.slug != slug:
            asked.propose(content, slug, seen)
        elif slug in reading.stamped:
            reading.stamped[slug][content.id] = content


def _everything(asked: Questions) -> Iterable[Content]:
    """Return all items of the space. Where it may be too large they are counted, or noticed while they are read."""
    expand = ("space", "ancestors", f"metadata.properties.{asked.plan.property_key}")
    found = asked.client.search(asked.group.everything(), expand=expand)
    if asked.plan.may_list:
        return found
    number = asked.reading.total or asked.counting.count(asked.group.everything())
    contents = list(islice(found, MOST + 1)) if number is None or number <= MOST else ()
    if len(contents) > MOST or (number or 0) > MOST:
        size = f"all {number:,} items" if number else f"more than {MOST:,} items"
        raise ListingRefused(
            f"its ancestor CQL finds more pages than fit into a query, so {size} would have to be "
            "listed at every refresh: narrow the ancestor CQL, or agree with listLargeSpaces: true in the policies"
        )
    return contents


@dataclass(frozen=True, slots=True)
class Matches:
    """What one entry's queries found: ids matching its CQL, and ids of pages matching its ancestor CQL."""

    slug: str
    direct: Collection[str]
    ancestors: Collection[str] = ()


def resolve(entries: Sequence[Matches], default: str, content_id: str, ancestors: Sequence[str]) -> str:
    """Return the slug of the content's status.

    `entries` are the scheme's entries without the last, `ancestors` the ids of all pages above the content.
    """
    for entry in entries:
        if content_id in entry.direct or any(ancestor in entry.ancestors for ancestor in ancestors):
            return entry.slug
    return default
