"""The jobs of the add-on, by type, and what the policies say of when each starts.

The only module that knows all of them; they do not know each other.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId
from addon.confluence import Confluence
from addon.engine import Engine
from addon.engine.job import Job
from addon.jobs.automations import ExecuteAutomations
from addon.jobs.context import JobContext, JobSettings
from addon.jobs.notifications import SendNotifications
from addon.jobs.statuses import RefreshStatuses
from addon.mail import Mailer
from addon.policies import Policies, PolicyDocument


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
    context = JobContext(confluence, policies, mailer, db, clock, settings)
    jobs: list[Job] = [RefreshStatuses(context), SendNotifications(context), ExecuteAutomations(context)]
    return {job.type: job for job in jobs}


def apply_policies(
    engine: Engine, session: Session, tenant_id: TenantId, document: PolicyDocument, *, by: str | None
) -> None:
    """Hand the document's schedules and its hold to the engine. Part of every transaction that stores a version.

    Parameters: `by` is the account id of the person who put the document, None for the shipped one.
    """
    hold = document.schedules.hold
    engine.replace_schedules(session, tenant_id, document.schedule_specs())
    engine.set_hold(session, tenant_id, on=hold.on, reason=hold.reason, by=by, until=hold.until)
