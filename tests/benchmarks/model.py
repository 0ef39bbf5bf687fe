"""The status each content should have: a plain look at every one of them, without CQL, index or ledger of search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta

import click

from addon.sandbox.records import Content
from addon.sandbox.site import Site

STAMP = "steward-status"
DEFAULT = "up-to-date"

Test = Callable[[Site, Content], bool]
Scheme = tuple[tuple[str, Test], ...]
"""The entries of a scheme but the last, in order: a slug, and what has it unless an earlier entry took it."""


class Wrong(click.ClickException):
    """A status or a count is not what it has to be."""


def older_than(days: int) -> Test:
    """Test for contents whose last update is longer ago; the seed keeps weeks away from every limit."""
    limit = timedelta(days=days)
    return lambda site, content: site.clock.now() - content.updated_at > limit


def below(label: str) -> Test:
    """Test for contents below a page with the label."""
    return lambda site, content: any(label in above.labels for above in site.live.ancestors(content))


def either(*tests: Test) -> Test:
    """Test for contents that meet any of the tests."""
    return lambda site, content: any(test(site, content) for test in tests)


FRESHNESS: Scheme = (("expired", older_than(730)), ("not-updated", older_than(365)))
"""The shipped scheme, on a site where nobody has set a date."""


def plain_status(site: Site, content: Content, scheme: Scheme) -> str:
    """Return the slug of the first entry that holds, else the default's."""
    return next((slug for slug, holds in scheme if holds(site, content)), DEFAULT)


def shared(site: Site) -> Iterator[Content]:
    """Yield the current contents of all spaces that are nobody's own. Hold the site's lock while iterating."""
    ids = {space.id for space in site.spaces() if space.type != "personal"}
    return (content for content in site.contents() if content.space_id in ids)


def stamped(site: Site) -> dict[str, tuple[str, int]]:
    """Return {content id: (slug, how often it was written)} of all stamps on the site."""
    with site.lock:
        found = ((content.id, content.properties.get(STAMP)) for content in site.contents())
        return {content_id: (str(stamp.value["id"]), stamp.version) for content_id, stamp in found if stamp}


def compare(
    site: Site,
    scheme: Scheme,
    case: str,
    *,
    ledger: Mapping[str, str] | None = None,
    read_only: Collection[str] = (),
) -> Counter[str]:
    """Look at every content and return how many have each status.

    `ledger` is what the add-on itself holds of the contents it stamped, where it can be read; `read_only` are the
    contents whose stamp the add-on may not write: of them only the ledger can be right. Raises Wrong at the first
    difference.
    """
    counts: Counter[str] = Counter()
    stamps = stamped(site)
    with site.lock:
        for content in shared(site):
            wanted = plain_status(site, content, scheme)
            counts[wanted] += 1
            found, _ = stamps.pop(content.id, (DEFAULT, 0))
            if found != wanted and content.id not in read_only:
                raise Wrong(f"{case}: content {content.id} is {found}, a plain look says {wanted}")
            if ledger is not None and ledger.get(content.id, DEFAULT) != wanted:
                raise Wrong(
                    f"{case}: the ledger holds {ledger.get(content.id, DEFAULT)} for {content.id}, not {wanted}"
                )
    if stamps:
        raise Wrong(f"{case}: {len(stamps)} contents of excluded spaces carry a stamp")
    return counts
