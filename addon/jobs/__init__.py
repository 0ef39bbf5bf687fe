"""The three jobs of the add-on and what they share. The engine runs them and knows nothing of Confluence.

A job to a space
    At its start an execution lists its spaces, one row for each, and that list is fixed (`spaces`, `census`). The
    engine hands some of them to `work`, which brings each to one of three ends: done with its metrics, failed with a
    reason, or skipped with a reason (excluded meanwhile, archived, gone). A space that is done is never worked on
    again, whatever happens to the process; a space that fails stops no other. What belongs to no single space is
    added to the execution, and `compile` makes the result of the sum.

    statuses        asks which items have another status than the ledger knows, and writes those
    notifications   collects what rules find, then sends one mail to each person in `finalize`
    automations     archives and deletes what automations find, and reads back what became of it

    None of the three imports another (`registry` alone knows them); what two of them need is in this package.

The ledger is the truth, the stamp is its copy
    `ledger` has an entry for every item that ever had another status than its default: which status since when, and
    which property in Confluence says so. The stamp, a content property, makes the status searchable and feeds the
    byline. Every editor can write a property, and a copied page brings its original's along. So what decides about an
    item is the ledger; a stamp that disagrees with it is corrected, never obeyed. An item without an entry has the
    default of its space's scheme.

    What other writers leave behind is found on the way: search shows a stamp that the ledger does not know, or does
    not show one that it does. A disagreement younger than LAG (15 minutes) is the index being behind. An older one is
    looked up by id before anything is written (docs/rules/statuses.md 5.3).

Facts and search
    Search finds the candidates, because no other call names what changed for a few points. It lags, and its counts
    come from another endpoint than its rows. So nothing is decided from a count that reading can decide (`counting`),
    and nothing destructive from search at all: an automation's candidate is read by id and its query compared with
    `facts`, which are the item as read, its ledger entry and its review property. What facts cannot judge (labels,
    text) is left to search. `policy_search` puts an administrator's CQL so that it means the same on every site, by
    what `site_facts` says of the site.

Failures
    `faults` is the one place that turns an error of the site into one of the engine's. Out of points: Pause, and the
    run continues from its rows. Uninstalled: Abandon. Signature refused: Fatal. Anything else belongs to one item or
    one space and becomes the reason that people read in the audit log.

Doors
    Other rooms import this package, and `addon.jobs.statuses` for the status of one item and for what a stamp looks
    like. Nothing below is theirs, and the jobs' tables are read here alone.
"""

from addon.jobs.context import JobContext, JobSettings
from addon.jobs.counting import count_seen
from addon.jobs.housekeeping import forget_batches, forget_matches, forget_person, people_named
from addon.jobs.indicator import Indicator, IndicatorState, indicator_state
from addon.jobs.notifications import mail_addresses
from addon.jobs.registry import apply_policies, build_jobs
from addon.jobs.site_facts import negation_of_site
from addon.jobs.spaces import with_labels

__all__ = [
    "Indicator",
    "IndicatorState",
    "JobContext",
    "JobSettings",
    "apply_policies",
    "build_jobs",
    "count_seen",
    "forget_batches",
    "forget_matches",
    "forget_person",
    "indicator_state",
    "mail_addresses",
    "negation_of_site",
    "people_named",
    "with_labels",
]
