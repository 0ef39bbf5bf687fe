"""Who gets to know of a content? The recipients of a rule, as account ids."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from addon.base import REMOVED_PERSON
from addon.confluence import Content, SiteClient
from addon.policies import Recipient


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


def _one(account_id: str | None) -> frozenset[str]:
    return frozenset((account_id,)) if account_id and account_id != REMOVED_PERSON else frozenset()
