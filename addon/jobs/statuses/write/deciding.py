"""What is to be done about what search found, given what the ledger knows? Pure: no calls, no database.

Search is an index that lags. Where it disagrees with a young ledger entry it is believed to lag and nothing is
written; where it disagrees with an old one, the property itself is read before anything is decided. What a person's own
refresh found is ahead of search: it was decided by what the review says, not by what is indexed of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from addon.confluence import Content, Kind
from addon.jobs.ledger import LedgerEntry
from addon.jobs.statuses.ask.reading import Candidate, Plan, Reading
from addon.jobs.statuses.write.stamp import own_stamp
from addon.jobs.statuses.write.stamping import Change, adopt, unrecorded


@dataclass(slots=True)
class Decided:
    """What follows from one reading.

    `changes` need calls. `rows` correct the ledger only. `missing` are entries whose stamp search no longer shows:
    trashed, archived, moved or hidden contents, to be looked up by id; so are the `absent`, which no entry matches.
    `forgotten` are ids of entries without a stamp that are right no more: they match nothing. `unrecorded` says by
    space how many statuses an earlier attempt of the run changed without recording it.
    """

    changes: list[Change] = field(default_factory=list)
    rows: list[LedgerEntry] = field(default_factory=list)
    missing: list[LedgerEntry] = field(default_factory=list)
    absent: list[LedgerEntry] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    unrecorded: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds about a reading.

    `rows`: of all contents the reading names; `settled`: slug -> entries that search must show, for the slugs that
    were listed; `bare`: ids of entries without a stamp that the queries would have found; `trusting`, `began`: see
    Stamper.
    """

    rows: Mapping[str, LedgerEntry]
    settled: Mapping[str, Mapping[str, LedgerEntry]]
    began: datetime
    trusting: bool = False
    bare: Sequence[str] = ()


def decide(plan: Plan, reading: Reading, known: Known, now: datetime) -> Decided:
    """Return what to do about one group's reading."""
    decided = Decided()
    for candidate in reading.candidates.values():
        _candidate(plan, candidate, known.rows.get(candidate.content_id), now, decided)
    for slug, contents in reading.listed.items():
        for content in contents.values():
            if content.id not in reading.candidates:
                _stamped(plan, slug, content, known, now, decided, reading.started)
    for slug, rows in known.settled.items():
        shown = reading.listed[slug]
        decided.missing += [row for id, row in rows.items() if id not in shown and id not in reading.candidates]
    absent = [known.rows[id] for id in sorted(reading.absent - reading.candidates.keys()) if id in known.rows]
    # What moved on meanwhile is another group's, and what was refreshed alone is known better.
    decided.absent = [
        row
        for row in absent
        if row.space_id in plan.space_ids and row.slug == plan.held.get(row.content_id) and not row.ahead(now)
    ]
    seen = {content_id for contents in reading.listed.values() for content_id in contents}
    decided.forgotten = [id for id in known.bare if id not in reading.candidates and id not in seen | reading.absent]
    # A content that moved is counted where it is now, also before its new stamp is written.
    decided.rows += [
        replace(change.row, space_id=change.space_id)
        for change in decided.changes
        if change.row is not None and change.row.space_id != change.space_id
    ]
    return decided


def _candidate(plan: Plan, candidate: Candidate, row: LedgerEntry | None, now: datetime, decided: Decided) -> None:
    change = Change(
        candidate.content_id, _kind(candidate.kind), candidate.space_id, candidate.slug, row, candidate.seen
    )
    if row is not None and row.ahead(now):
        return
    if row is None:
        leaving = candidate.slug == plan.terms.default and candidate.seen is None
        decided.changes.append(replace(change, look=leaving))
    elif row.resting(now):
        if row.slug != candidate.slug:
            moved = replace(row, slug=candidate.slug, previous=row.slug, changed_on=now)
            decided.rows.append(replace(moved, space_id=candidate.space_id))
        elif row.space_id != candidate.space_id:
            decided.rows.append(replace(row, space_id=candidate.space_id))
    elif row.slug == candidate.slug and row.property_id is not None:
        if not row.fresh(now):
            decided.changes.append(replace(change, look=True))
    else:
        decided.changes.append(change)


def _stamped(
    plan: Plan, slug: str, content: Content, known: Known, now: datetime, decided: Decided, since: datetime
) -> None:
    """Compare a content that is stamped and should be with its ledger entry."""
    space_id = plan.place(content)
    row = known.rows.get(content.id)
    if space_id is None:
        return
    if row is not None and (row.resting(now) or (row.slug != slug and row.fresh(now))):
        return
    seen = content.properties.get(plan.property_key)
    stamp = own_stamp(seen, content.id)
    if stamp is None:
        decided.changes.append(Change(content.id, content.kind, space_id, slug, row, seen, look=seen is None))
    elif row is None or row.slug != stamp.slug or row.property_id is None:
        place = (content.id, content.kind, space_id)
        decided.rows.append(adopt(stamp, place, row, now, trusting=known.trusting))
        decided.unrecorded[space_id] += unrecorded(stamp, row, plan.terms.default, known.began, since)
    elif row.space_id != space_id:
        decided.rows.append(replace(row, space_id=space_id))


def _kind(kind: str) -> Kind:
    return "blogpost" if kind == "blogpost" else "page"
