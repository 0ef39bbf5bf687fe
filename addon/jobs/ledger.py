"""The ledger: the status of each item as far as the add-on knows. It is the truth, the stamp in Confluence its copy.

Items without an entry have the default of their space's scheme. All functions work in the caller's transaction; those
that write are called inside `run.write()` only, or where a person's own refresh is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from addon.base import TenantId, chunks, insert, within, write_piecemeal
from addon.confluence import Kind
from addon.jobs.models import ContentStamp

LAG = timedelta(minutes=15)
"""How long search may disagree with what we wrote."""
READ_ONLY_REST = timedelta(days=7)
"""How long an item that refused our stamp is left alone."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One item's entry. `property_id` is None while the item refuses the stamp."""

    content_id: str
    kind: Kind
    space_id: str
    slug: str
    previous: str | None
    changed_on: datetime
    property_id: str | None
    property_version: int | None
    written_at: datetime
    read_only_since: datetime | None = None
    single: bool = False
    """Whether a person's own refresh of this item wrote it, and no run since."""

    def ahead(self, now: datetime) -> bool:
        """Return whether the entry knows more than search: a person has just had it refreshed."""
        return self.single and self.fresh(now)

    def fresh(self, now: datetime) -> bool:
        """Return whether search may not know this entry yet."""
        return within(LAG, self.written_at, now)

    def resting(self, now: datetime) -> bool:
        """Return whether the item refused the stamp too recently to be asked again."""
        return self.read_only_since is not None and within(READ_ONLY_REST, self.read_only_since, now)


@dataclass(frozen=True, slots=True)
class Expected:
    """How many stamps of one slug search should find in some spaces, and how many it may still miss or show too many.

    `arriving` have been written and `leaving` rewritten to something else less than LAG ago.
    """

    stamped: int = 0
    arriving: int = 0
    leaving: int = 0

    def explains(self, found: int) -> bool:
        """Return whether `found` needs no closer look."""
        return self.stamped - self.arriving <= found <= self.stamped + self.leaving


def load(session: Session, content_ids: Iterable[str]) -> dict[str, LedgerEntry]:
    """Return the entries of these items by id."""
    found: dict[str, LedgerEntry] = {}
    for ids in chunks(list(content_ids), _CHUNK):
        found |= _entries(session, ContentStamp.content_id.in_(ids))
    return found


def lock(session: Session, tenant_id: TenantId, content_id: str) -> LedgerEntry | None:
    """Return one item's entry and keep others from writing it until the transaction ends.

    On SQLite, where a writer is alone anyhow, nothing is locked.
    """
    stamp = session.get(ContentStamp, (tenant_id, content_id), with_for_update=True, populate_existing=True)
    return None if stamp is None else _entry(stamp)


def _near(span: timedelta, column: InstrumentedAttribute[Any], now: datetime) -> sa.ColumnElement[bool]:
    """Say of a column what `within` says of a time."""
    return sa.and_(column > now - span, column < now + span)


def resting(session: Session, now: datetime) -> dict[str, dict[str, str]]:
    """Return {space id: {content id: slug}} of the items that refused the stamp too recently to be asked again."""
    return _slugs_by_space(session, _near(READ_ONLY_REST, ContentStamp.read_only_since, now))


def answered_for(session: Session, now: datetime, space_ids: Sequence[str] | None = None) -> dict[str, dict[str, str]]:
    """Return {space id: {content id: slug}} of all items, or of those in some spaces whose stamp needs no writing.

    These have been stamped, or refused it too recently; the others of such a space are to be found again.
    """
    if space_ids is None:
        return _slugs_by_space(session, sa.true())
    written = sa.or_(ContentStamp.property_id.is_not(None), _near(READ_ONLY_REST, ContentStamp.read_only_since, now))
    return _slugs_by_space(session, ContentStamp.space_id.in_(space_ids), written)


