"""What do the jobs stand on? The parts that create_app and the command line hand to every job."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from addon.base import Clock, Database
from addon.confluence import Confluence, SiteClient
from addon.engine.job import Run
from addon.mail import Mailer
from addon.policies import Policies, PolicyDocument


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How the jobs are configured.

    `namespace` prefixes property keys and CQL aliases; `base_url` is the add-on's own address. `archive_batch`: page
    ids one archive call may name on Premium and Enterprise (docs/rules/confluence-api.md 2.4). `execution_cap`:
    contents one execution of automations may act on.
    """

    namespace: str = "steward"
    base_url: str = ""
    archive_batch: int = 300
    execution_cap: int = 2000


@dataclass(frozen=True, slots=True)
class JobParts:
    """One process's parts, as far as jobs use them."""

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
