"""The executions there are and were: the audit log, the current one, and one with its spaces and items."""

from __future__ import annotations

from addon.base import Caller
from addon.engine import queries
from addon.screens.access import Viewer, find
from addon.screens.api.base import Api
from addon.screens.api.executions import schemas
from addon.screens.api.executions.presenter import item_result, named, space_result
from addon.screens.api.executions.starting import NOTIFICATIONS
from addon.screens.operations import operation
from addon.screens.problems import Problem, known_cursor
from addon.screens.schemas import InSpace, List, statuses

LIST_PROBLEMS = (401, 403, 422, 503)
ONE_PROBLEMS = (401, 403, 404, 422, 503)


class ExecutionsApi(Api):
    """Watch one execution, and look back at all."""

    @operation(
        "GET",
        "/executions",
        query=schemas.HistoryQuery,
        answers={200: List[schemas.Execution]},
        problems=LIST_PROBLEMS,
    )
    def history(self, caller: Caller, *, query: schemas.HistoryQuery) -> List[schemas.Execution]:
        """List executions, newest first: the job audit log.

        With a space key: the runs of that space, and of the site's runs what they did in that space, for its
        administrators; without: all runs of the site.
        """
        viewer = self._log_scope(caller, query.space_key)
        gone = query.space_key if viewer.space is None else None
        with self._parts.db.read(caller.tenant_id) as session, known_cursor():
            rows, cursor = queries.history(
                session,
                caller.tenant_id,
                job=query.job,
                status=query.status,
                space_id=None if viewer.space is None else viewer.space.id,
                space_key=gone,
                scope=query.scope,
                trigger=query.trigger,
                limit=query.limit,
                cursor=query.cursor,
            )
            seen = self._presenter.executions(session, rows, viewer)
        return List[schemas.Execution](items=named(self._lookups, caller, seen), next_cursor=cursor)

    @operation("GET", "/executions/current", query=InSpace, answers={200: schemas.Current}, problems=LIST_PROBLEMS)
    def current(self, caller: Caller, *, query: InSpace) -> schemas.Current:
        """Return the execution that is active now.

        In a space's scope another scope's run is shown as its progress only (`restricted`).
        """
        viewer = self._access.scope(caller, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session:
            row = queries.active(session, caller.tenant_id)
            if row is None:
                return schemas.Current(execution=None)
            seen = self._presenter.execution(session, row, viewer)
        return schemas.Current(execution=named(self._lookups, caller, [seen])[0])

    @operation(
        "GET",
        "/executions/{execution_id}",
        query=InSpace,
        answers={200: schemas.ExecutionDetail},
        problems=ONE_PROBLEMS,
    )
    def get(self, caller: Caller, *, execution_id: str, query: InSpace) -> schemas.ExecutionDetail:
        """Return one execution with its retry chain and the live counts of its mails."""
        viewer, _, _ = self._access.execution(caller, execution_id, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session:
            row = find(session, caller, execution_id)
            seen = self._presenter.detail(session, row, viewer)
            if not seen.restricted and row.job_type == NOTIFICATIONS:
                counts = self._parts.mailer.counts(session, row.id)
                # Old mails are deleted; the frozen metrics still count them.
                seen.mails = schemas.Mails(**counts) if row.ended_at is None or any(counts.values()) else None
            _, policies = self._parts.policies.current(session, caller.tenant_id)
            seen.statuses = statuses(policies)
        return named(self._lookups, caller, [seen])[0]

    @operation(
        "GET",
        "/executions/{execution_id}/spaces",
        query=schemas.SpacesQuery,
        answers={200: List[schemas.SpaceResult]},
        problems=ONE_PROBLEMS,
    )
    def spaces(self, caller: Caller, *, execution_id: str, query: schemas.SpacesQuery) -> List[schemas.SpaceResult]:
        """List what became of each space of an execution; for a space's administrators, of their space."""
        own = self._own_part(caller, execution_id, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session, known_cursor():
            rows, cursor = queries.spaces(
                session, execution_id, limit=query.limit, cursor=query.cursor, state=query.status, space_id=own
            )
        return List[schemas.SpaceResult](items=[space_result(row) for row in rows], next_cursor=cursor)

    @operation(
        "GET",
        "/executions/{execution_id}/items",
        query=schemas.ItemsQuery,
        answers={200: List[schemas.ItemResult]},
        problems=ONE_PROBLEMS,
    )
    def items(self, caller: Caller, *, execution_id: str, query: schemas.ItemsQuery) -> List[schemas.ItemResult]:
        """List what an execution did to which item, and why; for a space's administrators, in their space."""
        own = self._own_part(caller, execution_id, query.space_key)
        with self._parts.db.read(caller.tenant_id) as session, known_cursor():
            rows, cursor = queries.items(
                session, execution_id, limit=query.limit, cursor=query.cursor, outcome=query.outcome, space_id=own
            )
        return List[schemas.ItemResult](items=[item_result(row) for row in rows], next_cursor=cursor)

    def _log_scope(self, caller: Caller, space_key: str | None) -> Viewer:
        """A Confluence administrator may also look up the runs of a space that is gone."""
        try:
            return self._access.scope(caller, space_key)
        except Problem as problem:
            if problem.kind != "space-not-visible":
                raise
            return self._access.site(caller)

    def _own_part(self, caller: Caller, execution_id: str, space_key: str | None) -> str | None:
        """Return the id of the only space whose details the caller may see, None for those of all."""
        viewer, _, sight = self._access.execution(caller, execution_id, space_key)
        if sight == "part" and viewer.space is not None:
            return viewer.space.id
        if sight != "full":
            raise Problem(
                403, "forbidden", "The details of a run over all included spaces are for Confluence administrators."
            )
        return None
