"""The guards: everything that keeps an automation from acting on an item, each with the reason people read.

Each match is read again by id right before anything happens; search alone decides nothing
(docs/rules/confluence-api.md 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from addon.base import Space
from addon.confluence import Content, NotFound, SiteClient
from addon.jobs.automations.matches import Match
from addon.jobs.automations.new_dates import NewDates
from addon.jobs.facts import Inspection, uses_statuses
from addon.jobs.ledger import LAG, LedgerEntry
from addon.jobs.review import review_key

BLOG_POST = "blog posts cannot be archived"
FREE_EDITION = "archiving is not available in the Free edition"
GONE = "no longer current, or not visible to the app"
MOVED = "moved to another space"
EDITED = "edited since it was found"
HOME = "home page of the space"
NOT_REFRESHED = "its status was never refreshed here; refresh the content statuses first"
UPDATED_SINCE = "updated since the last refresh of the content statuses"
NOT_CONFIRMED = "does not match any more, by the item itself and the status ledger"
KEPT = "marked to be kept"
CHILDREN = "has children"
RESTRICTED = "would expose restricted children"
AUTOMATION_CAP = "over the limit of {} items per automation and execution"
EXECUTION_CAP = "over the limit of {} items per execution"


@dataclass(frozen=True, slots=True)
class Guards:
    """The guards of one space, with what they need to know.

    `names`: status names by slug. `ledger`: entries by content id. `refreshed_at`: start of the last refresh that
    ended well for this space, None without any. `now`: the time in the site's zone. `dates`: the guard against dates
    set just now. `gone`: ids of what a dry run takes for archived or trashed already.
    """

    client: SiteClient
    namespace: str
    space: Space
    names: Mapping[str, str]
    ledger: Mapping[str, LedgerEntry]
    refreshed_at: datetime | None
    now: datetime
    dates: NewDates
    gone: frozenset[str] = frozenset()

    def check_snapshot(self, match: Match, content: Content | None) -> str | None:
        """Return why a match is skipped, going by `content`, the item as just read by id; None to look closer.

        Needs no call.
        """
        if content is None:
            return GONE
        if content.space_id != self.space.id:
            return MOVED
        if content.id == self.space.homepage_id:
            return HOME
        seen = match.content
        if None not in (seen.version, content.version) and seen.version != content.version:
            return EDITED
        if uses_statuses(match.automation.cql, self.namespace):
            if self.refreshed_at is None:
                return NOT_REFRESHED
            # The ledger knows the item as search showed it to that refresh. LAG is how far search may be behind, so an
            # update in the last minutes before the refresh may be missing in it. The cost: such an item waits for the
            # next refresh.
            if content.updated_at is None or content.updated_at > self.refreshed_at - LAG:
                return UPDATED_SINCE
        return None

    def check_live(self, match: Match, content: Content) -> str | None:
        """Return why a match is skipped once its review property and its place in the tree are read, None to act on it.

        Belongs to a call thread. Costs 2 points, more for pages with children and dates set just now. Raises SiteError
        as the calls do.
        """
        try:
            found = self.client.property(content.kind, content.id, review_key(self.namespace))
            review = found.value if found is not None and isinstance(found.value, Mapping) else {}
            if review.get("keep") is True:
                return KEPT
            cql = match.automation.cql
            entry = self.ledger.get(content.id)
            inspection = Inspection.of(self.namespace, content, entry, self.names, review, self.now)
            if not inspection.confirms(cql):
                return NOT_CONFIRMED
            new = self.dates.reason(cql, content, match.content.ancestors, found, inspection)
            if new is not None:
                return new
            return self._children(content.id) if content.kind == "page" else None
        except NotFound:
            return GONE

    def _children(self, page_id: str) -> str | None:
        """Return why a page with current children is skipped; None for one without.

        With whole subtrees the children that match have gone before, so those that are left stay.
        """
        if not self.client.has_children(page_id):
            return None
        if self.gone:
            below = {child.id for child in self.client.search(f"type in (page, blogpost) and parent = {page_id}")}
            if below and below <= self.gone:
                return None
        # Its children move up (docs/rules/confluence-api.md 2.4), out of what restricts them here.
        if self.client.read_restricted(page_id):
            return RESTRICTED
        return RESTRICTED if any(map(self._restricted_above, reversed(self.client.ancestors(page_id)))) else CHILDREN

    def _restricted_above(self, page_id: str) -> bool:
        """Return whether an ancestor restricts who may view; one that cannot be read (a draft, a folder) does not."""
        try:
            return self.client.read_restricted(page_id)
        except NotFound:
            return False
