"""Schedules, their slots, and which start comes next.

The room owns `job_schedule` (the crons of a tenant) and `schedule_fire` (what became of each slot). It starts
executions and never ends one. Time is a value everywhere: `now` is read once for each tick, by the clock of leases, and
passed down.

    cron         when a cron fires in its time zone              pure
    cron_count   how many firings lie between two moments        pure; its cost grows with years, not with firings
    slots        which slots are pending, what is recorded       pure but for the writing
    plan         what starts next, what waits and why            pure
    schedules    the crons of a tenant, changed, stopped, removed
    missed       what kept a slot from starting
    starts       one tenant: read, plan, start, record
    scheduler    the tick over all tenants
    wrong_clock  times that a clock which was ahead has left

Slots
-----
A schedule has one `next_fire_at`. Its slots are the firings from there on; those up to now are pending, and pending is
not written anywhere: while the lane is busy a tick writes nothing, however often it comes.

    next_fire_at                                                    now
    |-----------|-----------|-----------|-----------|---------------|
    older slots (missed)                            newest slot
    recorded: coalesced or skipped_late             started, unless it is too late

One firing per local wall minute. A minute that the clocks repeat fires the first time only; minutes that they skip fire
together, once, at the first instant after the gap.

A tick starts one execution for *all* due schedules of a job type. Each slot that is over has exactly one record:

    started       the newest slot of each schedule that took part
    coalesced     an older one of the last 24 hours: the start covers it as well
    skipped_late  older than its period or 24 hours, whichever is less (`max_lateness`)
    withdrawn     pending when its schedule was changed, switched off, removed, reinstalled or could not be read

with what was in the way, except for `started`. The primary key (schedule, slot) is what lets one process fire it. No
more than `recorded_slots` records are written for one tenant at a time; the rest is a number on the oldest of them
(docs/adr/0028-bounded-slots.md). However long nothing ran, it costs neither time nor rows.

The plan
--------
`plan(due, retries, lane, now)` puts every possible start of a tenant in one order:

    1. waiting retries, by their time, unless their own job is due too   the site is waiting for what failed
    2. due job types, the one that came due first in front               a slot replaces its own job's retry
    3. retries late in a long chain                                      other jobs no longer wait for them

A retry of group 1 that is not due yet keeps everything behind it waiting, for at most `retry_seconds`. The scheduler
tries the starts in order until a job accepts one; one that its job refuses stays pending and keeps no other waiting.
The Jobs screen shows the same plan while something runs. A lane that is closed, in its first run, on hold or busy
starts nothing, and is then why everything waits.

The tick
--------
One statement finds the tenants for which something may start; then each has a transaction of its own that locks its
lane with SKIP LOCKED, so that two processes never plan for the same tenant at once. A tick begins with no further
tenant after five seconds. The next one continues: tenants for which nothing could start come after the others, and
tenants whose look failed or took longer than a second come last.

When something fails
--------------------
- Two processes fire one slot: the unique index over active executions lets one start through; the other rolls back.
- A schedule cannot be read (its time zone is unknown here): it alone stops, says why on the Jobs screen, and is tried
  again when a process begins. Its pending slot is recorded as withdrawn.
- A job refuses (`JobRefused`): the slot stays pending until it is too late, a retry for a day.
- One tenant's transaction fails: it is logged, and the next tenant has its turn.
- The database is away twice in a row: the tick ends. Nothing was lost, because nothing pending is written.
- A clock was ahead: a `next_fire_at` later than the cron gives from now, or a retry or pause later than can be, is set
  back (docs/adr/0029-wrong-clocks.md). Each tick compares a portion of the schedules, and all once one is wrong.
"""
