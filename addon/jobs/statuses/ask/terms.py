"""A scheme's vocabulary: its entries, what each matches, and the slugs that stamps may have."""

from __future__ import annotations

from dataclasses import dataclass

from addon.confluence.cql import Piece, Pieces, TooManyPieces, failing, holding


@dataclass(frozen=True, slots=True)
class Pair:
    """A set of contents and a part of it: what meets all of `within`, and of that what meets `besides` as well.

    Asked for are the contents that are in the set and not in its part. An empty `besides` is met by nothing.
    """

    within: tuple[str, ...]
    besides: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a scheme but the last. `pieced`: its CQL is never asked as written, only in pieces (negation.py)."""

    slug: str
    cql: str | None
    ancestor_cql: str | None
    pieced: bool = False

    @property
    def holds(self) -> Pieces:
        """What its own CQL matches."""
        return _held_by(self.cql, self.pieced)

    @property
    def fails(self) -> Pieces:
        """What its own CQL does not match."""
        if self.cql is None:
            return (Piece(),)
        try:
            return failing(self.cql) if self.pieced and holding(self.cql) else (Piece(lacks=self.cql),)
        except TooManyPieces:
            return (Piece(lacks=self.cql),)

    @property
    def above(self) -> Pieces:
        """What its ancestor CQL matches."""
        return _held_by(self.ancestor_cql, self.pieced)


def _held_by(cql: str | None, pieced: bool) -> Pieces:
    if cql is None:
        return ()
    try:
        # What has too many pieces one way is asked as written both ways, so that the answers belong together.
        return holding(cql) if pieced and failing(cql) else (Piece(has=cql),)
    except TooManyPieces:
        return (Piece(has=cql),)


@dataclass(frozen=True, slots=True)
class Terms:
    """One scheme's vocabulary: its entries without the last, its default, and all slugs the tenant ever used."""

    alias: str
    entries: tuple[Entry, ...]
    default: str
    slugs: frozenset[str]
    spelt_not: bool = False
    """Whether a negation of ours is spelled NOT, on a site that reads only that as meant."""

    @property
    def pieced(self) -> bool:
        """Whether the entries' CQL is asked in pieces only."""
        return any(entry.pieced for entry in self.entries)

    @property
    def all_slugs(self) -> frozenset[str]:
        """Every slug that a stamp may have."""
        return self.slugs | {entry.slug for entry in self.entries} | {self.default}

    @property
    def others(self) -> list[str]:
        """Every slug that is not the default's, in a fixed order: what a content may have to leave."""
        return sorted(self.all_slugs - {self.default})

    @property
    def unused(self) -> list[str]:
        """The slugs that this scheme has not, in a fixed order."""
        return sorted(self.all_slugs - {entry.slug for entry in self.entries} - {self.default})

    def after(self, index: int) -> list[str]:
        """Return every slug that gives way to the entry's: those of later entries, the default's and the unused."""
        return sorted(self.all_slugs - {entry.slug for entry in self.entries[: index + 1]})

    def position(self, slug: str) -> int | None:
        """Return which entry has `slug`, None for the default's and those of other schemes."""
        return next((index for index, entry in enumerate(self.entries) if entry.slug == slug), None)
