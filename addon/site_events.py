"""What follows from an event on a site? Hints for the jobs, permissions asked anew, a removed person erased."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from addon.base import Clock, Database, TenantId
from addon.confluence import Permissions, note_hint
from addon.connect import SiteEvent
from addon.people import erase_person

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SiteEvents:
    """Implements connect's WebhookListener. Repeating a call changes nothing more."""

    db: Database
    clock: Clock
    permissions: Permissions

    def on_event(self, tenant_id: TenantId, event: SiteEvent) -> None:
        """Note what the event is about. A person is not noted: what is remembered of one is erased instead."""
        match event.subject:
            case "page" | "blogpost":
                self._note(tenant_id, event)
            case "space":
                self._note(tenant_id, event)
                self.permissions.forget(tenant_id)
            case "group":
                self.permissions.forget(tenant_id)
            case "user":
                self.permissions.forget(tenant_id, event.subject_id)
                if event.event == "user_removed":
                    with self.db.write(tenant_id) as session:
                        erase_person(session, tenant_id, event.subject_id, self.clock.now())
                    log.info("tenant %s: a removed person was erased", tenant_id)

    def _note(self, tenant_id: TenantId, event: SiteEvent) -> None:
        if event.subject == "user" or event.subject == "group":
            return
        with self.db.write(tenant_id) as session:
            note_hint(
                session,
                tenant_id,
                kind=event.subject,
                subject_id=event.subject_id,
                event=event.event,
                space_key=event.space_key,
                at=self.clock.now(),
            )
