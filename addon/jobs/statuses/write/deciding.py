"""The decisions about one group's reading: what search found, against what the ledger knows. Pure: no calls, no tables.

Search is an index that lags. Where it disagrees with a ledger entry younger than LAG, it is taken to lag and nothing is
written. Where it disagrees with an older one, the property itself is read before anything is written. What a person's
own refresh found is ahead of search: it was decided by what the review says, not by what is indexed of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from addon.confluence import Content
from addon.jobs.ledger import LedgerEntry
from addon.jobs.statuses.ask.reading import Candidate, Plan, Reading
from addon.jobs.statuses.stamp import own_stamp
from addon.jobs.statuses.write.stamping import Change, adopt, unrecorded


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds about a reading.

    `entries`: of all items the reading names. `searchable`: slug -> entries that search must show by now, for the slugs
    whose stamps were listed. `bare`: ids of entries without a stamp that the queries would have found. `trusting`,
    `began`: see Stamper.
    """

    entries: Mapping[str, LedgerEntry]
    searchable: Mapping[str, Mapping[str, LedgerEntry]]
    began: datetime
    trusting: bool = False
    bare: Sequence[str] = ()


@dataclass(slots=True)
class Decided:
    """What follows from one reading.

    `changes` need calls, `corrected` entries go to the ledger only. `missing`: entries whose stamp search no longer
    shows (their items are in the trash, archived, moved or hidden), to be looked up by id. `unmatched`: entries of
    items without a stamp that match no entry of the scheme any more, to be looked up too. `forgotten`: ids of entries
    without a stamp that are wrong now, because their items match nothing. `unrecorded`: space id -> statuses that an
    earlier attempt of the run changed and could not record.
    """

    changes: list[Change] = field(default_factory=list)
    corrected: list[LedgerEntry] = field(default_factory=list)
    missing: list[LedgerEntry] = field(default_factory=list)
    unmatched: list[LedgerEntry] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    unrecorded: Counter[str] = field(default_factory=Counter)


def decide(plan: Plan, reading: Reading, known: Known, now: datetime) -> Decided:
    """Return what to do about one group's reading. `now`: when it is decided, by which entries are young or rest."""
    return _Deciding(plan, reading, known, now).all()


@dataclass(frozen=True, slots=True)
class _Deciding:
    plan: Plan
    reading: Reading
    known: Known
    now: datetime
    decided: Decided = field(default_factory=Decided)

    def all(self) -> Decided:
        candidates, stamped = self.reading.candidates, self.reading.stamped
        for candidate in candidates.values():
            self._candidate(candidate)
        for slug, contents in stamped.items():
            for content in contents.values():
                if content.id not in candidates:
                    self._stamped(content, slug)
        for slug, entries in self.known.searchable.items():
            self.decided.missing += [e for id, e in entries.items() if id not in stamped[slug] and id not in candidates]
        self.decided.unmatched = self._unmatched()
        shown = {content_id for contents in stamped.values() for content_id in contents}
        found = shown | candidates.keys() | self.reading.unmatched
        self.decided.forgotten = [id for id in self.known.bare if id not in found]
        # An item that moved is counted in its new space at once. Its stamp may be written much later or fail, and until
        # then two groups would count it, or none.
        self.decided.corrected += [
            replace(change.entry, space_id=change.space_id)
            for change in self.decided.changes
            if change.entry is not None and change.entry.space_id != change.space_id
        ]
        return self.decided

    def _candidate(self, candidate: Candidate) -> None:
        """Decide about an item that search says should get another status."""
        content_id, space_id, slug = candidate.content_id, candidate.space_id, candidate.slug
        entry = self.known.entries.get(content_id)
        change = Change(content_id, candidate.kind, space_id, slug, entry, candidate.seen)
        if entry is not None and entry.ahead(self.now):
            return
        if entry is None:
            # What has to become the default again has a stamp that the ledger does not know. A POST would be refused:
            # reading it first (1 or 2 points) gives its id and version, and the status that it comes from.
            unknown_stamp = slug == self.plan.terms.default and candidate.seen is None
            self.decided.changes.append(replace(change, read_first=unknown_stamp))
        elif entry.resting(self.now):
            # It refused the stamp: the ledger follows alone, and no call is spent before READ_ONLY_REST is over.
            if entry.slug != slug:
                moved_on = replace(entry, slug=slug, previous=entry.slug, changed_on=self.now)
                self.decided.corrected.append(replace(moved_on, space_id=space_id))
            elif entry.space_id != space_id:
                self.decided.corrected.append(replace(entry, space_id=space_id))
        elif entry.slug == slug and entry.property_id is not None:
            # The ledger says that this stamp was written. A young entry: search lags. An old one: somebody may have
            # removed the property, so it is read before it is written again.
            if not entry.fresh(self.now):
                self.decided.changes.append(replace(change, read_first=True))
        else:
            self.decided.changes.append(change)

    def _stamped(self, content: Content, slug: str) -> None:
        """Compare an item that is stamped with `slug`, and should be, with its ledger entry."""
        space_id = self.plan.space_of(content)
        entry = self.known.entries.get(content.id)
        if space_id is None:
            return
        if entry is not None and (entry.resting(self.now) or (entry.slug != slug and entry.fresh(self.now))):
            return
        seen = content.properties.get(self.plan.property_key)
        stamp = own_stamp(seen, content.id)
        if stamp is None:
            # A copy's stamp, or one that somebody broke: the item needs its own.
            change = Change(content.id, content.kind, space_id, slug, entry, seen, read_first=seen is None)
            self.decided.changes.append(change)
        elif entry is None or entry.slug != stamp.slug or entry.property_id is None:
            # Right in Confluence and unknown here: restored from the trash, moved in from another group, or written by
            # an attempt of this run that died before it could record it.
            item = (content.id, content.kind, space_id)
            self.decided.corrected.append(adopt(stamp, item, entry, self.now, trusting=self.known.trusting))
            default, began, since = self.plan.terms.default, self.known.began, self.reading.started
            self.decided.unrecorded[space_id] += unrecorded(stamp, entry, default, began, since)
        elif entry.space_id != space_id:
            self.decided.corrected.append(replace(entry, space_id=space_id))

    def _unmatched(self) -> list[LedgerEntry]:
        ids = sorted(self.reading.unmatched - self.reading.candidates.keys())
        entries = [self.known.entries[id] for id in ids if id in self.known.entries]
        # What moved on meanwhile belongs to another group, and what a person had refreshed is known better.
        return [
            entry
            for entry in entries
            if entry.space_id in self.plan.space_ids
            and entry.slug == self.plan.unstamped.get(entry.content_id)
            and not entry.ahead(self.now)
        ]
