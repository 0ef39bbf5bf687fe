"""Refresh content statuses: every page and blog post gets the status that its space's scheme gives it.

A scheme is an ordered list. Each entry but the last has a CQL and perhaps an ancestor CQL; the first that matches gives
its status, directly or through a page above, and the last is the default (`ask.listing.resolve` is that rule in ten
lines, and what everything else is tested against).

The price
    Deciding each item would cost a point for each. A refresh asks for what differs instead, with two kinds of query
    about a group of spaces at once:

    enter(i) = matches entry i, no earlier entry, and is not stamped i
    leave    = is stamped with anything but the default, and matches no entry

    With E entries before the default an idle refresh costs 2 E + 2 points for a group of at most 50 spaces: a count
    of all items, E enter queries, one leave query, E counts of stamps. It does not depend on the number of items. What
    is found costs a point for the row and one for the write. So the shipped scheme costs 6 points for 50 idle spaces,
    where a point for each of their 20,000 pages would use up a third of an hour's quota.

    The counts of stamps are compared with the ledger, since stamps appear and vanish without a refresh: a page goes to
    the trash, is moved, copied, restored. Where a number differs, the stamps of that slug are listed and compared.

Three ways to ask
    They give the same answer, at different prices (docs/adr/0012). What a group gets depends on its site and spaces:

    stamped    enter and leave, on a site where a negation also finds items that lack the field (docs/adr/0024)
    positive   no negation at all: sets are compared by their counts, and where these differ by halving the span of
               creation dates
    ledger     no stamp at all: where stamps are switched off, or more items of a space refuse them than fit a query

    A query that fits into no URL, for a single space, leaves one more: the space is listed and decided in Python.

One group
    plan ─► read ─► decide ─► look up ─► write ─► end of its spaces
     ▲       │                  │
     └───────┴── halved when a query fails; without the spaces that turn out to be gone

    stamp   the status property: its value, its owner, its icon.
    ask     the plan of each group, its queries, and the reading that they fill. No database: call threads.
    write   what follows from a reading, and its way into the ledger and to Confluence.
    upkeep  what a run over the whole site does in addition: excluded spaces are cleared, stamps are looked for by id.
    single  the status of one item, at once and without a job, as a person asks for it.

Interruptions
    A crash, a lost lease or a pause between two batches costs the calls of at most one batch. An attempt that stamped
    and could not record it leaves a stamp dated between the execution's start and now; the next attempt finds it and
    counts it as changed. A cancel lets the writes under way end and starts no further one. What a person refreshed
    after the run began to read is left alone.
"""

from addon.jobs.review import Review
from addon.jobs.statuses.ask.probe import first_spelling
from addon.jobs.statuses.job import RefreshStatuses
from addon.jobs.statuses.single.evaluation import Tested
from addon.jobs.statuses.single.single import Gone, Look, Single, Undecided
from addon.jobs.statuses.stamp import PLAIN_ICON, icon_file, icon_svg, property_key, status_alias

__all__ = [
    "PLAIN_ICON",
    "Gone",
    "Look",
    "RefreshStatuses",
    "Review",
    "Single",
    "Tested",
    "Undecided",
    "first_spelling",
    "icon_file",
    "icon_svg",
    "property_key",
    "status_alias",
]
