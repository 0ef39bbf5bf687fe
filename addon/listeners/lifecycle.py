"""What follows from a site's installing, disabling or uninstalling the add-on, in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine import Engine
from addon.jobs import apply_policies
from addon.mail import Mailer
from addon.policies import Policies


@dataclass(frozen=True, slots=True)
class LifecycleEffects:
    """Implements connect's LifecycleListener. Every method runs inside the lifecycle's own transaction."""

    engine: Engine
    policies: Policies
    mailer: Mailer
    first_run_hold: bool

    def on_installed(self, session: Session, tenant_id: TenantId, *, first: bool, returning: bool) -> None:
        """Give a new tenant the shipped policies and its schedules; let a returning one find its own again."""
        self.engine.open_lane(session, tenant_id, first_run=first and self.first_run_hold)
        if first:
            self.policies.seed(session, tenant_id)
            _, document = self.policies.current(session, tenant_id)
            apply_policies(self.engine, session, tenant_id, document, by=None)
        if returning:
            self.engine.restart_schedules(session, tenant_id)

    def on_uninstalled(self, session: Session, tenant_id: TenantId) -> None:
        """Stop what runs, forget what waits: executions, retries, unsent mail."""
        self.engine.close_lane(session, tenant_id)
        self.engine.cancel_active(session, tenant_id, actor_type="uninstall")
        self.mailer.drop_unsent(session, tenant_id, reason="the add-on was uninstalled")

    def on_enabled(self, session: Session, tenant_id: TenantId) -> None:
        """Let scheduled and manual starts happen again."""
        self.engine.open_lane(session, tenant_id, first_run=self.first_run_hold)

    def on_disabled(self, session: Session, tenant_id: TenantId) -> None:
        """Stop what runs and start nothing while the add-on is disabled: the site refuses our calls from now on."""
        self.engine.close_lane(session, tenant_id)
        self.engine.cancel_active(session, tenant_id, actor_type="disable")
