"""Which jobs are there? The one place where they are put together, by slug."""

from __future__ import annotations

from addon.base import Clock, Database
from addon.confluence import Confluence
from addon.engine.job import Job
from addon.jobs.automations.job import ExecuteAutomations
from addon.jobs.notifications.job import SendNotifications
from addon.jobs.parts import JobParts, JobSettings
from addon.jobs.statuses.job import RefreshStatuses
from addon.mail import Mailer
from addon.policies import Policies


def build_jobs(
    *,
    confluence: Confluence,
    policies: Policies,
    mailer: Mailer,
    db: Database,
    clock: Clock,
    settings: JobSettings,
) -> dict[str, Job]:
    """Return every job of the add-on by its type, for the engine."""
    parts = JobParts(confluence, policies, mailer, db, clock, settings)
    jobs: list[Job] = [RefreshStatuses(parts), SendNotifications(parts), ExecuteAutomations(parts)]
    return {job.type: job for job in jobs}
