"""The stamps left in spaces that are excluded now, removed after a run over the whole site.

Best effort: a stamp that cannot be removed now stays in the ledger and is tried again by the next run.
"""

from __future__ import annotations

from addon.base import get_logger
from addon.confluence import NotFound, SiteClient
from addon.engine import queries
from addon.engine.job import Run
from addon.jobs import ledger
from addon.jobs.context import JobContext
from addon.jobs.faults import reason_of
from addon.jobs.ledger import LedgerEntry
from addon.jobs.spaces import with_labels

log = get_logger(__name__)

_BATCH = 100


def clear_excluded(context: JobContext, run: Run, client: SiteClient, key: str, *, stamps: bool) -> None:
    """Delete the status properties left in excluded spaces, and the entries of spaces the site does not show.

    Costs nothing when the ledger knows no content outside the run's spaces. Without `stamps` an entry that has none
    is forgotten without a look.
    """
    with run.read() as session:
        listed = queries.spaces_taking_part(session, run.execution_id)
        unlisted = [space_id for space_id in ledger.spaces_known(session) if space_id not in listed]
    if not unlisted:
        return
    live = context.live_policy(run)
    shown = {space.id: space for space in client.spaces(ids=unlisted)}
    standing = with_labels(client, list(shown.values()), live)
    excluded = [space.id for space in standing if live.exclusion(space) is not None]
    vanished = [id for id in unlisted if id not in shown]
    _forget(run, vanished)
    _remove_stamps(run, client, key, excluded, stamps=stamps)


def _forget(run: Run, space_ids: list[str]) -> None:
    while space_ids:
        with run.read() as session:
            entries = ledger.entries_of(session, space_ids, limit=_BATCH)
        if not entries:
            return
        with run.write() as session:
            ledger.drop(session, [entry.content_id for entry in entries])


def _remove_stamps(run: Run, client: SiteClient, key: str, space_ids: list[str], *, stamps: bool) -> None:
    def remove(entry: LedgerEntry) -> bool:
        if entry.property_id is None and not stamps:
            return True
        try:
            found = client.property(entry.kind, entry.content_id, key)
            if found is not None:
                client.delete_property(entry.kind, entry.content_id, found.id)
        except NotFound:
            log.info(
                "a stamp in an excluded space is hidden from the app or gone",
                action="excluded_stamp_gone",
                content=entry.content_id,
            )
        return True

    while space_ids:
        with run.read() as session:
            entries = ledger.entries_of(session, space_ids, limit=_BATCH)
        removed: list[str] = []
        for entry, outcome in run.map(remove, entries):
            if isinstance(outcome, Exception):
                log.warning(
                    "a stamp in an excluded space stays for now",
                    action="excluded_stamp_kept",
                    content=entry.content_id,
                    reason=reason_of(outcome).text,
                )
                continue
            removed.append(entry.content_id)
        with run.write() as session:
            ledger.drop(session, removed)
        run.safe_point()
        if not removed:
            return
