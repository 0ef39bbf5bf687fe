"""Access to scopes: who may see and do what, decided for every call from what Confluence says about the caller now.

Site scope, policies, hold and first run belong to Confluence administrators; a space's own screen belongs to the
administrators of that space (docs/rules/quota.md 4.4). A space's administrator sees the executions of that space, of
a run over the whole site what it did in that space, and of anything else that runs only that it runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy.orm import Session

from addon.base import Caller, Database, Space
from addon.confluence import READ_AGE, WRITE_AGE, NotAllowed, Permissions
from addon.engine import ACTIVE, ExecutionSpace, JobExecution, NotFound, queries
from addon.screens.lookups import Lookups
from addon.screens.problems import Problem

Sight = Literal["full", "part", "restricted", "none"]
EXECUTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Viewer:
    """A caller with the scope that they were let into: one space, or the whole site when `space` is None."""

    caller: Caller
    space: Space | None

    def sight(self, row: JobExecution, part: ExecutionSpace | None = None) -> Sight:
        """Return how much of an execution this viewer sees by its id. `part`: what the viewer's space was in it.

        full: everything; part: what a site run did in this space; restricted: that a site run is active and how far it
        is; none: it does not exist for them.
        """
        if self.space is None or (row.scope == "space" and row.space_id == self.space.id):
            return "full"
        if row.scope != "site":
            return "none"
        if part is not None and part.space_id == self.space.id:
            return "part"
        return "restricted" if row.status in ACTIVE else "none"

    def may_cancel(self, row: JobExecution) -> bool:
        """Return whether this viewer is offered to cancel it: their scope's own, while it is running."""
        return row.status == "running" and self.sight(row) == "full"


class Access:
    """Lets callers into a scope, or raises the Problem that says why not."""

    def __init__(self, permissions: Permissions, lookups: Lookups, db: Database) -> None:
        self._permissions = permissions
        self._lookups = lookups
        self._db = db

    def site(self, caller: Caller, *, write: bool = False, stop: bool = False) -> Viewer:
        """Let a Confluence administrator into the site scope.

        `stop`: a write that only ends or holds work, for which an older decision will do while there are no points to
        ask Confluence with. Raises Problem 403, or 503 when the site cannot say.
        """
        self._permissions.require_site_admin(caller, max_age=_age(write), in_need=_age(write and not stop))
        return Viewer(caller, None)

    def space(self, caller: Caller, key: str, *, write: bool = False, stop: bool = False) -> Viewer:
        """Let an administrator of the space into its scope. `stop` as in `site`.

        Raises Problem 403. A space that is archived, deleted or hidden from the app is 422 for Confluence
        administrators, and for everyone else the same 403 as one that they do not administer.
        """
        age, in_need = _age(write), _age(write and not stop)

        def find() -> Space | None:
            return self._lookups.space(caller.tenant_id, key, age, in_need)

        if self._permissions.is_site_admin(caller, max_age=age, in_need=in_need):
            space = find()
            if space is None:
                raise Problem(422, "space-not-visible", _INVISIBLE.format(key=key))
        else:
            space = self._permissions.require_space_admin(caller, key, find, max_age=age, in_need=in_need)
        return Viewer(caller, space)

    def scope(self, caller: Caller, space_key: str | None, *, write: bool = False, stop: bool = False) -> Viewer:
        """Let the caller into the space's scope when a key is given, else into the site's. `stop` as in `site`."""
        if space_key is None:
            return self.site(caller, write=write, stop=stop)
        return self.space(caller, space_key, write=write, stop=stop)

    def execution(
        self, caller: Caller, execution_id: str, space_key: str | None, *, stop: bool = False
    ) -> tuple[Viewer, JobExecution, Sight]:
        """Return the execution with the scope in which the caller may read it, or `stop` it, and how much of it.

        Raises Problem 403 or 404.
        """
        row = self._row(caller, execution_id)
        viewer = self._scope_of(caller, row, space_key, stop=stop)
        sight = viewer.sight(row)
        if sight != "full" and viewer.space is not None:
            with self._db.read(caller.tenant_id) as session:
                part = queries.results_in_space(session, [row.id], viewer.space.id).get(row.id)
            sight = viewer.sight(row, part)
        if sight == "none":
            raise unknown_execution()
        return viewer, row, sight

    def cancel(self, caller: Caller, execution_id: str, space_key: str | None) -> Viewer:
        """Return the scope in which the caller may cancel the execution.

        A space's administrator cancels runs of that space; a run over all spaces needs a Confluence administrator.
        Raises Problem 403 or 404.
        """
        viewer, _, sight = self.execution(caller, execution_id, space_key, stop=True)
        return viewer if sight == "full" else self.site(caller, write=True, stop=True)

    def retry(self, caller: Caller, execution_id: str, space_key: str | None) -> Viewer:
        """Return the execution's own scope, in which the caller may start jobs. Raises Problem 403, 404 or 422."""
        _, row, _ = self.execution(caller, execution_id, space_key)
        viewer = self.scope(caller, row.space_key, write=True)
        if viewer.space is not None and viewer.space.id != row.space_id:
            raise Problem(422, "space-not-visible", f"The space that had the key {row.space_key} then is gone.")
        return viewer

    def _row(self, caller: Caller, execution_id: str) -> JobExecution:
        if EXECUTION_ID.fullmatch(execution_id) is None:
            raise unknown_execution()
        with self._db.read(caller.tenant_id) as session:
            return find(session, caller, execution_id)

    def _scope_of(self, caller: Caller, row: JobExecution, space_key: str | None, *, stop: bool) -> Viewer:
        """Without a key the execution's own scope counts; a Confluence administrator may always be asked for."""
        if space_key is not None or row.scope == "site" or row.space_key is None:
            return self.scope(caller, space_key, write=stop, stop=stop)
        try:
            return self.site(caller, write=stop, stop=stop)
        except NotAllowed:
            pass
        try:
            return self.space(caller, row.space_key, write=stop, stop=stop)
        except NotAllowed as error:
            # The key is known here by the execution alone, so the answer does not name it.
            raise Problem(403, error.kind, _NOT_YOURS) from error


def find(session: Session, caller: Caller, execution_id: str) -> JobExecution:
    """Return the caller's tenant's execution of this id. Raises Problem 404."""
    try:
        return queries.find(session, caller.tenant_id, execution_id)
    except NotFound as error:
        raise unknown_execution() from error


def unknown_execution() -> Problem:
    """Return the one answer for ids that do not exist, are another tenant's, or are none of the caller's business."""
    return Problem(404, "unknown-execution", "There is no execution with this id here.")


def _age(write: bool) -> timedelta:
    return WRITE_AGE if write else READ_AGE


_INVISIBLE = (
    "Content Steward cannot see the space {key}: it is archived, was deleted, or the app has no access to it. "
    "Restore the space or give the app access in the space's permissions."
)
_NOT_YOURS = (
    "Only administrators of the space over which this execution runs, and Confluence administrators, may do this."
)