def bare(session: Session, space_ids: Sequence[str], now: datetime) -> list[str]:
    """Return the ids of items in these spaces that have no stamp and that no query leaves out.

    They refused it long enough ago, or have their status from a time without stamps: a refresh finds them, or they are
    like all items that never had one.
    """
    refused = ContentStamp.read_only_since
    rested = sa.or_(refused.is_(None), sa.not_(_near(READ_ONLY_REST, refused, now)))
    known = sa.or_(sa.not_(ContentStamp.single), sa.not_(_near(LAG, ContentStamp.written_at, now)))
    query = sa.select(ContentStamp.content_id).where(ContentStamp.property_id.is_(None), rested, known)
    return list(session.scalars(query.where(ContentStamp.space_id.in_(space_ids))))


def stamps_by_space(session: Session) -> dict[str, int]:
    """Return {space id: items that have a stamp}."""
    query = sa.select(ContentStamp.space_id, sa.func.count()).where(ContentStamp.property_id.is_not(None))
    return dict(session.execute(query.group_by(ContentStamp.space_id)).all())


def searchable_in(session: Session, space_ids: Sequence[str], now: datetime) -> list[LedgerEntry]:
    """Return the entries of these spaces whose stamp search must know by now, by space and slug."""
    query = sa.select(ContentStamp).where(
        ContentStamp.space_id.in_(space_ids),
        ContentStamp.property_id.is_not(None),
        sa.not_(_near(LAG, ContentStamp.written_at, now)),
    )
    ordered = query.order_by(ContentStamp.space_id, ContentStamp.slug, ContentStamp.content_id)
    return [_entry(stamp) for stamp in session.scalars(ordered)]


def retry_read_only(session: Session, space_id: str, at: datetime) -> None:
    """Let what refused the stamp in a space before a moment be asked again: the space's permissions changed then."""
    session.execute(
        sa.update(ContentStamp)
        .where(
            ContentStamp.space_id == space_id,
            ContentStamp.read_only_since <= at,
            ContentStamp.read_only_since > at - READ_ONLY_REST,
        )
        .values(read_only_since=at - READ_ONLY_REST)
    )


def searchable(session: Session, space_ids: Sequence[str], slug: str, now: datetime) -> dict[str, LedgerEntry]:
    """Return the stamped entries of one slug that search must know by now."""
    return _entries(
        session,
        ContentStamp.space_id.in_(space_ids),
        ContentStamp.slug == slug,
        ContentStamp.property_id.is_not(None),
        sa.not_(_near(LAG, ContentStamp.written_at, now)),
    )


def entries_of(session: Session, space_ids: Iterable[str], *, limit: int) -> list[LedgerEntry]:
    """Return up to `limit` entries of these spaces, in the order of their content ids."""
    query = sa.select(ContentStamp).where(ContentStamp.space_id.in_(list(space_ids)))
    return [_entry(stamp) for stamp in session.scalars(query.order_by(ContentStamp.content_id).limit(limit))]


def empty_before(session: Session, before: datetime) -> bool:
    """Return whether the ledger knew nothing before a moment: a new installation, or one that began again."""
    return session.scalar(sa.select(ContentStamp.content_id).where(ContentStamp.written_at < before).limit(1)) is None


def spaces_known(session: Session) -> list[str]:
    """Return the ids of all spaces that have entries."""
    return list(session.scalars(sa.select(ContentStamp.space_id).distinct()))


def expectations(
    session: Session, space_ids: Sequence[str], slugs: Sequence[str], now: datetime
) -> dict[str, Expected]:
    """Return what search should find for each slug in these spaces."""
    young = _near(LAG, ContentStamp.written_at, now)
    here = (ContentStamp.space_id.in_(space_ids), ContentStamp.property_id.is_not(None))

    def counts(column: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]) -> dict[str, int]:
        query = sa.select(column, sa.func.count()).select_from(ContentStamp).where(*here, *conditions).group_by(column)
        return dict(session.execute(query).all())

    stamped = counts(ContentStamp.slug.expression)
    arriving = counts(ContentStamp.slug.expression, young)
    leaving = counts(ContentStamp.previous.expression, young)
    return {slug: Expected(stamped.get(slug, 0), arriving.get(slug, 0), leaving.get(slug, 0)) for slug in slugs}


