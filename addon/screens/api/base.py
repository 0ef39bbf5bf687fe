"""The base of the API classes: what each of them works with."""

from __future__ import annotations

from sqlalchemy.orm import Session

from addon.base import Caller
from addon.jobs import apply_policies
from addon.parts import Parts
from addon.policies import Checked
from addon.screens.access import Access
from addon.screens.api.executions.presenter import Presenter
from addon.screens.lookups import Lookups


class Api:
    """Some operations of the JSON API. One object of each class serves all requests of the process, on any thread."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        self._parts = parts
        self._access = access
        self._lookups = lookups
        self._presenter = presenter

    def _store(self, session: Session, caller: Caller, checked: Checked, if_match: int) -> int:
        """Store policies as their next version and return its number; schedules and hold follow in this transaction.

        Raises what `Policies.put` does.
        """
        version = self._parts.policies.put(session, caller.tenant_id, checked, if_match=if_match, by=caller.account_id)
        apply_policies(self._parts.engine, session, caller.tenant_id, checked.document, by=caller.account_id)
        return version
