"""Leases: who may act for an execution, until when, and what becomes of it when its owner is silent.

A process that claims an execution becomes its owner for one ttl, and its heartbeat extends that. When the owner dies,
hangs or loses the database, another process must resume, and the first must not write any more. It cannot be asked, so
both sides reckon with time, and where time is not enough, with the fence.

The trust window
----------------
    ttl     EngineSettings.ttl, 60 s         beat    every ttl/4, after a database error every ttl/16
    margin  ttl/12, 5 s                      reaper  every ttl/6, spread by up to the margin

    lease_until    =  the lease clock's time in the transaction of the beat  +  ttl        in the row
    trusted until  =  monotonic time before that transaction was begun  +  ttl  -  margin  in the process

                 beat                                        trust ends   lease ends   the reaper may take it
    -------------|--------------------------------------------|------------|------------|------------------> time
                 |<------------- ttl - margin --------------->|<- margin ->|<- ttl/6 -->|

Trust is counted from before the statement, so that a slow database shortens it and never prolongs it. A call is given
min(ttl/2, trust left) in total, and one that changes something begins only with ttl/6 of trust left. So every call of
an owner has ended before anyone else can have the execution, provided that its clock and the lease clock run alike to
a twelfth.

The clock of leases is PostgreSQL's own (`LeaseTime`): no host's clock can end or prolong a lease. SQLite is one
process by contract, held to it by the lock file (lockfile.py), and uses that process's clock. A lease that ends later
than any that can have been given, 2 ttl from now, was given by a wrong clock and counts as over.

The fence
---------
Time is an argument, the fence is the proof. Each transaction on behalf of an execution begins with `fenced(session,
lease)`: it locks the row by id, owner and fence, or raises Fenced. A process that was frozen between its check and its
write finds another fence. Jobs have no other session that writes, and the order of locks is the execution's row first.

Who takes over, and when
------------------------
    claim        any runner: no owner, or cancelling and `to-be-settled`; `not_before` is past. Never an expired lease:
                 whose lease it was, and how often, has to be counted by the reaper first.
    hand over    the owner gives the lease back when its threads have stopped: shutdown, or the database was away.
    pause        the owner gives it back until a time: the quota is used up, or the site needs time.
    reaper       any process's tick: lease over (dead), or no safe point for 30 minutes (stuck).

What the reaper does
--------------------
    running, finalizing   dead    fewer than 5 losses   expire_lease: spaces in work become suspects, next owner resumes
                          dead    5 losses or more      interrupt; or expire_unsettled, up to 3 times, while something
                                                        that was submitted is not read back
                          stuck   running               rescue_stuck: spaces in work fail, next owner resumes
                          stuck   finalizing            fail_stuck
    cancelling            either  something unread      expire_cancelling: the next owner reads it back
                          either  otherwise             finish_cancelling

When something fails
--------------------
- Two reapers see the same row: SKIP LOCKED, and the condition is asked again under the lock. The second takes nothing.
- The owner beats between the reaper's look and its lock: the condition does not hold any more, the owner keeps it.
- The answer to a claim's commit is lost: `Claim.unsure` says so, and the runner does nothing but give it back.
- Taking one execution fails: it is logged, the others are taken, and the next tick tries again.
- The database is away: the tick ends, and nothing is lost but time. Every lease runs on.
"""
