"""What must change, on a site where a negated question may miss contents without a stamp? Asked without any negation.

Moves between stamps are asked for directly: what matches an entry and has a stamp that gives way to it. The rest is
found by comparing two counts, of a set and of a part of it: while they differ, the span of creation dates is halved
until few contents remain, half of them differ or the site does not count, and only those are listed. Right on every
kind of site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from addon.jobs.statuses import held
from addon.jobs.statuses.clauses import Span
from addon.jobs.statuses.reading import Questions

FEW = 50
"""So many contents are listed rather than counted on."""
_FIRST = datetime(2004, 1, 1, tzinfo=UTC)
"""Confluence's own year; what is older is in the first span all the same."""
_SHORTEST = timedelta(minutes=2)

Ask = Callable[[Span], str]


def read(asked: Questions) -> None:
    """Fill the reading. Raises QueryTooLong, and SiteError as the calls do."""
    group, terms = asked.group, asked.plan.terms
    for index, entry in enumerate(terms.entries):
        asked.take(group.matching(index, group.stamped(terms.after(index))), entry.slug)
    if terms.unused:
        asked.take(group.holding(terms.unused), terms.default)
    rightly = 0
    for index, entry in enumerate(terms.entries):
        stamped = group.stamped([entry.slug])
        shown = asked.counting.number(group.holding([entry.slug]))
        right = asked.counting.number(group.matching(index, stamped))
        rightly += right
        if shown != right:
            _leaving(asked, index, shown, right)
        asked.compare(entry.slug, shown)
    if terms.entries:
        matching = asked.counting.number(group.up_to(len(terms.entries) - 1))
        if matching != rightly:
            _never_stamped(asked, matching)
    held.check(asked)


def uneven(asked: Questions, whole: Ask, part: Ask, counts: tuple[int, int]) -> Iterator[Span]:
    """Yield the spans of creation dates in which `part` is smaller than `whole`, small enough to be listed.

    `counts` are those of both over all time. Raises SiteError as the calls do.
    """
    pending = [(Span(), _FIRST, asked.clock.now() + timedelta(days=2), *counts)]
    while pending:
        span, since, until, of_whole, of_part = pending.pop()
        if of_whole == of_part:
            continue
        if of_whole <= FEW or (of_whole - of_part) * 2 >= of_whole or until - since < _SHORTEST:
            yield span
            continue
        middle = (since + (until - since) / 2).replace(second=0, microsecond=0)
        early, late = Span(span.since, middle), Span(middle, span.until)
        whole_before, part_before = asked.counting.known(whole(early)), asked.counting.known(part(early))
        if whole_before is None or part_before is None:
            yield span
            continue
        pending.append((early, since, middle, whole_before, part_before))
        pending.append((late, middle, until, of_whole - whole_before, of_part - part_before))


def _leaving(asked: Questions, index: int, shown: int, right: int) -> None:
    """Find what has the entry's stamp and does not match it: it goes to a later entry or to the default."""
    group, terms = asked.group, asked.plan.terms
    slug = terms.entries[index].slug
    stamped = group.stamped([slug])

    def whole(span: Span) -> str:
        return group.holding([slug], span.cql)

    def part(span: Span) -> str:
        return group.matching(index, stamped, span.cql)

    for span in uneven(asked, whole, part, (shown, right)):
        contents = {content.id: content for content in asked.client.search(whole(span), expand=("space",))}
        for content in asked.client.search(part(span)):
            contents.pop(content.id, None)
        found = held.judge(asked, contents)
        for content in contents.values():
            asked.propose(content, found[content.id][1] if content.id in found else terms.default)


def _never_stamped(asked: Questions, matching: int) -> None:
    """Find what matches an entry and has no stamp of any slug."""
    group, terms = asked.group, asked.plan.terms
    last = len(terms.entries) - 1
    stamped = group.stamped(sorted(terms.all_slugs))

    def whole(span: Span) -> str:
        return group.up_to(last, span.cql)

    def part(span: Span) -> str:
        return group.up_to(last, stamped, span.cql)

    for span in uneven(asked, whole, part, (matching, asked.counting.number(part(Span())))):
        known = {content.id: content for content in asked.client.search(part(span))}
        for index, entry in enumerate(terms.entries):
            asked.take(group.matching(index, span.cql), entry.slug, but=known)
