"""The hour's points: how they are shared between sites, between jobs and people, and between people.

Atlassian gives the whole add-on 65,000 points in each UTC hour, and nothing is carried over
(docs/rules/confluence-api.md 4). All processes share them through the table `quota_hour`, one row for the pool and one
for each tenant, hour and share:

    the pool of an hour: P points
    +--------------------------------------------------------------+----------------+
    | jobs: 9 P / 10                                               | people: P / 10 |
    +--------------------------------------------------------------+----------------+
      one tenant alone: 7/8 of it                                    one person: 40 % of what its tenant may take;
      1/8 is kept for tenants not known yet                          the last 25 % of it: administrators only

    meter        what a call costs
    ratelimits   what an answer's headers demand
    quota_table  the statements over quota_hour: PoolState, read under the pool row's lock
    fairness     whether a tenant may take more: decide(), pure arithmetic
    budgets      one person's part, and the reserve for administrators
    hour         when an hour begins, what part of it is whose, when the refused ones resume
    reservations Quota: drawing, reserving, charging, giving back

## Reserved and returned

    drawing begins   a client opens; the process has one LocalBudget for each tenant and share
    reserve(n)       from the LocalBudget; when it has too little, a block is drawn from the table:
                       lock the pool's row -> PoolState -> decide -> book on the pool's row and the tenant's
    charge(m)        the rest, n - m, stays in the LocalBudget for the next call, negative when the call cost more
    drawing ends     the last client of the process returns what is left

A block is 200 points for jobs and 50 for people: a draw is one transaction that waits for all others, and a call would
be too small for it. Near the end a draw takes an eighth of a block, then the bare need.

## Who comes first

No tenant has a fixed part. A tenant that asks must leave enough for each other one that draws, waits or was refused in
the last hour to come as far as the asker would get (docs/adr/0015). So a site with a million pages takes all that is
free, and gives way as soon as a small one comes. The answers:

    GRANTED        points are booked
    OTHERS_FIRST   there are points, but others have a claim: ask again in about ten minutes
    USED_UP        nothing more in this hour: resume when it turns, plus hash(tenant) modulo 10 minutes

The state of a tenant's row tells the others what it wants:

    NULL --take--> drawing --give_back--> NULL
    drawing, NULL --refuse--> waiting     it asks again in this hour: points are left for it now and in the next hour
    drawing, NULL --refuse--> refused     it resumes in the next hour, for which points are left then
    waiting, refused --take--> drawing

## On each failure

    Atlassian says that the hour is used up    `closed_until` of the pool's or the tenant's row; all processes see it
                                               within 5 seconds, and a closing is never shortened
    a process dies                             what it had reserved is lost until the hour turns (docs/adr/0020)
    the database is away when points return    they stay in the LocalBudget, and go back with the next draw's end
    a call outlives its hour                   it is charged to the hour in which it began
    a call costs more than it reserved         booked afterwards; more may be taken of an hour than it has
"""
