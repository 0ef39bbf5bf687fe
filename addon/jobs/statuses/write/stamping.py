"""How does one content get its stamp, whatever stands there? Calls only, no database: it runs on call threads.

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
from addon.jobs.statuses.write.stamp import Stamp, Status, own_stamp, stamp_value


@dataclass(frozen=True, slots=True)
class Change:
    """A content to stamp with `slug`. `row` is its ledger entry, `seen` its property if a query brought it along.

    `look`: read the property before anything is written, because search and ledger disagree about it.
    """

    content_id: str
    kind: Kind
    space_id: str
    slug: str
    row: LedgerEntry | None = None
    seen: Property | None = None
    look: bool = False


Verdict = Literal["written", "kept", "read-only", "gone"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change. `row` is the content's new ledger entry, None when it has none any more.

    `changed`: the content's status differs from the one known before.
    """

    verdict: Verdict
    row: LedgerEntry | None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Stamper:
    """Writes stamps for one run. `since` is when the run began to read what it now writes."""

    client: SiteClient
    clock: Clock
    key: str
    default: str
    statuses: Mapping[str, Status]
    since: datetime
    trusting: bool = False
    """Dates in stamps the ledger does not know are believed: only while it knows nothing at all yet."""
    stamps: bool = True
    """False: statuses are kept in the ledger only and no call is made."""
    began: datetime | None = None
    """When the execution began, if one writes."""

    def apply(self, change: Change) -> Outcome:
        """Bring one content's stamp to `change.slug`.

        Returns what became of it. Raises SiteError when the content could neither be stamped nor found to be
        read-only or gone.
        """
        if not self.stamps:
            return self._kept(change)
        if change.look:
            return self._looked(change, raced=False)
        known = change.seen or _remembered(change.row, self.key)
        try:
            return self._write(change, known, self._before(change, None))
        except (QuotaExhausted, RateLimited):
            raise
        except (NotFound, Conflict) as error:
            return self._looked(change, raced=True, refused=error)
        except Forbidden:
            return self._read_only(change)
        except SiteError as error:
            if known is not None:
                raise
            return self._looked(change, raced=True, refused=error)

    def _kept(self, change: Change) -> Outcome:
        """Change the ledger alone. What stands in Confluence from before is not known to be right any more."""
        row = change.row
        if change.slug == _slug(row, self.default):
            return Outcome("kept", row and replace(row, space_id=change.space_id))
        return Outcome("kept", self._next_row(change, row, self.clock.now()), changed=True)

    def _looked(self, change: Change, *, raced: bool, refused: SiteError | None = None) -> Outcome:
        """Read the property by its key, then decide once more."""
        try:
            found = self.client.property(change.kind, change.content_id, self.key)
        except NotFound:
            return Outcome("gone", None)
        stamp = own_stamp(found, change.content_id)
        if stamp is not None and (stamp.slug == change.slug or (raced and self._newer(stamp))):
            changed = self.began is not None and unrecorded(stamp, change.row, self.default, self.began, self.since)
            return Outcome("kept", self._adopted(change, stamp), changed)
        if found is None and change.slug == self.default and change.row is None:
            return Outcome("kept", None)
        if found is None and isinstance(refused, NotFound) and _remembered(change.row, self.key) is None:
            return self._read_only(change)
        try:
            return self._write(change, found, self._before(change, stamp))
        except (Forbidden, NotFound):
            return self._read_only(change)

    def _write(self, change: Change, known: Property | None, before: LedgerEntry | None) -> Outcome:
        now = self.clock.now()
        row = self._next_row(change, before, now)
        value = stamp_value(
            self.statuses[change.slug],
            previous=row.previous,
            changed_on=row.changed_on,
            content_id=change.content_id,
        )
        if known is None:
            written = self.client.create_property(change.kind, change.content_id, self.key, value)
        else:
            written = self.client.update_property(change.kind, change.content_id, known, value)
        row = replace(row, property_id=written.id, property_version=written.version)
        return Outcome("written", row, changed=change.slug != _slug(before, self.default))

    def _read_only(self, change: Change) -> Outcome:
        now = self.clock.now()
        row = self._next_row(change, change.row, now)
        return Outcome("read-only", replace(row, read_only_since=now))

    def _newer(self, stamp: Stamp) -> bool:
        return stamp.changed_on is not None and stamp.changed_on > self.since

    def _before(self, change: Change, stamp: Stamp | None) -> LedgerEntry | None:
        """Return the entry the content had: the ledger's, or if there is none, what its own stamp says."""
        if change.row is None and stamp is not None:
            return self._adopted(change, stamp)
        return change.row

    def _adopted(self, change: Change, stamp: Stamp) -> LedgerEntry:
        """Return the ledger entry that says what the property says."""
        place = (change.content_id, change.kind, change.space_id)
        return adopt(stamp, place, change.row, self.clock.now(), trusting=self.trusting)

    def _next_row(self, change: Change, before: LedgerEntry | None, now: datetime) -> LedgerEntry:
        """Return the entry with the new status: `changed_on` moves only when the status does."""
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
    stamp: Stamp, place: tuple[str, str, str], row: LedgerEntry | None, now: datetime, *, trusting: bool
) -> LedgerEntry:
    """Return the ledger entry for a stamp that stands in Confluence and was not known so.

    `place`: content id, kind, space id. Every editor can write a property, so an older date in it is not believed
    (a page could be made to look expired for years), unless `trusting`.
    """
    content_id, kind, space_id = place
    same = row is not None and row.slug == stamp.slug
    return LedgerEntry(
        content_id=content_id,
        kind=kind,
        space_id=space_id,
        slug=stamp.slug,
        previous=row.previous if row is not None and same else stamp.previous,
        changed_on=row.changed_on if row is not None and same else _believed(stamp, row, now, trusting=trusting),
        property_id=stamp.property.id,
        property_version=stamp.property.version,
        written_at=now,
    )


def unrecorded(stamp: Stamp, row: LedgerEntry | None, default: str, began: datetime, since: datetime) -> bool:
    """Return whether an earlier attempt of the run changed the status, and stopped before it could record that.

    Parameters: `began` is when the execution began, `since` when this attempt began to read. What people refresh by
    themselves is recorded at once; what they did since then is theirs.
    """
    return stamp.slug != _slug(row, default) and stamp.changed_on is not None and began <= stamp.changed_on <= since


def _believed(stamp: Stamp, row: LedgerEntry | None, now: datetime, *, trusting: bool) -> datetime:
    at = stamp.changed_on
    if at is None or at > now:
        return now
    return at if trusting or at >= (row.written_at if row is not None else now - LAG) else now


def _remembered(row: LedgerEntry | None, key: str) -> Property | None:
    if row is None or row.property_id is None or row.property_version is None:
        return None
    return Property(row.property_id, key, None, row.property_version)


def _slug(row: LedgerEntry | None, default: str) -> str:
    return default if row is None else row.slug
