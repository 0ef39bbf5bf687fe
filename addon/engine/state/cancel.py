"""The cancelling of an execution: a durable flag first; then its owner stops at the next safe point."""

from __future__ import annotations

from sqlalchemy.orm import Session

from addon.base import TenantId
from addon.engine.context import EngineContext
from addon.engine.errors import NotCancellable
from addon.engine.models import JobExecution
from addon.engine.state.admission import active, end_chains, find
from addon.engine.state.finish import end
from addon.engine.state.settlement import unsettled
from addon.engine.state.transitions import Actor, move

SITE_LEFT = ("uninstall", "disable")
"""Actors after whose cancel the site answers none of our calls."""


def cancel(
    context: EngineContext, session: Session, tenant_id: TenantId, execution_id: str, actor: Actor
) -> JobExecution:
    """Cancel an execution and return its row: cancelling, or cancelled at once when it has no owner.

    One that has submitted something that is not read back yet is cancelling until a runner has settled that, except
    when the app was uninstalled or disabled, after which nothing can be read.

    Cancelling twice is the same as once. Raises NotFound, or NotCancellable when it is finalizing or has ended.
    """
    execution = find(session, tenant_id, execution_id, lock=True)
    if execution.status == "cancelling":
        return execution
    if execution.status != "running":
        raise NotCancellable(execution.status)
    at = context.clock.now()
    asked = {"cancel_requested_at": at, "cancel_requested_by": actor.id or actor.type}
    if execution.owner is None and actor.type not in SITE_LEFT and unsettled(context, session, execution):
        if move(session, "cancel_unsettled", execution_id, at=at, actor=actor, values=asked) is None:
            raise RuntimeError("a locked execution changed under its lock")
        context.dispatcher.wake(session, tenant_id)
    elif execution.owner is None:
        end(context, session, "cancel_at_once", execution, actor=actor, values=asked)
    elif move(session, "request_cancel", execution_id, at=at, actor=actor, values=asked) is None:
        raise RuntimeError("a locked execution changed under its lock")
    session.refresh(execution)
    return execution


def cancel_active(context: EngineContext, session: Session, tenant_id: TenantId, actor: Actor) -> None:
    """End what the tenant has at work: waiting retries go, the active execution is cancelled.

    One that is finalizing stays, and finds nothing to send any more (docs/rules/sites.md 3.4).
    """
    end_chains(session, tenant_id)
    execution = active(session, tenant_id)
    if execution is None:
        return
    try:
        cancel(context, session, tenant_id, execution.id, actor)
    except NotCancellable:
        return
