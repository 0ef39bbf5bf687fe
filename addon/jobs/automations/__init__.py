"""Execute automations: items that administrators' automations match are archived or moved to the trash.

This is the one job that removes something, so two promises come before all others. Nothing is removed on search's word
alone. And whatever dies on the way, the item log says of each item what became of it: done, skipped with the reason,
failed with the reason. Rules: docs/rules/automations.md 7.0 and what follows it.

The way of an item
------------------
::

    matches.py       one query per automation; the first of the scheme that matches claims the item
        |
    executing.py     rounds of up to 300: the items read again by id, 250 a call
        |
    guards.py        check_snapshot (no call)   gone, moved, home page, edited since, status not fresh
    new_dates.py     check_live (2 calls)       marked to be kept, not confirmed, dates set just now, children
        |
    executing.py     the caps: 500 items per automation, 2,000 per execution
        |
    submit.py        stored batch -> call -> task -> every page read back
        |
    outcomes.py      items, metrics, caps, ledger and the closed batch in one transaction

Matches of all spaces are read concurrently. From the first guard on spaces go one after the other, because a site runs
one archive job at a time and caps are counted exactly. The guards begin with what costs nothing and end with what costs
calls for each item.

What decides
------------
The policies of the version that the execution began with; only exclusion is read live. What a query says about statuses
is compared with the ledger, never with the content property, which every editor may write. What it says about dates is
compared with the item as read by id. What can be known from search alone (labels, text) is left to search. A dry run
is the same run with `submit.py` left out.

How an outcome is known
-----------------------
A batch is a row of `archive_task`, open until each of its items has an outcome::

    (none) --store--> open, no task --answer--> open, with task --read back--> closed
                          |                                                      ^
                          +-- refused: page by page; no answer: watch the pages --+

`archive`: the task is asked for until it ends (5 minutes on the thread, then every 2 minutes, 20 minutes in all); then
every page is read by id: it left, or it failed with the task's words. `trash` is synchronous: 204 is done; after any
other answer the item is read by id.

When the process dies
---------------------
A new owner calls `finish_open` before anything else, and the engine ends no execution with an open batch: `settle`
reads it back, or `give_up` records its items as failed with an unknown outcome once the site cannot be asked any more
(docs/adr/0010-settle-before-the-end.md).

=================================================  =====================================================================
it dies                                            then
=================================================  =====================================================================
before the batch is stored                         nothing was submitted; the items are matched again
after the batch, before the call                   the pages are watched for 20 s, are all there, and are matched again
after the call, before the task's id is stored     the pages are watched for 20 s; those that left are done, the others
                                                   are matched again, and a second submission waits for the first task
after the task's id                                the task is followed as if nothing had happened
among the calls of a batch to trash                what is gone is done; the rest is matched again
before the outcomes are written                    the pages are read back once more, with the same result
after they are written                             the batch is closed with them; nothing is done twice
=================================================  =====================================================================

The cost: where the execution is cancelled as well, nothing matches again. What a task of unknown id archives later than
those 20 s is then in no log.

When the site fails
-------------------
=================================================  =====================================================================
the site                                           then
=================================================  =====================================================================
runs another archive job (400)                     each call waits for up to 5 minutes; then as below, and retried later
refuses a batch for another reason (400)           page by page, so that one bad page does not keep the others waiting
does not answer a submission                       never submitted again: the pages are watched and read back
does not answer for a task                         asked again; after 20 minutes the pages are judged as they are
answers 404 to a removal of an item still there    failed: the app may not delete it
refuses an automation's query                      the space fails, for all its automations
does not show the space any more                   the space is skipped with the reason
=================================================  =====================================================================
"""

from addon.jobs.automations.job import ExecuteAutomations

__all__ = ["ExecuteAutomations"]
