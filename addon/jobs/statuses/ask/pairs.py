"""Contents that are in a set and not in a part of it, found without a negation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from addon.confluence import Content, SiteClient
from addon.jobs.statuses.ask.clauses import Group
from addon.jobs.statuses.ask.terms import Pair


def listed(client: SiteClient, group: Group, pairs: Iterable[Pair], expand: Sequence[str] = ()) -> Iterator[Content]:
    """Yield the contents of all `pairs`, each once, read to the end. Raises SiteError as the calls do."""
    seen: set[str] = set()
    for pair in pairs:
        for content in difference(client, group, pair, expand=expand):
            if content.id not in seen:
                seen.add(content.id)
                yield content


def difference(
    client: SiteClient, group: Group, pair: Pair, extra: str = "", expand: Sequence[str] = ()
) -> Iterator[Content]:
    """Yield the contents of one pair that meet `extra`. Raises SiteError as the calls do."""
    contents = {content.id: content for content in client.search(group.asked(*pair.within, extra), expand=expand)}
    if contents and pair.besides:
        for content in client.search(group.asked(*pair.within, pair.besides, extra)):
            contents.pop(content.id, None)
    yield from contents.values()
