"""The stamping of one item, whatever its property says now. Calls only, no database: it runs on call threads.

Usually it is one write. When the site answers that it knows another version (or none, or a hidden page), the property
is read by its key once, and written once more at most. A stamp that a person's own refresh wrote after this run began
to read is never overwritten. One that an earlier attempt of the same run wrote and could not record counts as changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from addon.base import Clock
from addon.confluence import (
    Conflict,
    Forbidden,
    Kind,
    NotFound,
    Property,
    QuotaExhausted,
    RateLimited,
    SiteClient,
    SiteError,
)
from addon.jobs.ledger import LAG, LedgerEntry
from addon.jobs.statuses.stamp import Stamp, Status, own_stamp, stamp_value


@dataclass(frozen=True, slots=True)
class Change:
    """An item to stamp with `slug`. `entry` is its ledger entry, `seen` its property if a query brought it along.

    `read_first`: read the property before anything is written, because search and ledger disagree about it.
    """

    content_id: str
    kind: Kind
    space_id: str
    slug: str
    entry: LedgerEntry | None = None
    seen: Property | None = None
    read_first: bool = False


Verdict = Literal["written", "kept", "read-only", "gone"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change. `entry` is the item's new ledger entry, None when it has none any more.

    `changed`: the item's status differs from the one known before.
    """

    verdict: Verdict
    entry: LedgerEntry | None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Stamper:
    """Writes stamps for one run, or for one person's refresh.

    `key`: of the status property. `default`: the slug of what matches nothing. `statuses`: what stamps say, by slug.
    `since`: when the reading began that is written now. `trusting`: whether dates in stamps that the ledger does not
    know are believed, which they are only while it knows nothing at all yet. `stamps`: False where statuses are kept in
    the ledger alone, and no call is made. `began`: when the execution began, None for a person's refresh.
    """

    client: SiteClient
    clock: Clock
    key: str
    default: str
    statuses: Mapping[str, Status]
    since: datetime
    trusting: bool = False
    stamps: bool = True
    began: datetime | None = None

    def apply(self, change: Change) -> Outcome:
        """Bring one item's stamp to `change.slug`: 1 point where the ledger knows the property, else up to 4.

        Returns what became of it. Raises SiteError when the item could neither be stamped nor found to be read-only or
        gone.
        """
        if not self.stamps:
            return self._kept(change)
        if change.read_first:
            return self._read_first(change, raced=False)
        known = change.seen or _remembered(change.entry, self.key)
        try:
            return self._write(change, known, self._before(change, None))
        except (QuotaExhausted, RateLimited):
            raise  # They are SiteErrors too, and a look at the property would only be refused again.
        except (NotFound, Conflict) as error:
            return self._read_first(change, raced=True, refused=error)
        except Forbidden:
            return self._read_only(change)
        except SiteError as error:
            # A new property may be refused because there is one already, and Confluence says that in several ways (4xx
            # and 5xx). A known property has no such excuse.
            if known is not None:
                raise
            return self._read_first(change, raced=True, refused=error)

    def _kept(self, change: Change) -> Outcome:
        """Change the ledger alone. A stamp from before stays in Confluence and is not known to be right any more."""
        entry = change.entry
        if change.slug == _slug_of(entry, self.default):
            return Outcome("kept", entry and replace(entry, space_id=change.space_id))
        return Outcome("kept", self._next_entry(change, entry, self.clock.now()), changed=True)

    def _read_first(self, change: Change, *, raced: bool, refused: SiteError | None = None) -> Outcome:
        """Read the property by its key, then decide once more."""
        try:
            found = self.client.property(change.kind, change.content_id, self.key)
        except NotFound:
            return Outcome("gone", None)
        stamp = own_stamp(found, change.content_id)
        # Right already; or a person refreshed it after this run began to read, and knows better (docs/rules/statuses.md
        # 5.7). Only a race shows that here: what was refreshed before the call is known from the ledger. A newer stamp
        # that is read for another reason is somebody's edit of the property.
        if stamp is not None and (stamp.slug == change.slug or (raced and self._newer(stamp))):
            changed = self.began is not None and unrecorded(stamp, change.entry, self.default, self.began, self.since)
            return Outcome("kept", self._adopted(change, stamp), changed)
        if found is None and change.slug == self.default and change.entry is None:
            return Outcome("kept", None)
        # It can be read and has no property, yet a POST answered 404: Confluence says so of what the app may not edit.
        if found is None and isinstance(refused, NotFound) and _remembered(change.entry, self.key) is None:
            return self._read_only(change)
        try:
            return self._write(change, found, self._before(change, stamp))
        except (Forbidden, NotFound):
            return self._read_only(change)

    def _write(self, change: Change, known: Property | None, before: LedgerEntry | None) -> Outcome:
        now = self.clock.now()
        entry = self._next_entry(change, before, now)
        value = stamp_value(
            self.statuses[change.slug],
            previous=entry.previous,
            changed_on=entry.changed_on,
            content_id=change.content_id,
        )
        if known is None:
            written = self.client.create_property(change.kind, change.content_id, self.key, value)
        else:
            written = self.client.update_property(change.kind, change.content_id, known, value)
        entry = replace(entry, property_id=written.id, property_version=written.version)
        return Outcome("written", entry, changed=change.slug != _slug_of(before, self.default))

    def _read_only(self, change: Change) -> Outcome:
        now = self.clock.now()
        entry = self._next_entry(change, change.entry, now)
        return Outcome("read-only", replace(entry, read_only_since=now))

    def _newer(self, stamp: Stamp) -> bool:
        return stamp.changed_on is not None and stamp.changed_on > self.since

    def _before(self, change: Change, stamp: Stamp | None) -> LedgerEntry | None:
        """Return the entry the item had: the ledger's, or if there is none, what its own stamp says."""
        if change.entry is None and stamp is not None:
            return self._adopted(change, stamp)
        return change.entry

    def _adopted(self, change: Change, stamp: Stamp) -> LedgerEntry:
        """Return the ledger entry that says what the property says."""
        item = (change.content_id, change.kind, change.space_id)
        return adopt(stamp, item, change.entry, self.clock.now(), trusting=self.trusting)

    def _next_entry(self, change: Change, before: LedgerEntry | None, now: datetime) -> LedgerEntry:
        """Return the entry with the new status, not stamped yet: `changed_on` moves only when the status does."""
        same = before is not None and before.slug == change.slug
        return LedgerEntry(
            content_id=change.content_id,
            kind=change.kind,
            space_id=change.space_id,
            slug=change.slug,
            previous=before.previous if before is not None and same else (before.slug if before else None),
            changed_on=before.changed_on if before is not None and same else now,
            property_id=None,
            property_version=None,
            written_at=now,
        )


