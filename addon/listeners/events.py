"""Events of a site: hints for the jobs, permissions asked again, a removed person erased."""

from __future__ import annotations

from dataclasses import dataclass

from addon.base import Clock, Database, TenantId, get_logger
from addon.confluence import note_hint, note_rights_change
from addon.connect import SiteEvent
from addon.maintenance import erase_person

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SiteEvents:
    """Implements connect's WebhookListener. Repeating a call changes nothing more."""

    db: Database
    clock: Clock

    def on_event(self, tenant_id: TenantId, event: SiteEvent) -> None:
        """Note what the event is about. A person is not noted: what is remembered of one is erased instead."""
        now = self.clock.now()
        with self.db.write(tenant_id) as session:
            match event.subject:
                case "user" | "group":
                    note_rights_change(session, tenant_id)
                case "page" | "blogpost" | "space" as kind:
                    if kind == "space":
                        note_rights_change(session, tenant_id)
                    note_hint(
                        session,
                        tenant_id,
                        kind=kind,
                        subject_id=event.subject_id,
                        event=event.event,
                        space_key=event.space_key,
                        at=now,
                    )
            if event.event == "user_removed":
                erase_person(session, tenant_id, event.subject_id, now)
                log.info("a removed person was erased", action="person_erased", tenant=tenant_id)
