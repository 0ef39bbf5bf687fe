"""Where are the contents that search no longer shows as the ledger does? Looked up by id before it forgets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from addon.confluence import Content, Kind, SiteClient
from addon.engine.job import Run
from addon.jobs.faults import reason_of
from addon.jobs.ledger import LedgerEntry

LOOK_UP = 250
"""Ids one look-up may name (docs/rules/confluence-api.md 2.1)."""


@dataclass(slots=True)
class Found:
    """`moved`: entries with their contents' present space. `here`: entries whose content is where it was.

    `gone`: content ids that are not current any more.
    """

    moved: list[LedgerEntry] = field(default_factory=list)
    here: list[LedgerEntry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def find_missing(run: Run, client: SiteClient, rows: Sequence[LedgerEntry]) -> Found:
    """Look the contents up by id, 250 a call.

    A content that cannot be looked up now keeps its entry. Raises Pause, Abandon or Fatal as calls do.
    """
    found = Found()
    chunks: list[tuple[Kind, list[LedgerEntry]]] = []
    kinds: tuple[Kind, ...] = ("page", "blogpost")
    for kind in kinds:
        own = [row for row in rows if row.kind == kind]
        chunks += [(kind, own[start : start + LOOK_UP]) for start in range(0, len(own), LOOK_UP)]

    def look(chunk: tuple[Kind, list[LedgerEntry]]) -> list[Content]:
        return client.contents(chunk[0], [row.content_id for row in chunk[1]])

    for (_, own), contents in run.map(look, chunks):
        if isinstance(contents, Exception):
            reason_of(contents)
            continue
        spaces = {content.id: content.space_id for content in contents}
        for row in own:
            space_id = spaces.get(row.content_id)
            if space_id is None:
                found.gone.append(row.content_id)
            elif space_id == row.space_id:
                found.here.append(row)
            else:
                found.moved.append(replace(row, space_id=space_id))
    return found


def kind_of(row: LedgerEntry) -> Kind:
    """Return what the row's content is."""
    return "blogpost" if row.kind == "blogpost" else "page"
