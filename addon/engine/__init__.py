"""The engine: background jobs, at most one execution per tenant, that survive the death of any process.

Overview
--------
A job is a class that implements `addon.engine.job.Job`; the engine runs whatever does, and loads neither an HTTP
framework nor an HTTP client. Other rooms start, cancel and schedule executions through `Engine`, and ask about them
through `queries`. This module and `addon.engine.job` are the doors; `addon.engine.scale` is a third one that needs the
extra `scale`. Nothing else imports what lies below: a contract of import-linter and a test keep it so.

    state/      the statuses, the transition table, and each way from one status to another
    lease/      who may act for an execution, until when, and what becomes of it when its owner is silent
    worker/     one execution at work: claim, heartbeat, spaces, calls on threads, end
    schedule/   cron expressions, their slots, and which one starts next
    wake/       ticks, and wakeups between threads and processes
    queries/    what other rooms may ask; retention and people delete on their behalf

The tables (models.py) are the only truth. Every process runs the same ticks over them and there is no leader: whichever
process sees something to do does it, and the database decides between two that see the same.

States
------
    start
      |
      v
    running ------------ finalize ----------> finalizing ---- succeed ----------------> successful
      |   |                                       |
      |   |                                       +---------- fail, fail_stuck,
      |   +-- fail_stuck, interrupt -------------------------- interrupt -------------> failed
      |
      +------ request_cancel, cancel_unsettled -> cancelling - cancelled,
      |                                                        finish_cancelling -----> cancelled
      +------ cancel_at_once ---------------------------------------------------------> cancelled

The first three are active. Within them claim, pause, hand_over, defer_settlement, expire_lease, expire_unsettled,
expire_cancelling and rescue_stuck change the owner and keep the status. docs/state_machine.md has each in a sentence;
it is generated from state/table.py.

One execution per tenant
------------------------
The row is the lock. `uq_job_execution_active` is a unique index over `tenant_id` of the rows whose status is active, so
a second start inserts nothing and gets `Busy` with the execution that is active. There is no counter, no advisory lock
and no lock row that could disagree with it (docs/adr/0001-the-state-row-is-the-lock.md).

Lease, trust and fence
----------------------
An owner has a lease of one ttl (60 s), which its heartbeat extends every ttl/4. It trusts the lease for less:

    trusted until  =  beginning of the last good beat  +  ttl  -  ttl/12

by its own monotonic clock. The fence rises with every change of owner, and every write on behalf of an execution
demands owner and fence of its own lease. So no call begins after the trust ends, and a process that acts all the same
writes nothing. lease/__init__ has the argument.

What happens when ...
---------------------
    a process is killed          its lease expires and the reaper of any process gives the execution to a runner: within
                                 ttl + ttl/6 + ttl/12, 75 s by default. Finished spaces are not done again.
    a process is asked to stop   it claims nothing more, its runs stop at their next check point and are handed over; a
                                 run that does not stop in time keeps its lease until that expires.
    a process freezes            its trust ends before its lease does. When it wakes, its calls are refused at the next
                                 check point, and its transactions find another fence and write nothing.
    a thread hangs               a run that passes no safe point for 30 minutes is rescued: its spaces in work fail as
                                 stuck, the others are done by the next owner.
    a space kills its process    the spaces in work become suspects and run alone; one that was alone in two lost leases
                                 fails. Five losses without a finished space end the execution as interrupted.
    the database is away         beats are tried again every ttl/16. A run whose trust ends stops; if the database comes
                                 back within the lease it is handed over and nothing counts as lost.
    a commit's answer is lost    a claim that may or may not be ours is given back as soon as the database answers; a
                                 start that is repeated finds the first one active.
    a wakeup is lost             the reaper's tick finds what can be claimed, ttl/6 later at most.
    two processes tick at once   a slot belongs to whichever inserts its `schedule_fire`; the lane's row is locked while
                                 one of them decides.
    the site limits us           the job raises Pause: the execution gives its thread back and waits, still active.
    a person cancels             the flag is stored first. The owner stops at its next safe point and reads back what it
                                 had submitted; without an owner the execution ends at once.
    an execution fails           one that was scheduled is retried after five minutes over the spaces that are not done,
                                 at most three times, unless something permanent failed.
    a host's clock is wrong      leases and due slots follow PostgreSQL's clock; on SQLite, which is one process, a date
                                 that no clock of ours can have given counts as over.

Each of these is a test: tests/engine has a model that takes random histories through them, soak and kill tests run them
on real processes, and failpoints.py marks both sides of every commit.
"""

from addon.engine import queries, retention
from addon.engine.engine import Engine
from addon.engine.errors import (
    DATABASE_AWAY,
    Busy,
    NotAdmitted,
    NotCancellable,
    NotFound,
    NotRetryable,
    UnknownJob,
    internal_error,
)
from addon.engine.job import (
    UNSEEN,
    Abandon,
    CancelRequested,
    Fatal,
    Interrupted,
    Item,
    Job,
    JobRefused,
    Metrics,
    Pause,
    Run,
    RunSpace,
)
from addon.engine.lease.lockfile import LockTaken
from addon.engine.models import (
    ACTIVE,
    TERMINAL,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    Lane,
    RetryDue,
)
from addon.engine.people import ACCOUNT_COLUMNS, forget_person, people_named
from addon.engine.settings import EngineSettings
from addon.engine.state.retry_failed import retried_by
from addon.engine.state.start import StartRequest
from addon.engine.state.triggers import TRIGGER_DDL
from addon.engine.wake.dispatcher import Dispatcher
from addon.engine.wake.metronome import Metronome, Tick
from addon.engine.worker.heartbeat import any_process, no_worker, workers
from addon.engine.worker.progress import Progress, live_progress

__all__ = [
    "ACCOUNT_COLUMNS",
    "ACTIVE",
    "DATABASE_AWAY",
    "TERMINAL",
    "TRIGGER_DDL",
    "UNSEEN",
    "Abandon",
    "Busy",
    "CancelRequested",
    "Dispatcher",
    "Engine",
    "EngineSettings",
    "ExecutionItem",
    "ExecutionSpace",
    "Fatal",
    "Interrupted",
    "Item",
    "Job",
    "JobExecution",
    "JobRefused",
    "Lane",
    "LockTaken",
    "Metrics",
    "Metronome",
    "NotAdmitted",
    "NotCancellable",
    "NotFound",
    "NotRetryable",
    "Pause",
    "Progress",
    "RetryDue",
    "Run",
    "RunSpace",
    "StartRequest",
    "Tick",
    "UnknownJob",
    "any_process",
    "forget_person",
    "internal_error",
    "live_progress",
    "no_worker",
    "people_named",
    "queries",
    "retention",
    "retried_by",
    "workers",
]
