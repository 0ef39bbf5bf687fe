"""Wakeups and ticks: what makes a process look for work.

This room owns no rows of ours and decides nothing. It calls functions at the right moment; what there is to do, they
read from the tables. So everything in here may fail, come late or come twice without a consequence but time.

    what happened                who looks                    carried by                                 at the latest
    -------------------------    -------------------------    ---------------------------------------    --------------
    an execution can be claimed  a runner of this process     `LocalDispatcher`, after the commit        reaper's tick
    an execution can be claimed  a runner of some process     `ProcrastinateDispatcher`, in the commit   reaper's tick
    a slot or a retry is due     `scheduler.schedule_tick`    `Metronome`                                next tick
    an owner has gone silent     `reaper.reap`                `Metronome`                                next tick

A hint, never the truth
-----------------------
`Dispatcher.wake(session, tenant_id)` is called by every transaction that leaves an execution for runners to claim: a
start, a hand-over, a lost lease, a cancel with something to read back. The wakeup goes out when that transaction
commits and not at all when it rolls back. A runner that is woken claims whatever is claimable, of any tenant; when it
finds nothing it sleeps again. A pause is not announced: nothing wakes a runner at the moment when it ends.

What a lost wakeup left is found by the reaper. Every ttl/6 it wakes runners for each execution that is claimable and
has no owner, a pause that is over included. A lost wakeup therefore costs at most ttl/6 plus the tick's jitter.

Between processes
-----------------
On PostgreSQL with the extra `scale`, a wakeup is a job of procrastinate in the same database, inserted over the
session's own connection. `queueing_lock` is the tenant's id, so that one waiting wakeup per tenant is enough, however
many transactions ask for one; a second is refused with `AlreadyEnqueued`, which counts as success. procrastinate's
`lock`, which lets one job at a time run, is never used: a worker that died with it would keep its tenant from being
woken. One execution per tenant is kept by the unique index, one owner per execution by lease and fence.

    transaction                              other process
    -----------                              -------------
    INSERT job_execution                     procrastinate's worker waits in LISTEN, and polls every 5 s
    before_commit: INSERT the wakeup
      (in a savepoint, the last statement)
    COMMIT  ------------------------------>  notified; a thread calls `Engine.run_one`
                                             claim, drive, return; the wakeup's row is deleted

The insert comes last because two transactions that wake for the same tenant block each other from it to the commit. It
is made in a savepoint because a wakeup that cannot be written must not undo what it announces.

Without the extra, and on SQLite (one process by contract), `LocalDispatcher` notifies the runner threads of its own
process after the commit; processes that share a PostgreSQL without it find each other's work by the reaper's tick.

When something fails
--------------------
- The queue's table is missing or locked: the savepoint rolls back, a warning is logged, the reaper's tick wakes.
- The worker's connection breaks: procrastinate ends its worker when a side task fails, such as the listener; it is
  started again after 2 s, and first fetches what was inserted meanwhile.
- The database takes the question and never answers: a check every 5 s gives up after the database's patience, and the
  worker is started again.
- A process dies with a wakeup that it had taken: what it had claimed comes back by its lease. The wakeup's row stays in
  the state `doing`, blocks nothing, and is deleted by a periodic task within ten minutes after its worker is taken for
  dead.
- A tick overruns its interval: the next call is left out (`max_instances=1`). A tick raises: logged, called again.

APScheduler keeps its jobs in memory and has no misfire grace: what a stopped process did not tick is not made up for,
because the next tick looks at everything that is due.
"""
