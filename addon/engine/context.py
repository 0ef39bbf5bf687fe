"""The context that all parts of one process's engine share: database, clocks, numbers, jobs and dispatcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId, new_id
from addon.engine.job import Job
from addon.engine.lease.leasetime import LeaseTime
from addon.engine.settings import EngineSettings
from addon.engine.wake.dispatcher import Dispatcher

PolicyVersion = Callable[[Session, TenantId], int]


@dataclass(frozen=True, slots=True)
class EngineContext:
    """Passed to every part.

    Parameters:
        db, clock, settings, jobs: as given to the engine.
        dispatcher: wakes runners, here or in another process.
        policy_version: returns the version of a tenant's policies that a new execution keeps.
        time: the clock of leases and due slots.
        worker_id: this process as an owner; new at every start, so that no old lease is ever taken for ours.
    """

    db: Database
    clock: Clock
    settings: EngineSettings
    jobs: Mapping[str, Job]
    dispatcher: Dispatcher
    policy_version: PolicyVersion
    time: LeaseTime
    worker_id: str = field(default_factory=new_id)
    passed_over: set[TenantId] = field(default_factory=set)
    """Tenants that the last ticks looked at and for which nothing could start: the others come first."""
    slow: set[TenantId] = field(default_factory=set)
    """Tenants whose last look failed or took long: all others come before them."""
    verified: list[str] = field(default_factory=list)
    """The id of the schedule up to which next times were compared with the clock, none at the beginning."""
