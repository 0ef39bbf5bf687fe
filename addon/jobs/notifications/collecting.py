"""Collection: what the rules report in each space, and to whom. Nothing is sent before finalizing.

A space's matches are stored with its end: a space that failed leaves none behind, so that its retry reports each item
once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from addon.base import REMOVED_PERSON, Space, insert, write_piecemeal
from addon.confluence import Content, SiteClient
from addon.confluence.cql import in_spaces
from addon.engine.job import Run, RunSpace
from addon.jobs import site_facts
from addon.jobs.context import JobContext
from addon.jobs.counting import Counting
from addon.jobs.faults import SITE_FAULTS, Reason, reason_of
from addon.jobs.ledger import slugs_of
from addon.jobs.models import NotificationMatch
from addon.jobs.policy_search import search_policy
from addon.jobs.spaces import Absent, Member, members, presence, skip, vanished
from addon.policies import PolicyDocument, Recipient, Rule

_CHUNK = 500
_EXPAND = ("space", "history", "history.lastUpdated")


@dataclass(frozen=True, slots=True)
class Match:
    """One item that one rule reports to some people. `rule_id` is the id of its schedule: `<scheme>/<rule>`."""

    rule_id: str
    content: Content
    accounts: frozenset[str]


def active_rules(run: Run, policy: PolicyDocument, space: Space) -> dict[str, Rule]:
    """Return {`<scheme>/<rule>`: rule} of the rules of the space's scheme that take part in the run, in their order.

    Enabled ones take part, of a scheduled run those that are due.
    """
    scheme = policy.notification_scheme(space)
    due = run.params.get("rules")
    enabled = {f"{scheme.id}/{rule.id}": rule for rule in scheme.rules if rule.enabled}
    return {id: rule for id, rule in enabled.items() if due is None or id in due}


class Recipients:
    """Resolves recipients during one run; administrators of a space and members of a group are asked for once.

    Used from several call threads.
    """

    def __init__(self, client: SiteClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], frozenset[str]] = {}

    def of(self, content: Content, space_id: str, recipients: Iterable[Recipient]) -> set[str]:
        """Return the account ids that a rule's `recipients` mean for `content`. Raises SiteError as calls do."""
        accounts: set[str] = set()
        for recipient in recipients:
            accounts |= self._of_one(content, space_id, recipient)
        return accounts

    def _of_one(self, content: Content, space_id: str, recipient: Recipient) -> frozenset[str]:
        match recipient.kind:
            case "author":
                return _one(content.author_id)
            case "lastUpdater":
                return _one(content.updater_id)
            case "user":
                return _one(recipient.id)
            case "spaceAdmins":
                return self._once("space", space_id, self._client.space_admins)
            case "group":
                return self._once("group", recipient.id or "", self._client.group_members)

    def _once(self, sort: str, id: str, ask: Callable[[str], Iterable[str]]) -> frozenset[str]:
        with self._lock:
            if (sort, id) in self._known:
                return self._known[sort, id]
        found = frozenset(ask(id))
        with self._lock:
            return self._known.setdefault((sort, id), found)


