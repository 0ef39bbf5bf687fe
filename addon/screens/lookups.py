"""Spaces by key and people by account id, asked of the site once and remembered for a while in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from addon.base import Cache, Clock, Space, TenantGone, TenantId, Unreachable, get_logger
from addon.confluence import Confluence, Postponed, SiteError
from addon.jobs import with_labels
from addon.policies import PolicyDocument

log = get_logger(__name__)

NAMES_LAST = timedelta(hours=1)
NAMES_RETRY = timedelta(minutes=2)


MOST_REMEMBERED = 5000
"""Spaces, labels and names that a process remembers of each kind, of all sites together."""


class Lookups:
    """Spaces by key, and display names by account id."""

    def __init__(self, confluence: Confluence, clock: Clock) -> None:
        self._confluence = confluence
        self._spaces: Cache[tuple[TenantId, str], Space] = Cache(clock, most=MOST_REMEMBERED)
        self._unseen: Cache[tuple[TenantId, str], None] = Cache(clock, most=MOST_REMEMBERED)
        self._labels: Cache[tuple[TenantId, str, str], frozenset[str] | None] = Cache(clock, most=MOST_REMEMBERED)
        self._names: Cache[tuple[TenantId, str], str] = Cache(clock, most=MOST_REMEMBERED, lasts=NAMES_LAST)
        self._unanswered: Cache[TenantId, None] = Cache(clock, most=500, lasts=NAMES_RETRY)

    def space(
        self, tenant_id: TenantId, key: str, max_age: timedelta, in_need: timedelta | None = None
    ) -> Space | None:
        """Return the current space of this key as the app sees it, None when it is archived, hidden or unknown.

        `in_need` is the age of an answer that will do while there are no points to ask with; by default `max_age`.
        """
        known = self._spaces.get((tenant_id, key), max_age)
        if known is not None:
            return known.value
        try:
            with self._confluence.client(tenant_id) as client:
                found = client.spaces(keys=[key])
        except Postponed:
            known = self._spaces.get((tenant_id, key), in_need or max_age)
            if known is None:
                raise
            return known.value
        for space in found:
            if space.key == key and space.status == "current":
                self._remember(tenant_id, space)
                return space
        return None

    def spaces(self, tenant_id: TenantId, keys: Sequence[str], max_age: timedelta) -> dict[str, Space | None]:
        """Return the current spaces of these keys as the app sees them, in their order, None as for `space`.

        That a space is not to be seen is remembered here as well: the overview's pages name it again and again, while
        a person who has just given the app access to a space and opens its own screen must be let in.
        """
        found: dict[str, Space | None] = {}
        missing = []
        for key in keys:
            known = self._unseen.get((tenant_id, key), max_age) or self._spaces.get((tenant_id, key), max_age)
            if known is None:
                missing.append(key)
            found[key] = known.value if known is not None else None
        if missing:
            with self._confluence.client(tenant_id) as client:
                shown = {space.key: space for space in client.spaces(keys=missing) if space.status == "current"}
            for key in missing:
                found[key] = shown.get(key)
                if key in shown:
                    self._remember(tenant_id, shown[key])
                else:
                    self._unseen.put((tenant_id, key), None)
        return found

    def _remember(self, tenant_id: TenantId, space: Space) -> None:
        self._spaces.put((tenant_id, space.key), space)
        self._unseen.forget((tenant_id, space.key))

    def labelled(
        self, tenant_id: TenantId, spaces: Sequence[Space], document: PolicyDocument, max_age: timedelta
    ) -> list[Space]:
        """Return `spaces` with those of their labels that decide about schemes and exclusion in `document`.

        Asks the site only for spaces whose labels are older than `max_age`, and never where no selector is a label.
        """
        asked = json.dumps(sorted(document.labels_asked))
        known = {space.id: self._labels.get((tenant_id, space.id, asked), max_age) for space in spaces}
        labels = {space_id: found.value for space_id, found in known.items() if found is not None}
        missing = [space for space in spaces if space.id not in labels] if document.labels_asked else []
        if missing:
            with self._confluence.client(tenant_id) as client:
                missing = with_labels(client, missing, document)
        for space in missing:
            self._labels.put((tenant_id, space.id, asked), space.labels)
            labels[space.id] = space.labels
        return [replace(space, labels=labels.get(space.id)) for space in spaces]

    def names(self, tenant_id: TenantId, account_ids: Collection[str | None]) -> dict[str, str]:
        """Return display names of those account ids that the site knows; best effort, never an error.

        Names are personal data: they are kept in memory for an hour and never stored.
        """
        names: dict[str, str] = {}
        missing: list[str] = []
        for account_id in {each for each in account_ids if each}:
            known = self._names.get((tenant_id, account_id))
            if known is None:
                missing.append(account_id)
            elif known.value:
                names[account_id] = known.value
        if not missing or self._unanswered.get(tenant_id) is not None:
            return names
        try:
            with self._confluence.client(tenant_id) as client:
                users = client.users(missing[:250])
        except (SiteError, Unreachable, TenantGone) as error:
            log.info("names of people are left out", action="names_left_out", tenant=tenant_id, error=str(error))
            self._unanswered.put(tenant_id, None)
            return names
        found = {user.account_id: user.display_name for user in users}
        for account_id in missing[:250]:
            self._names.put((tenant_id, account_id), found.get(account_id, ""))
        return names | found
