"""The parts and the settings that jobs work with, and what every job does with them the same way.

create_app builds one `JobContext` for a process; the registry hands it to each job.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantId
from addon.confluence import Confluence, SiteClient
from addon.engine.job import Metrics, Run, RunSpace
from addon.jobs.faults import translated
from addon.jobs.spaces import list_spaces
from addon.mail import Mailer
from addon.policies import Policies, PolicyDocument


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How the jobs are configured.

    `namespace` prefixes property keys and CQL aliases; `base_url` is the add-on's own address. `archive_batch`: page
    ids one archive call may name on Premium and Enterprise (docs/rules/confluence-api.md 2.4). `execution_cap`: items
    that one execution of automations may act on.
    """

    namespace: str = "steward"
    base_url: str = ""
    archive_batch: int = 300
    execution_cap: int = 2000


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job reaches the outside with: the site, the policies, mail, the database, the time."""

    confluence: Confluence
    policies: Policies
    mailer: Mailer
    db: Database
    clock: Clock
    settings: JobSettings

    def client(self, run: Run) -> AbstractContextManager[SiteClient]:
        """Open the run's client: each of its calls is a check point of the run and is counted there.

        It gives the points back that were reserved and not spent, however the run leaves it.
        """
        return self.confluence.client(run.tenant_id, run=run, share="job")

    def policy(self, run: Run) -> PolicyDocument:
        """Return the policies the execution started with; they hold through pause, takeover and retry."""
        with run.read() as session:
            return self.policies.at(session, run.tenant_id, run.policy_version)

    def live_policy(self, run: Run) -> PolicyDocument:
        """Return the policies as they are now. Only exclusions are read from here."""
        with run.read() as session:
            return self.policies.current(session, run.tenant_id)[1]


class SpaceJob:
    """A job over the spaces of a site: those parts of the engine's job protocol that most jobs have in common.

    A job adds `type`, `title`, `work` and `compile` (see addon.engine.job.Job), and overrides what it does differently.
    """

    def __init__(self, context: JobContext) -> None:
        self._context = context

    def admit(self, session: Session, tenant_id: TenantId) -> None:
        """Let every start pass: what cannot be done is reported for each space."""

    def list_spaces(self, run: Run) -> Sequence[RunSpace]:
        """Return the run's spaces. Raises Pause, Abandon, or Fatal when the site cannot list its spaces."""
        with translated(), self._context.client(run) as client:
            return list_spaces(run, client, self._context.live_policy(run))

    def finalize(self, run: Run) -> Metrics:
        """Return nothing: every number was added where it arose."""
        return {}

    def settle(self, run: Run) -> None:
        """Do nothing: the job submits nothing to the site that continues after the run."""