def adopt(
    stamp: Stamp, item: tuple[str, Kind, str], entry: LedgerEntry | None, now: datetime, *, trusting: bool
) -> LedgerEntry:
    """Return the ledger entry for a stamp that Confluence has and the ledger did not know so.

    Parameters: `item` is content id, kind and space id. `trusting`: whether a date before the ledger's own knowledge is
    believed; otherwise not, because every editor can write a property and make a page look expired for years.
    """
    content_id, kind, space_id = item
    same = entry is not None and entry.slug == stamp.slug
    return LedgerEntry(
        content_id=content_id,
        kind=kind,
        space_id=space_id,
        slug=stamp.slug,
        previous=entry.previous if entry is not None and same else stamp.previous,
        changed_on=entry.changed_on if entry is not None and same else _believed(stamp, entry, now, trusting=trusting),
        property_id=stamp.property.id,
        property_version=stamp.property.version,
        written_at=now,
    )


def unrecorded(stamp: Stamp, entry: LedgerEntry | None, default: str, began: datetime, since: datetime) -> bool:
    """Return whether an earlier attempt of the run changed the status, and stopped before it could record that.

    Parameters: `began` is when the execution began, `since` when this attempt began to read. People's own refreshes are
    recorded at once, and what they did after `since` is theirs.
    """
    return (
        stamp.slug != _slug_of(entry, default) and stamp.changed_on is not None and began <= stamp.changed_on <= since
    )


def _believed(stamp: Stamp, entry: LedgerEntry | None, now: datetime, *, trusting: bool) -> datetime:
    at = stamp.changed_on
    if at is None or at > now:
        return now
    return at if trusting or at >= (entry.written_at if entry is not None else now - LAG) else now


def _remembered(entry: LedgerEntry | None, key: str) -> Property | None:
    if entry is None or entry.property_id is None or entry.property_version is None:
        return None
    return Property(entry.property_id, key, None, entry.property_version)


def _slug_of(entry: LedgerEntry | None, default: str) -> str:
    return default if entry is None else entry.slug
