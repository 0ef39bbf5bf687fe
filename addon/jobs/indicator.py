"""The indicator: where Confluence shows statuses in the byline, written from the policies to one property of the site.

The byline's condition reads a property of the app itself, {on, spaces: [key]}, so a page costs nothing and asks no one.
It is written here by a tick, soon after the policies change, and not within the request that changes them: a site that
cannot be reached must not refuse the policies. Writing it again changes nothing (docs/adr/0014).

Points: 1 for a value that changed. To know it, nothing for `on` and for spaces by key; the spaces of a label and 1; the
listing of all spaces for a type or a pattern. The last three are looked at once a day as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import Clock, Database, TenantGone, TenantId, Unreachable, get_logger
from addon.confluence import Confluence, Postponed, SiteClient, SiteError
from addon.jobs.models import IndicatorSwitch
from addon.policies import Policies, PolicyDocument, matches, newest_versions

log = get_logger(__name__)

DAY = timedelta(days=1)
AGAIN = timedelta(minutes=10)
"""How long after a failure it is tried once more."""
NEVER = timedelta(days=3650)
MOST_BYTES = 30_000
"""Bytes of the list of spaces; Confluence takes 32 KB of a property (docs/rules/confluence-api.md 2.3)."""
OFF: dict[str, Any] = {"on": False, "spaces": []}


def property_of(namespace: str) -> str:
    """Return the key of the app's property."""
    return f"{namespace}-indicator"


@dataclass(frozen=True, slots=True)
class IndicatorState:
    """What was last written to a site, as people are shown it.

    `policy_version`: the version of the policies that it follows, 0 while nothing was written. `spaces`: how many it
    names, 0 also where it is on or off everywhere. `problem`: what went wrong since, for people.
    """

    policy_version: int = 0
    spaces: int = 0
    written_at: datetime | None = None
    problem: str | None = None


def indicator_state(session: Session) -> IndicatorState:
    """Return what was last written to the site of the session's tenant."""
    row = session.scalars(sa.select(IndicatorSwitch)).one_or_none()
    if row is None:
        return IndicatorState()
    return IndicatorState(row.policy_version, row.spaces, row.written_at, row.problem)


@dataclass(frozen=True, slots=True)
class Indicator:
    """Keeps every site's property as the policies want it."""

    db: Database
    clock: Clock
    confluence: Confluence
    policies: Policies
    namespace: str
    addon_key: str

    def tick(self, installed: Iterable[tuple[TenantId, int]]) -> int:
        """Look after the tenants that need it; return how many. `installed`: (tenant, generation). Safe to repeat.

        Costs two small queries when nothing changed; several processes may write the same value.
        """
        now = self.clock.now()
        with self.db.read_all() as session:
            versions = newest_versions(session)
            known = {row.tenant_id: row for row in session.scalars(sa.select(IndicatorSwitch))}
        due = [
            (tenant_id, generation)
            for tenant_id, generation in installed
            if tenant_id in versions and _due(known.get(tenant_id), versions[tenant_id], generation, now)
        ]
        for tenant_id, generation in due:
            self._switch(tenant_id, generation)
        return len(due)

    def _switch(self, tenant_id: TenantId, generation: int) -> None:
        now = self.clock.now()
        with self.db.read(tenant_id) as session:
            version, document = self.policies.current(session, tenant_id)
            row = session.get(IndicatorSwitch, tenant_id)
            # What an earlier installation left there is not known, so it is written again.
            before = _digest(OFF) if row is None else row.digest if row.generation == generation else ""
            wrote_at = row.written_at if row is not None else None
        try:
            value, cut = self._value(tenant_id, document)
            if _digest(value) != before:
                with self.confluence.client(tenant_id) as client:
                    client.set_app_property(self.addon_key, property_of(self.namespace), value)
                wrote_at = now
        except Postponed as error:
            self._keep(tenant_id, row, generation=generation, digest=before, due_at=error.until, problem=str(error))
        except (SiteError, TenantGone, Unreachable) as error:
            log.warning(
                "the byline could not be switched", action="byline_not_switched", tenant=tenant_id, error=str(error)
            )
            self._keep(tenant_id, row, generation=generation, digest=before, due_at=now + AGAIN, problem=str(error))
        else:
            self._keep(
                tenant_id,
                row,
                policy_version=version,
                generation=generation,
                digest=_digest(value),
                spaces=len(value["spaces"]),
                written_at=wrote_at,
                due_at=now + (DAY if _drifts(document) else NEVER),
                problem=cut,
            )

    def _value(self, tenant_id: TenantId, document: PolicyDocument) -> tuple[dict[str, Any], str | None]:
        """Return the property's value, and what is missing in it."""
        wanted = document.indicator
        if wanted.on or not wanted.spaces:
            return {"on": wanted.on, "spaces": []}, None
        keys = {selector.key for selector in wanted.spaces if selector.key is not None}
        if _drifts(document):
            with self.confluence.client(tenant_id) as client:
                keys |= _selected(client, document)
        fitting: list[str] = []
        size = 0
        for key in sorted(keys):
            size += len(json.dumps(key)) + 1
            if size > MOST_BYTES:
                break
            fitting.append(key)
        missing = len(keys) - len(fitting)
        cut = f"{missing} spaces do not fit into the switch: switch it on for the whole site" if missing else None
        return {"on": False, "spaces": fitting}, cut

    def _keep(self, tenant_id: TenantId, before: IndicatorSwitch | None, **fields: Any) -> None:
        """Store what became of it; after a failure the rest stays as it was."""
        if before is None:
            blank = {"policy_version": 0, "spaces": 0, "written_at": None}
            fields = blank | fields
        with self.db.write(tenant_id) as session:
            session.merge(IndicatorSwitch(tenant_id=tenant_id, **fields))


def _due(row: IndicatorSwitch | None, version: int, generation: int, now: datetime) -> bool:
    if row is None or row.due_at <= now or row.due_at > now + NEVER:
        return True
    failing = row.problem is not None and row.policy_version != version
    return not failing and (row.policy_version != version or row.generation != generation)


def _drifts(document: PolicyDocument) -> bool:
    """Whether spaces may come to be selected, or cease to, without a change of the policies."""
    return not document.indicator.on and any(selector.key is None for selector in document.indicator.spaces)


def _selected(client: SiteClient, document: PolicyDocument) -> set[str]:
    selectors = document.indicator.spaces
    keys: set[str] = set()
    for label in sorted({selector.label for selector in selectors if selector.label is not None}):
        keys |= {space.key for space in client.spaces(labels=[label])}
    others = [selector for selector in selectors if selector.type is not None or selector.key_pattern is not None]
    if others:
        keys |= {space.key for space in client.spaces() if any(matches(selector, space) for selector in others)}
    return keys


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
