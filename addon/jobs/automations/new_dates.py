"""Dates that people have only just set: for a removal they do not count yet.

Everyone who may edit a page can write its review property, by any program. So a date in it counts once it is a day old,
or at once when a person set it who may delete there anyway; before that an item goes only if the query matches whatever
the date is. The same is true of a status that dates lead to, also those of the pages above (docs/adr/0035).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from addon.confluence import Content, Kind, NotFound, Property, SiteClient
from addon.jobs.facts import Inspection, read_by, review_fields, status_fields
from addon.jobs.review import review_key
from addon.policies import StatusEntry

COUNTS_AFTER = timedelta(days=1)
"""How old a date must be to count whichever person set it."""
NEW = "its {} was set less than a day ago"
NEW_ABOVE = "the {} of a page above it was set less than a day ago"
UNDATED = "Confluence does not say when its {} was set"
UNDATED_ABOVE = "Confluence does not say when the {} of a page above it was set"
_NAMES = {"expirationdate": "expiration date", "reviewedon": "review date"}


@dataclass(frozen=True, slots=True)
class NewDates:
    """Keeps an automation from acting on items of one space that it finds by dates set just now.

    `entries`: those of the space's status scheme.
    """

    client: SiteClient
    namespace: str
    space_id: str
    entries: Sequence[StatusEntry]
    now: datetime
    _setters: dict[tuple[str, Kind], bool] = field(default_factory=dict)
    _above: dict[str, Property | None] = field(default_factory=dict)

    def reason(
        self, cql: str, content: Content, ancestors: Sequence[str], review: Property | None, inspection: Inspection
    ) -> str | None:
        """Return why an item that matches is skipped, None where no date set just now has to do with it.

        `review`: its review property, `inspection`: what is known of it. Costs nothing where the property is old
        enough; else up to 5 points and the space's permissions for each person who set one, and where statuses
        depend on dates of pages above, 1 or 2 for each of these. Raises SiteError as the calls do.
        """
        # A date is taken out of what is known, and the query asked again: if it holds all the same, the date decided
        # nothing, and setting it removed nothing. A status follows from dates where an entry
        # of the scheme reads them, so then it is taken out as well. Pages above come last, because they cost points.
        dates, by_status = review_fields(self.namespace), status_fields(self.namespace)
        entries = self.entries if read_by(cql, by_status) else ()
        led = self._read(entry.cql for entry in entries)
        read = read_by(cql, dates) | led
        if read and not inspection.without({*dates, *(by_status if led else ())}).proves(cql):
            words = self._words(review, content.kind, NEW, UNDATED)
            if words is not None:
                return words.format(_name(read))
        led = self._read(entry.ancestor_cql for entry in entries)
        if led and not inspection.without(by_status).proves(cql):
            words = self._words_above(ancestors)
            if words is not None:
                return words.format(_name(led))
        return None

    def _read(self, queries: Iterable[str | None]) -> set[str]:
        """Return the dates that any of the queries reads."""
        dates = review_fields(self.namespace)
        return {date for cql in queries if cql is not None for date in read_by(cql, dates)}

    def _words(self, review: Property | None, kind: Kind, new: str, undated: str) -> str | None:
        """Return what to say of dates that do not count yet; None where they do, or there are none."""
        if review is None:
            return None
        if review.written_at is not None and self.now - review.written_at >= COUNTS_AFTER:
            return None
        if review.author_id is not None and self._may_delete(review.author_id, kind):
            return None
        return undated if review.written_at is None else new

    def _words_above(self, ancestors: Sequence[str]) -> str | None:
        found = (self._words(self._review_above(id), "page", NEW_ABOVE, UNDATED_ABOVE) for id in reversed(ancestors))
        return next(filter(None, found), None)

    def _review_above(self, page_id: str) -> Property | None:
        """Return the review property of a page above; what cannot be read (a draft, a folder) has no dates."""
        if page_id not in self._above:
            try:
                found = self.client.property("page", page_id, review_key(self.namespace))
            except NotFound:
                found = None
            self._above[page_id] = found
        return self._above[page_id]

    def _may_delete(self, account_id: str, kind: Kind) -> bool:
        asked = (account_id, kind)
        if asked not in self._setters:
            self._setters[asked] = self.client.may_delete(account_id, kind, self.space_id)
        return self._setters[asked]


def _name(dates: set[str]) -> str:
    return _NAMES["expirationdate" if "expirationdate" in dates else "reviewedon"]
