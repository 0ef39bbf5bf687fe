"""The items that search no longer shows as the ledger does, looked up by id before the ledger forgets them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from addon.base import chunks
from addon.confluence import Content, Kind, SiteClient
from addon.engine.job import Run
from addon.jobs import ledger
from addon.jobs.faults import SITE_FAULTS, reason_of
from addon.jobs.ledger import LedgerEntry
from addon.jobs.spaces import absent

LOOK_UP = 250
"""Ids one look-up may name (docs/rules/confluence-api.md 2.1)."""
KINDS: tuple[Kind, ...] = ("page", "blogpost")


@dataclass(slots=True)
class LookedUp:
    """What became of the items of some entries.

    `moved`: entries with their items' present space. `here`: entries whose item is where it was. `gone`: content ids
    that are not current any more.
    """

    moved: list[LedgerEntry] = field(default_factory=list)
    here: list[LedgerEntry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def look_up(run: Run, client: SiteClient, entries: Sequence[LedgerEntry]) -> LookedUp:
    """Look the items up by id, 250 a call.

    An item that cannot be looked up now keeps its entry. Raises Pause, Abandon or Fatal as calls do.
    """
    found = LookedUp()
    asked: list[tuple[Kind, list[LedgerEntry]]] = []
    for kind in KINDS:
        own = [entry for entry in entries if entry.kind == kind]
        asked += [(kind, some) for some in chunks(own, LOOK_UP)]

    def ask(chunk: tuple[Kind, list[LedgerEntry]]) -> list[Content]:
        return client.contents(chunk[0], [entry.content_id for entry in chunk[1]])

    for (_, own), contents in run.map(ask, asked):
        if isinstance(contents, Exception):
            reason_of(contents)
            continue
        spaces = {content.id: content.space_id for content in contents}
        for entry in own:
            space_id = spaces.get(entry.content_id)
            if space_id is None:
                found.gone.append(entry.content_id)
            elif space_id == entry.space_id:
                found.here.append(entry)
            else:
                found.moved.append(replace(entry, space_id=space_id))
    return found


def emptied_spaces(run: Run, client: SiteClient, content_ids: Sequence[str]) -> dict[str, str]:
    """Return {space id: reason} of the spaces that went with these items.

    Asked are those of which the ledger knows nothing else. A site that does not answer now counts as one that shows
    them. Raises Pause, Abandon or Fatal as calls do.
    """
    with run.read() as session:
        lost = Counter(entry.space_id for entry in ledger.load(session, content_ids).values())
        known = ledger.entries_by_space(session, list(lost))
    emptied = [space_id for space_id, number in lost.items() if number == known[space_id]]
    try:
        return absent(client, emptied)
    except SITE_FAULTS as error:
        reason_of(error)
        return {}