def counts_by_space(session: Session, space_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return {space id: {slug: items}} for these spaces; items without an entry are not in it."""
    query = (
        sa.select(ContentStamp.space_id, ContentStamp.slug, sa.func.count())
        .where(ContentStamp.space_id.in_(space_ids))
        .group_by(ContentStamp.space_id, ContentStamp.slug)
    )
    found: dict[str, dict[str, int]] = {}
    for space_id, slug, number in session.execute(query):
        found.setdefault(space_id, {})[slug] = number
    return found


def entries_by_space(session: Session, space_ids: Sequence[str]) -> dict[str, int]:
    """Return {space id: number of entries} for these spaces."""
    query = sa.select(ContentStamp.space_id, sa.func.count()).where(ContentStamp.space_id.in_(space_ids))
    return dict(session.execute(query.group_by(ContentStamp.space_id)).all())


def read_only_by_space(session: Session, space_ids: Sequence[str]) -> dict[str, int]:
    """Return {space id: items that are read-only for the app}."""
    query = (
        sa.select(ContentStamp.space_id, sa.func.count())
        .where(ContentStamp.space_id.in_(space_ids), ContentStamp.read_only_since.is_not(None))
        .group_by(ContentStamp.space_id)
    )
    return dict(session.execute(query).all())


def slugs_of(session: Session, content_ids: Iterable[str]) -> Mapping[str, str]:
    """Return {content id: slug} for the items that have an entry."""
    return {id: row.slug for id, row in load(session, content_ids).items()}


def save(
    session: Session, tenant_id: TenantId, rows: Sequence[LedgerEntry], *, since: datetime | None = None
) -> list[LedgerEntry]:
    """Insert or replace entries, but not those that people's own refreshes wrote after `since`.

    Of two entries for the same property the later version wins. Returns the entries that the database refuses, which
    cost no other entry its place.
    """
    statement = insert(session, ContentStamp)
    columns = [column.name for column in ContentStamp.__table__.columns if not column.primary_key]
    later = sa.and_(
        ContentStamp.property_id == statement.excluded.property_id,
        ContentStamp.property_version < statement.excluded.property_version,
    )
    statement = statement.on_conflict_do_update(
        index_elements=["tenant_id", "content_id"],
        set_={name: statement.excluded[name] for name in columns},
        where=None if since is None else sa.or_(sa.not_(_single_after(since)), later),
    )

    def write(some: Sequence[LedgerEntry]) -> None:
        session.execute(statement, [asdict(row) | {"tenant_id": tenant_id} for row in some])

    return write_piecemeal(session, rows, write)


def drop(session: Session, content_ids: Sequence[str], *, since: datetime | None = None) -> None:
    """Delete entries, but not those that people's own refreshes wrote after `since`."""
    kept = () if since is None else (sa.not_(_single_after(since)),)
    for ids in chunks(content_ids, _CHUNK):
        session.execute(sa.delete(ContentStamp).where(ContentStamp.content_id.in_(ids), *kept))


def _single_after(since: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(ContentStamp.single, ContentStamp.written_at > since)


def _slugs_by_space(session: Session, *conditions: sa.ColumnElement[bool]) -> dict[str, dict[str, str]]:
    query = sa.select(ContentStamp.space_id, ContentStamp.content_id, ContentStamp.slug).where(*conditions)
    found: dict[str, dict[str, str]] = {}
    for space_id, content_id, slug in session.execute(query.order_by(ContentStamp.content_id)):
        found.setdefault(space_id, {})[content_id] = slug
    return found


def _entries(session: Session, *conditions: sa.ColumnElement[bool]) -> dict[str, LedgerEntry]:
    return {stamp.content_id: _entry(stamp) for stamp in session.scalars(sa.select(ContentStamp).where(*conditions))}


def _entry(stamp: ContentStamp) -> LedgerEntry:
    return LedgerEntry(
        content_id=stamp.content_id,
        kind=cast(Kind, stamp.kind),
        space_id=stamp.space_id,
        slug=stamp.slug,
        previous=stamp.previous,
        changed_on=stamp.changed_on,
        property_id=stamp.property_id,
        property_version=stamp.property_version,
        written_at=stamp.written_at,
        read_only_since=stamp.read_only_since,
        single=stamp.single,
    )
