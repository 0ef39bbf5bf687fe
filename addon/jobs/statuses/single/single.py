"""One item looked at, reviewed and refreshed, as a person asks for it.

What it costs, in points: to find the item 2 (a blog post 3), its space 2, its review 1 or 2, and 1 or 2 for each query
of its scheme that depends on more than the review; ancestor queries the page's ancestors and 1 or 2 more. A refresh
adds 1 or 2 to read the stamp, and 1 to write it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from addon.base import Clock, Database, Space, TenantId, get_logger
from addon.confluence import Conflict, Confluence, Content, Kind, SiteClient
from addon.confluence.cql import Clause, Spelling
from addon.engine import queries
from addon.jobs import ledger, site_facts
from addon.jobs.facts import Inspection, names_a_day, site_time
from addon.jobs.ledger import LedgerEntry
from addon.jobs.review import Review, review_key, write_review
from addon.jobs.spaces import with_labels
from addon.jobs.statuses.single.evaluation import Evaluation, Tested
from addon.jobs.statuses.stamp import property_key, shown_statuses
from addon.jobs.statuses.write.stamping import Change, Outcome, Stamper
from addon.policies import Policies, PolicyDocument

log = get_logger(__name__)

RUNS_BACK = 20
"""In how many of the newest refreshes the last one of an item's space is looked for."""
_COMPARED = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about one item that its dialog shows.

    `excluded`: why its space takes no part; then `tested` and `review` are empty. `entry`: its ledger entry.
    `refreshed_at`: when it, or its space, was last refreshed. `began`: when the look began. `spelling`: how negations
    are put to the site.
    """

    content: Content
    space: Space
    policy: PolicyDocument
    excluded: str | None
    entry: LedgerEntry | None
    refreshed_at: datetime | None
    began: datetime
    review: Review = field(default_factory=Review)
    tested: tuple[Tested, ...] = ()
    spelling: Spelling = "pieces"

    @property
    def default(self) -> str:
        """The slug of what matches nothing."""
        return self.policy.status_scheme(self.space).default_status

    @property
    def current(self) -> str:
        """The slug of the status that the item has as far as is known."""
        return self.default if self.entry is None else self.entry.slug

    @property
    def decided(self) -> str | None:
        """The slug that the scheme gives the item now; None when a query that matters could not be answered."""
        for each in self.tested:
            if each.matched is None:
                return None
            if each.matched:
                return each.status
        return self.default


class Undecided(Exception):
    """The item's status cannot be decided now; the message says why, `words` how Confluence puts it.

    Such words may quote the query, which is for administrators.
    """

    def __init__(self, said: str, words: str | None = None) -> None:
        super().__init__(said)
        self.words = words


class Gone(Exception):
    """The item, or its space, is not there any more, or hides from the app."""


class Single:
    """Looks at, reviews and refreshes one item at a time, as people ask for it."""

    def __init__(
        self, confluence: Confluence, policies: Policies, db: Database, clock: Clock, *, namespace: str, base_url: str
    ) -> None:
        """Parameters: `namespace` prefixes property keys and aliases; `base_url` is the add-on's own address."""
        self._confluence = confluence
        self._policies = policies
        self._db = db
        self._clock = clock
        self._namespace = namespace
        self._base_url = base_url

    def find(self, tenant_id: TenantId, content_id: str) -> Content | None:
        """Return the current page or blog post of this id as the app sees it. Raises SiteError and its like."""
        with self._db.read(tenant_id) as session:
            entry = ledger.load(session, [content_id]).get(content_id)
        kinds: list[Kind] = (
            ["blogpost", "page"] if entry is not None and entry.kind == "blogpost" else ["page", "blogpost"]
        )
        with self._confluence.client(tenant_id) as client:
            for kind in kinds:
                for content in client.contents(kind, [content_id]):
                    return content
        return None

    def look(self, tenant_id: TenantId, content: Content) -> Look:
        """Return the item's status with every reason for it, asked of Confluence now.

        Raises Gone when its space cannot be seen, SiteError and its like as the calls do.
        """
        with self._confluence.client(tenant_id) as client:
            return self._look(client, tenant_id, content)

    def _look(self, client: SiteClient, tenant_id: TenantId, content: Content) -> Look:
        began = self._clock.now()
        with self._db.read(tenant_id) as session:
            _, policy = self._policies.current(session, tenant_id)
            entry = ledger.load(session, [content.id]).get(content.id)
            refreshed_at = queries.last_done_at(
                session, "refresh-statuses", content.space_id or "", runs_back=RUNS_BACK
            )
            spelling = site_facts.load(session).spelling
        if entry is not None:
            refreshed_at = max(filter(None, (refreshed_at, entry.written_at)))
        space = _space(client, content, policy)
        look = Look(content, space, policy, policy.exclusion(space), entry, refreshed_at, began, spelling=spelling)
        if look.excluded is not None:
            return look
        found = client.property(content.kind, content.id, review_key(self._namespace))
        review = Review.read(found.value if found is not None else None)
        return replace(look, review=review, tested=self._tested(client, look, review))

    def refresh(self, tenant_id: TenantId, content: Content) -> Look:
        """Give the item the status it has now, in stamp and ledger; return the look that decided it.

        Raises Undecided, Gone, Conflict when the stamp was changed twice meanwhile; SiteError and its like.
        """
        with self._confluence.client(tenant_id) as client:
            look = self._look(client, tenant_id, content)
            if look.excluded is not None:
                raise Undecided(f"The space {look.space.key} is {look.excluded}.")
            if look.decided is None:
                failed = next(each for each in look.tested if each.matched is None)
                raise Undecided(f"Confluence refuses a query of the status {failed.status}.", failed.problem)
            outcome = self._stamped(client, look, look.decided)
        if outcome.verdict == "gone":
            raise Gone
        if outcome.entry is None:
            # An item that never had another status has no entry. This one keeps runs from acting on what search shows
            # until it has indexed the review: it is right for LAG, and then forgotten as needless.
            now = self._clock.now()
            known = LedgerEntry(content.id, content.kind, look.space.id, look.decided, None, now, None, None, now)
            outcome = replace(outcome, entry=known)
        entry = self._save(tenant_id, content.id, outcome)
        log.info(
            "one item was refreshed",
            action="content_refreshed",
            tenant=tenant_id,
            content=content.id,
            verdict=str(outcome.verdict),
        )
        return replace(look, entry=entry, refreshed_at=self._clock.now())

    def review(self, tenant_id: TenantId, content: Content, change: Callable[[Review], Review]) -> Review:
        """Change what people say about the item. Raises as `write_review`."""
        with self._confluence.client(tenant_id) as client:
            written = write_review(client, content.kind, content.id, review_key(self._namespace), change)
        log.info("the review of an item was changed", action="review_changed", tenant=tenant_id, content=content.id)
        return written

    def _tested(self, client: SiteClient, look: Look, review: Review) -> tuple[Tested, ...]:
        day_named = any(text and names_a_day(text) for each in _entries(look) for text in each[1:])
        now = site_time(look.began, client.system_info().time_zone) if day_named else look.began
        inspection = Inspection.of_review(self._namespace, review.value(), now)

        def judge(clause: Clause) -> bool | None:
            ours = clause.field.lower() in inspection.known and clause.operator in _COMPARED
            return inspection.judge(clause) if ours else None

        evaluation = Evaluation(client, look.content, judge, look.spelling, self._namespace)
        return tuple(evaluation.test(*each) for each in _entries(look))

    def _stamped(self, client: SiteClient, look: Look, slug: str) -> Outcome:
        stamper = Stamper(
            client=client,
            clock=self._clock,
            key=property_key(self._namespace),
            default=look.default,
            statuses=shown_statuses(look.policy, self._base_url),
            since=look.began,
            stamps=look.policy.status_stamps,
        )
        content = look.content
        change = Change(content.id, content.kind, look.space.id, slug, look.entry, read_first=True)
        try:
            return stamper.apply(change)
        except Conflict:
            return stamper.apply(change)  # It reads again; ours is the younger decision.

    def _save(self, tenant_id: TenantId, content_id: str, outcome: Outcome) -> LedgerEntry | None:
        """Write the ledger, unless a run has meanwhile written it for a later version of the stamp."""
        with self._db.write(tenant_id) as session:
            stored = ledger.lock(session, tenant_id, content_id)
            if stored is not None and outcome.entry is not None and _later(stored, outcome.entry):
                return stored
            if outcome.entry is not None:
                if ledger.save(session, tenant_id, [replace(outcome.entry, single=True)]):
                    raise Undecided("The status was written to Confluence, but it cannot be kept here.")
            elif stored is not None:
                ledger.drop(session, [content_id])
        return outcome.entry


def _entries(look: Look) -> list[tuple[str, str | None, str | None]]:
    scheme = look.policy.status_scheme(look.space)
    return [(each.status, each.cql, each.ancestor_cql) for each in scheme.entries[:-1]]


def _space(client: SiteClient, content: Content, policy: PolicyDocument) -> Space:
    """Return the item's space, with those of its labels that a policy asks for."""
    shown_spaces = client.spaces(ids=[content.space_id]) if content.space_id else []
    if not shown_spaces:
        raise Gone
    return with_labels(client, shown_spaces[:1], policy)[0]


def _later(stored: LedgerEntry, ours: LedgerEntry) -> bool:
    same = stored.property_id is not None and stored.property_id == ours.property_id
    return same and (stored.property_version or 0) > (ours.property_version or 0)
