"""The way to ask without negations, right on every kind of site.

Every question is whether one set of items lies within another, which two counts answer: what matches an entry within
what is stamped so or with an earlier slug, and what is stamped so within what matches. A few counts over all entries
together come first, and are enough where nothing changed and no date or label makes an exception (docs/adr/0024).
Otherwise each pair of sets is compared, and only where the two differ is anything listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from addon.confluence import Content
from addon.jobs.statuses.ask import unstamped
from addon.jobs.statuses.ask.clauses import Pair, Span
from addon.jobs.statuses.ask.reading import Questions, difference

FEW = 50
"""So few items are listed rather than counted further."""
_FIRST = datetime(2004, 1, 1, tzinfo=UTC)
"""Confluence's own year; what is older is in the first span all the same."""
_SHORTEST = timedelta(minutes=2)

Ask = Callable[[Span], str]


def read(asked: Questions) -> None:
    """Fill the reading. Raises QueryTooLong, and SiteError as the calls do."""
    group, terms = asked.group, asked.plan.terms
    shown = {entry.slug: asked.counting.count(group.having_stamp([entry.slug])) for entry in terms.entries}
    if not _as_stamped(asked, shown):
        _entering(asked)
        _leaving(asked)
    if terms.unused:
        asked.take(group.having_stamp(terms.unused), terms.default)
    for slug, number in shown.items():
        asked.compare(slug, number)
    unstamped.check(asked)


def _as_stamped(asked: Questions, shown: Mapping[str, int | None]) -> bool:
    """Return whether counts prove that every item has the stamp of what it matches.

    Three facts do: all that is stamped meets what its entry requires; none of it meets what would take it to another
    entry or to the default; and there is nothing else that could match.
    """
    group, entries = asked.group, asked.plan.terms.entries
    known = [number for number in shown.values() if number is not None]
    if len(known) < len(entries):
        return False
    required = asked.counting.count(group.asked(group.rightly())) if entries else 0
    if required != sum(known):
        return False
    suspect = group.suspect()
    if suspect and asked.counting.count(group.asked(suspect)) != 0:
        return False
    matching = any(group.holds(index) for index in range(len(entries)))
    return sum(known) == (asked.counting.count(group.asked(group.widest())) if matching else 0)


def _entering(asked: Questions) -> None:
    """Find what matches an entry and has neither its stamp nor an earlier one's; the first entry is tried first."""
    for index, entry in enumerate(asked.plan.terms.entries):
        for pair in asked.group.entering(index):
            for content in outside(asked, pair):
                asked.propose(content, entry.slug)


def _leaving(asked: Questions) -> None:
    """Find what has an entry's stamp and does not match it: it goes to a later entry or to the default."""
    # Two entries may both lose the same item, so the strays are gathered first, and each is judged once.
    strays: dict[str, Content] = {}
    for index in range(len(asked.plan.terms.entries)):
        for pair in asked.group.leaving(index):
            strays |= {content.id: content for content in outside(asked, pair)}
    waiting = [content_id for content_id in strays if content_id not in asked.reading.candidates]
    found = unstamped.judge(asked, waiting)
    for content_id in waiting:
        slug = found[content_id][1] if content_id in found else asked.plan.terms.default
        asked.propose(strays[content_id], slug)


def outside(asked: Questions, pair: Pair) -> Iterator[Content]:
    """Yield the items of one pair, counting first where they are. Raises SiteError as the calls do.

    While the counts of both sets differ, the span of creation dates is halved, until few items remain, half of them
    differ or the site does not count; only those are listed.
    """
    group = asked.group

    def whole(span: Span) -> str:
        return group.asked(*pair.within, span.cql)

    def part(span: Span) -> str:
        return group.asked(*pair.within, pair.part, span.cql)

    of_whole = asked.counting.count(whole(Span()))
    of_part = asked.counting.count(part(Span())) if pair.part and of_whole else 0
    known = of_whole is not None and of_part is not None
    spans = uneven(asked, whole, part, (of_whole or 0, of_part or 0)) if known else [Span()]
    for span in spans:
        yield from difference(asked.client, group, pair, span.cql, ("space",))


def uneven(asked: Questions, whole: Ask, part: Ask, counts: tuple[int, int]) -> Iterator[Span]:
    """Yield the spans of creation dates in which `part` is smaller than `whole`, small enough to be listed.

    `counts` are those of both over all time. Raises SiteError as the calls do.
    """
    # Where two large sets differ in a few items, listing both would cost a point for each item of either. A halving
    # costs two points, because the later half is what is left of the sum, and a difference of one among 10,000 items is
    # found in some eight of them. Halving ends where listing has become as cheap: few items, or half of them wanted.
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
        whole_before, part_before = asked.counting.count(whole(early)), asked.counting.count(part(early))
        if whole_before is None or part_before is None:
            yield span
            continue
        pending.append((early, since, middle, whole_before, part_before))
        pending.append((late, middle, until, of_whole - whole_before, of_part - part_before))
