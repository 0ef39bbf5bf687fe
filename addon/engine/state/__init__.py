"""The states of an execution, and every way from one to another.

This room writes `status`, `owner` and `fence` of `job_execution`, and nothing else in the house does. `table` has the
transitions as data; `transitions.move` makes one of them by a conditional UPDATE whose number of changed rows is the
answer, and writes its audit event in the same transaction. The other modules are the occasions:

    start          one insert, which the unique index over active rows lets through or not
    admission      whether a tenant may start anything: installed, past its first run, not on hold
    cancel         the durable flag first; the owner stops at its next safe point
    finish         the terminal transitions: open spaces, sums, and the retry that waits
    retry_failed   a person's start over exactly the spaces that failed
    settlement     whether something that was submitted to the site is not read back yet
    triggers       what keeps ended rows as they are, in the database itself
    statedoc       docs/state_machine.md, written from the table

Invariants
----------
1. A tenant has at most one execution in `running`, `finalizing` or `cancelling` (unique partial index).
2. An execution has an owner exactly when it has a lease; `cancelling` always has one (CHECKs). When no process owns it,
   the owner is the word `to-be-settled`, which every runner may claim.
3. The fence never falls, and rises whenever the owner changes while the execution is active.
4. `seq` is the number of audit events; each transition raises it and writes the event under that number.
5. A row that has ended never changes, apart from the erasure of a person and of a predecessor (trigger).
6. The lane's row is locked before the execution is inserted, and the execution's row before its spaces.

Who may start
-------------
    lane       first run   on hold       a person's start        a schedule's or retry's start
    closed     any         any           NotAdmitted closed      waits; its slots become late
    open       waiting     any           NotAdmitted first_run   waits
    open       confirmed   yes           starts                  waits until released, or until the hold ends
    open       confirmed   no            starts                  starts
    and in each case Busy where another execution is active, JobRefused where the job says so.

The end
-------
`finish.end` closes what is open, sums the metrics over the spaces' rows and makes the transition, in one transaction
with the row locked. A process that dies before the commit has ended nothing; the next owner sums the same rows. No
execution ends cancelled, failed or interrupted while something that it submitted has no known outcome, as long as a
runner may still find out: 12 tries over more than an hour, then the outcome is recorded as unknown
(docs/adr/0010-settle-before-the-end.md).
"""
