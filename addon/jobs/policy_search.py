"""What a policy's CQL finds in some spaces, each item once, meaning the same on every site.

Asked as the site was found to read negations (addon.confluence.cql): in one question, or in several and without what
others find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from addon.confluence import Content, SiteClient
from addon.confluence.cql import Spelling, all_of, spelled


def search_policy(
    client: SiteClient,
    cql: str,
    spelling: Spelling,
    namespace: str,
    query: Callable[[str], str],
    *,
    expand: Sequence[str] = (),
    statuses: Sequence[str] = ("current",),
) -> Iterator[Content]:
    """Yield what `cql` finds, each item once.

    Parameters: `spelling` is how negations are put to the site (SiteFacts.spelling), `namespace` prefixes our aliases.
    `query` makes the whole query of a condition, which may be empty; `expand` and `statuses` as of SiteClient.search.
    Costs a point for each item, for those of several pieces more than once. Raises SiteError as the calls do.
    """
    pieces = spelled(cql, spelling, namespace)
    if len(pieces) == 1 and not pieces[0].lacks:
        yield from client.search(query(pieces[0].has), expand=expand, statuses=statuses)
        return
    seen: set[str] = set()
    for piece in pieces:
        found = {each.id: each for each in client.search(query(piece.has), expand=expand, statuses=statuses)}
        if found and piece.lacks:
            for content in client.search(query(all_of(piece.has, piece.lacks)), statuses=statuses):
                found.pop(content.id, None)
        yield from (content for content in found.values() if content.id not in seen)
        seen |= found.keys()