class Collecting:
    """One call of the job's `work`: reads matches on the call threads, stores them in the runner thread."""

    def __init__(self, context: JobContext, run: Run, client: SiteClient) -> None:
        self._context = context
        self._run = run
        self._client = client
        self._policy = context.policy(run)
        self._recipients = Recipients(self._client)
        with run.read() as session:
            self._spelling = site_facts.load(session).spelling
        self._presence = presence(run, self._client, Counting(self._client))

    def work(self, spaces: Sequence[RunSpace]) -> None:
        """Bring the spaces to done, failed or skipped."""
        live = self._context.live_policy(self._run)
        taking_part = skip(self._run, members(self._client, live, self._policy, spaces))
        for member, found in self._run.map(self._matches, taking_part):
            if isinstance(found, Absent):
                self._skip(member.run_space, found.reasons[member.run_space.id])
                continue
            if isinstance(found, Exception):
                found = reason_of(found)
            if isinstance(found, Reason):
                self._not_read(member.run_space, found)
            else:
                self._store(member.run_space, found)
            self._run.safe_point()

    def _matches(self, member: Member) -> list[Match] | Reason:
        """Ask for what every rule matches in one space (on a call thread)."""
        found: list[Match] = []
        try:
            self._presence.require([member.run_space])
            for id, rule in active_rules(self._run, self._policy, member.space).items():
                for content in search_policy(
                    self._client,
                    rule.cql,
                    self._spelling,
                    self._context.settings.namespace,
                    partial(in_spaces, [member.space]),
                    expand=_EXPAND,
                    statuses=rule.content_states,
                ):
                    accounts = self._recipients.of(content, member.run_space.id, rule.recipients)
                    found.append(Match(id, content, frozenset(accounts)))
        except SITE_FAULTS as error:
            return reason_of(error)
        return found

    def _not_read(self, space: RunSpace, reason: Reason) -> None:
        gone = None if reason.transient else vanished(self._client, space)
        if gone is not None:
            self._skip(space, gone)
            return
        with self._run.write() as session:
            self._forget(session, space)
            self._run.failed(session, space, reason.text, transient=reason.transient)

    def _skip(self, space: RunSpace, reason: str) -> None:
        with self._run.write() as session:
            self._forget(session, space)
            self._run.skipped(session, space, reason)

    def _store(self, space: RunSpace, matches: Sequence[Match]) -> None:
        """Store a space's matches, 500 a transaction; what an earlier owner of the run stored is replaced."""
        with self._run.read() as session:
            slugs = slugs_of(session, {match.content.id for match in matches})
        rows = [row for match in matches for row in self._rows(space, match, slugs)]
        with self._run.write() as session:
            self._run.begin(session, [space])
            self._forget(session, space)
        # The last chunk goes with the end of the space. A process that dies before it leaves rows of a space that is
        # not done, which no mail counts and the next owner deletes.
        last = max(0, len(rows) - 1) // _CHUNK * _CHUNK
        refused: list[dict[str, object]] = []
        for start in range(0, last, _CHUNK):
            with self._run.write() as session:
                refused += self._insert(session, rows[start : start + _CHUNK])
        with self._run.write() as session:
            refused += self._insert(session, rows[last:])
            metrics = {"contentsMatched": len({match.content.id for match in matches})}
            if refused:
                metrics["contentsUntold"] = len({row["content_id"] for row in refused})
            self._run.done(session, space, metrics)

    def _rows(self, space: RunSpace, match: Match, slugs: Mapping[str, str]) -> list[dict[str, object]]:
        content = match.content
        return [
            {
                "tenant_id": self._run.tenant_id,
                "execution_id": self._run.execution_id,
                "rule_id": match.rule_id,
                "content_id": content.id,
                "account_id": account,
                "space_id": space.id,
                "space_key": space.key,
                "kind": content.kind,
                "title": content.title,
                "path": content.path,
                "updated_at": _updated(content, self._run.clock.now()),
                "slug": slugs.get(content.id),
            }
            for account in sorted(match.accounts)
        ]

    def _forget(self, session: Session, space: RunSpace) -> None:
        session.execute(
            sa.delete(NotificationMatch).where(
                NotificationMatch.execution_id == self._run.execution_id, NotificationMatch.space_id == space.id
            )
        )

    def _insert(self, session: Session, rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
        """Insert rows; return those that the database refuses, which cost no other item its mention."""
        statement = insert(session, NotificationMatch).on_conflict_do_nothing()
        return write_piecemeal(session, rows, lambda some: session.execute(statement, list(some)))


def _updated(content: Content, now: datetime) -> datetime:
    return content.updated_at or content.created_at or now


def _one(account_id: str | None) -> frozenset[str]:
    return frozenset((account_id,)) if account_id and account_id != REMOVED_PERSON else frozenset()
