"""A weekly look for every stamp by its id, so that stamps which went and came in equal numbers are noticed.

A refresh gives every item its status; but of the stamps that need no change it compares numbers only, so a stamped
page that went to the trash and a copy that came with its stamp balance each other in the ledger's counts. Once a day
the stamps of some spaces are looked for by id and space, some hundred for a point, so that each has its turn within a
week. What is not found is looked up and corrected in the ledger; then the numbers differ, and the next refresh finds
what came instead (docs/adr/0012).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from addon.base import within
from addon.confluence import SiteClient
from addon.confluence.cql import CONTENT, all_of, any_of, encoded_length, quote
from addon.engine import queries
from addon.engine.job import Run
from addon.jobs import ledger, site_facts
from addon.jobs.counting import Counting, chunked, ids_in
from addon.jobs.faults import SITE_FAULTS, reason_of
from addon.jobs.ledger import LedgerEntry
from addon.jobs.statuses.ask.clauses import URL_BYTES
from addon.jobs.statuses.stamp import Stamp, own_stamp
from addon.jobs.statuses.write.missing import look_up
from addon.jobs.statuses.write.stamping import adopt

DAY = timedelta(hours=23)
"""Four runs a day: the first that is so long after the last sweep sweeps."""
DAYS = 7
"""In so many sweeps every space has its turn."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The sweep of one run over the whole site. Best effort: what fails is tried again at its space's next turn."""

    run: Run
    client: SiteClient
    counting: Counting
    alias: str
    key: str

    def sweep(self) -> None:
        """Look for the stamps of some spaces, if it is time, and let the ledger forget or follow what is not found.

        Raises Pause, Abandon, Fatal, Interrupted and CancelRequested.
        """
        now = self.run.clock.now()
        with self.run.read() as session:
            known = site_facts.load(session)
            if known.swept_at is not None and within(DAY, known.swept_at, now):
                return
            spaces = self._spaces_done()
            sizes = {id: number for id, number in ledger.stamps_by_space(session).items() if id in spaces}
            # What the first run has just written needs no look.
            turn = _turn(sizes, known.swept_to) if known.swept_at is not None else []
            entries = ledger.searchable_in(session, turn, now)
        for cql, asked in _queries(self.alias, entries, spaces):
            self._compare(cql, asked)
        ended = not turn or turn[-1] == max(sizes)
        with self.run.write() as session:
            site_facts.save(session, self.run.tenant_id, swept_at=now, swept_to=None if ended else turn[-1])

    def _spaces_done(self) -> dict[str, str]:
        with self.run.read() as session:
            return queries.spaces_done(session, self.run.execution_id)

    def _compare(self, cql: str, entries: Sequence[LedgerEntry]) -> None:
        try:
            if self.counting.count(cql) == len(entries):
                return
            shown = {content.id for content in self.client.search(cql)}
        except SITE_FAULTS as error:
            reason_of(error)
            return
        found = look_up(self.run, self.client, [entry for entry in entries if entry.content_id not in shown])
        rights: list[LedgerEntry] = []
        lost: list[str] = []
        for entry, seen in self.run.map(self._stamp_of, found.here):
            if isinstance(seen, Exception):
                reason_of(seen)
                continue
            # The refresh before this sweep found its status right. So the stamp that is there now is right too, and
            # an item without one has the default: no query found it.
            if seen is None:
                lost.append(entry.content_id)
            else:
                item = (entry.content_id, entry.kind, entry.space_id)
                rights.append(adopt(seen, item, entry, self.run.clock.now(), trusting=False))
        with self.run.write() as session:
            ledger.save(session, self.run.tenant_id, [*found.moved, *rights])
            ledger.drop(session, [*found.gone, *lost])

    def _stamp_of(self, entry: LedgerEntry) -> Stamp | None:
        return own_stamp(self.client.property(entry.kind, entry.content_id, self.key), entry.content_id)


def _turn(sizes: Mapping[str, int], after: str | None) -> list[str]:
    """Return the spaces whose turn it is: the next after the last one, with a seventh of all stamps."""
    turn: list[str] = []
    taken = 0
    for space_id in sorted(sizes):
        if after is not None and space_id <= after:
            continue
        if turn and taken * DAYS >= sum(sizes.values()):
            break
        turn.append(space_id)
        taken += sizes[space_id]
    return turn


def _queries(
    alias: str, entries: Sequence[LedgerEntry], keys: Mapping[str, str]
) -> Iterator[tuple[str, list[LedgerEntry]]]:
    """Yield questions that find exactly the items of `entries`, each with its part of them."""
    parts: list[str] = []
    asked: list[LedgerEntry] = []
    for (space_id, slug), own in groupby(entries, lambda entry: (entry.space_id, entry.slug)):
        by_id = {entry.content_id: entry for entry in own}
        where = [f"space = {quote(keys[space_id])}", f"{alias} = {quote(slug)}"]
        for chunk in chunked(by_id, URL_BYTES - encoded_length(_query([all_of(*where, ids_in(()))]))):
            part = all_of(*where, ids_in(chunk))
            if parts and encoded_length(_query([*parts, part])) > URL_BYTES:
                yield _query(parts), asked
                parts, asked = [], []
            parts.append(part)
            asked += [by_id[content_id] for content_id in chunk]
    if parts:
        yield _query(parts), asked


def _query(parts: Sequence[str]) -> str:
    return all_of(CONTENT, any_of(*parts))
