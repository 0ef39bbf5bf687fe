"""What must change, on a site where `alias != "x"` also finds contents that have no stamp?

A group costs one query per entry, one for what must leave, one count per stamped slug, and one point per content found.
When the counts of stamps disagree with the ledger, the stamps themselves are listed. A stamp that went and another
that came balance each other; drift.py finds those.
"""

from __future__ import annotations

from addon.jobs.statuses.ask import unstamped as held
from addon.jobs.statuses.ask.reading import Questions


def read(asked: Questions) -> None:
    """Fill the reading. Raises QueryTooLong, and SiteError as the calls do."""
    group, terms = asked.group, asked.plan.terms
    entering = [(entry.slug, group.enter(index)) for index, entry in enumerate(terms.entries)]
    for slug, cql in [*entering, (terms.default, group.leave())]:
        if cql is not None:
            asked.take(cql, slug)
    for slug in sorted({entry.slug for entry in terms.entries} - {terms.default}):
        asked.compare(slug, asked.counting.known(group.holding([slug])))
    held.check(asked)
