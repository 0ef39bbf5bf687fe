"""One execution per tenant: start, run, progress, cancel, recover, retry, schedule. No HTTP, no Confluence."""

from addon.engine import queries, retention
from addon.engine.engine import Engine
from addon.engine.errors import (
    DATABASE_AWAY,
    Busy,
    Fenced,
    NotAdmitted,
    NotCancellable,
    NotFound,
    NotRetryable,
    UnknownJob,
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
from addon.engine.lease.lease import fenced
from addon.engine.lease.lockfile import LockFile, LockTaken
from addon.engine.models import (
    ACTIVE,
    TERMINAL,
    AuditEvent,
    ExecutionItem,
    ExecutionSpace,
    JobExecution,
    JobSchedule,
    Lane,
    RetryDue,
)
from addon.engine.people import ACCOUNT_COLUMNS, forget_person, people_named
from addon.engine.schedule.cron import fires, next_fire
from addon.engine.settings import EngineSettings
from addon.engine.state.retry_failed import retried_by
from addon.engine.state.start import StartRequest
from addon.engine.state.transitions import Lease
from addon.engine.state.triggers import TRIGGER_DDL
from addon.engine.wake.dispatcher import Dispatcher, LocalDispatcher
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
    "AuditEvent",
    "Busy",
    "CancelRequested",
    "Dispatcher",
    "Engine",
    "EngineSettings",
    "ExecutionItem",
    "ExecutionSpace",
    "Fatal",
    "Fenced",
    "Interrupted",
    "Item",
    "Job",
    "JobExecution",
    "JobRefused",
    "JobSchedule",
    "Lane",
    "Lease",
    "LocalDispatcher",
    "LockFile",
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
    "fenced",
    "fires",
    "forget_person",
    "live_progress",
    "next_fire",
    "no_worker",
    "people_named",
    "queries",
    "retention",
    "retried_by",
    "workers",
]
