"""One execution at work, from claim to end, on the threads of one process.

A process runs up to R executions at a time (4), each on a runner thread of its own that claims it, drives its job and
ends it. The room owns what an execution does while it runs: its spaces, outcomes, items, counters and estimate. Who may
act for an execution is decided in `lease`, what its status may become in `state`.

The story in four files
-----------------------
runner.py (the way, and every way to stop), lease/lease.py (claim, fence, giving back), run.py (what the job holds) and
state/finish.py (the end). What they call has its own place: spaces.py and progress.py (the list, the percentage),
call_threads.py (calls side by side), heartbeat.py (keeping the lease), settling.py (reading back what was submitted),
pool.py (the threads that claim).

    claim --> list the spaces --> give them to the job --> read back --> finalizing --> compile --> successful
      |         once, then          together; each           what was       too late       the        or failed
      |         it is fixed         suspect alone            submitted      to cancel      result
      |                                 |
      |      Interrupted  check point   +--> hand over: the spaces in work go back to pending
      |      Pause        the job       +--> put aside until a time; no thread is kept
      |      Cancel       safe point    +--> read back --> cancelled
      |      Abandon      the job       +--> cancelled at once: the site is gone
      |      Fatal, bug   the job       +--> open spaces fail --> read back --> finalizing ...
      |      Fenced       any write     +--> nothing more is written
      |      database     any statement +--> hand over as soon as it answers, or the lease runs out
      |
      +-- was finalizing: compile again            was cancelling: read back, then cancelled

Threads
-------
    runner-0 .. R-1    claims, drives the job, alone records what came of it           RunnerPool, ExecutionRunner
    call-...-0 .. W-1  makes calls and returns results; W threads for each execution   CallThreads
    heartbeat          one beat for all runs of the process, on its own connection     Heartbeat
    any other          sets `run.stop` (shutdown) or `run.cancelled` (a cancel here)   Engine

They meet in one object, `ActiveRun`. `stop`, `lost` and `cancelled` are events that any thread may set; the counters of
points and calls have a lock; everything else belongs to the runner thread.

Check point, safe point, trust
------------------------------
*Check point* (`run.check`, `run.call_seconds`): before each call, on any thread. It raises Interrupted when the process
stops, the lease is lost or its trust has ended. Spaces in work are done again by the next owner, from their checkpoint.

*Safe point* (`run.safe_point`): where the outcome of an item is recorded, on the runner thread. It raises
CancelRequested, one call after the cancel at most, and marks progress: a run that passes none for ten minutes is shown
as without progress, after thirty the reaper takes it.

*Wait* (`run.wait`): both, once a second. While a run waits, the heartbeat thread asks the database for it, because a
run that writes nothing learns nothing.

*Trust* ends ttl/12 before the lease, counted from before the last good beat:

    a call may take     min(ttl/2, trust left)      over connecting, headers and body
    a writing call      begins with ttl/6 of trust left, or not at all

From the moment when the result is compiled, or what was submitted is read back, no cancel counts any more
(`run.ignore_cancel`). While the execution is put aside its calls are refused (`run.suspend_calls`).

What is recorded
----------------
`run.write()` is one fenced transaction. In it a job begins, saves, ends spaces and appends items; at its end one UPDATE
of the execution's row carries the counters, percentage, estimate and item numbers that go with them. What a transaction
recorded and what it counted therefore commit together, or neither does.

The percentage is the weight of ended spaces and of what spaces in work have come through; it never falls, and 100 is
for a successful end. The estimate follows the rate of the last half minute, weighted by time:

    rate  +=  (1 - exp(-span / 30 s)) * (weight / span - rate)          seconds left = weight left / rate

There is none during the first ten seconds, below five per cent, or once the run has outlasted it.

What happens when the process dies
----------------------------------
    before the claim commits         nothing was claimed
    after it, before the list        the next owner lists; the job is asked again
    while spaces are in work         they become suspects: each runs alone from then on, from its last checkpoint
    between a call and its record    the call is made again: every effect is safe to repeat
    after a space's end commits      it is never done again
    before `finalizing` commits      the next owner finds no space open, and resumes there
    while the result is compiled     it is compiled again; the metrics are summed from rows in the last transaction
    after the last commit            it has ended; wakeup or no wakeup, nothing is left to do

When something else fails
-------------------------
- A beat fails: it is tried again after ttl/16. A lease that could not be extended ends the trust, and the run stops.
- A row does not come back from a beat: the run is lost, and every thread of it stops at its next check point.
- The database is away: the run stops its threads and hands over when the database answers; nothing counts as lost.
- A job raises what it did not mean: the open spaces fail with it, permanently; other executions are not affected.
- A job leaves a space without an outcome: it fails, with the sentence that this is a bug.
- No answer to the claim's commit arrives: the run does nothing but give back what it may have.
"""
