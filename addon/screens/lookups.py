"""What is this space, and what is this person called? Asked of the site once and remembered for a while, in memory."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Generic, TypeVar

from addon.base import Clock, Space, TenantGone, TenantId, Unreachable
from addon.confluence import Confluence, Postponed, SiteError
from addon.jobs import with_labels
from addon.policies import PolicyDocument

V = TypeVar("V")

log = logging.getLogger(__name__)

NAMES_LAST = timedelta(hours=1)
NAMES_RETRY = timedelta(minutes=2)


class Remembered(Generic[V]):
    """A bounded, thread-safe memory of answers with the time they were given."""

    def __init__(self, clock: Clock, size: int = 5000) -> None:
        self._clock = clock
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[tuple[str, str], tuple[float, V]] = OrderedDict()

    def get(self, tenant_id: TenantId, key: str, max_age: timedelta) -> tuple[V] | None:
        """Return the value in a tuple of one, or None when there is none young enough."""
        with self._lock:
            found = self._values.get((tenant_id, key))
        if found is None or self._clock.monotonic() - found[0] > max_age.total_seconds():
            return None
        return (found[1],)

    def put(self, tenant_id: TenantId, key: str, value: V) -> None:
        """Remember `value` as of now; the oldest answers are forgotten first."""
        with self._lock:
            self._values[tenant_id, key] = (self._clock.monotonic(), value)
            self._values.move_to_end((tenant_id, key))
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def forget(self, tenant_id: TenantId, key: str) -> None:
        """Drop what is remembered under `key`."""
        with self._lock:
            self._values.pop((tenant_id, key), None)


class Lookups:
    """Spaces by key, and display names by account id."""

    def __init__(self, confluence: Confluence, clock: Clock) -> None:
        self._confluence = confluence
        self._spaces: Remembered[Space] = Remembered(clock)
        self._labels: Remembered[frozenset[str] | None] = Remembered(clock)
        self._names: Remembered[str] = Remembered(clock)
        self._unanswered: Remembered[bool] = Remembered(clock, 500)

    def space(
        self, tenant_id: TenantId, key: str, max_age: timedelta, in_need: timedelta | None = None
    ) -> Space | None:
        """Return the current space of this key as the app sees it, None when it is archived, hidden or unknown.

        `in_need` is the age of an answer that will do while there are no points to ask with; by default `max_age`.
        """
        known = self._spaces.get(tenant_id, key, max_age)
        if known is not None:
            return known[0]
        try:
            with self._confluence.client(tenant_id) as client:
                found = client.spaces(keys=[key])
        except Postponed:
            known = self._spaces.get(tenant_id, key, in_need or max_age)
            if known is None:
                raise
            return known[0]
        for space in found:
            if space.key == key and space.status == "current":
                self._spaces.put(tenant_id, key, space)
                return space
        return None

    def labelled(
        self, tenant_id: TenantId, spaces: Sequence[Space], document: PolicyDocument, max_age: timedelta
    ) -> list[Space]:
        """Return `spaces` with those of their labels that decide about schemes and exclusion in `document`.

        Asks the site only for spaces whose labels are older than `max_age`, and never where no selector is a label.
        """
        asked = json.dumps(sorted(document.labels_asked))
        known = {space.id: self._labels.get(tenant_id, f"{space.id} {asked}", max_age) for space in spaces}
        missing = [space for space in spaces if known[space.id] is None] if document.labels_asked else []
        if missing:
            with self._confluence.client(tenant_id) as client:
                missing = with_labels(client, missing, document)
        for space in missing:
            self._labels.put(tenant_id, f"{space.id} {asked}", space.labels)
            known[space.id] = (space.labels,)
        return [replace(space, labels=found[0] if (found := known[space.id]) else None) for space in spaces]

    def names(self, tenant_id: TenantId, account_ids: Collection[str | None]) -> dict[str, str]:
        """Return display names of those account ids that the site knows; best effort, never an error.

        Names are personal data: they are kept in memory for an hour and never stored.
        """
        names: dict[str, str] = {}
        missing: list[str] = []
        for account_id in {each for each in account_ids if each}:
            known = self._names.get(tenant_id, account_id, NAMES_LAST)
            if known is None:
                missing.append(account_id)
            elif known[0]:
                names[account_id] = known[0]
        if not missing or self._unanswered.get(tenant_id, "", NAMES_RETRY):
            return names
        try:
            with self._confluence.client(tenant_id) as client:
                users = client.users(missing[:250])
        except (SiteError, Unreachable, TenantGone) as error:
            log.info("names of people are left out: %s", error)
            self._unanswered.put(tenant_id, "", True)
            return names
        found = {user.account_id: user.display_name for user in users}
        for account_id in missing[:250]:
            self._names.put(tenant_id, account_id, found.get(account_id, ""))
        return names | found
