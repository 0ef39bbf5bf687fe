"""Checks of single CQL queries, while an administrator is still typing.

An answer never says how much a query finds: the app sees pages that the administrator may not, so the number is asked
of Confluence by the browser, as the person who looks (docs/adr/0016).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from addon.base import Caller, FieldError
from addon.confluence import BadRequest
from addon.confluence.cql import CONTENT, CqlRefused, all_of, check_administrators_cql
from addon.screens.api.base import Api
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.schemas import Body, Cql, Model


class CheckCql(Body):
    """Ask whether a CQL may stand in a policy. `kind` is where: a status scheme, a notification rule, an automation."""

    cql: Cql
    kind: Literal["status", "rule", "automation"]


class CqlCheck(Model):
    """A CQL that Confluence takes, as it would be stored."""

    cql: str
    notices: list[str] = Field(description="What was changed in it")
    question: str = Field(description="The CQL whose results are the pages and blog posts that match now")


class CqlApi(Api):
    """Checks of single queries, for Confluence administrators."""

    @operation(
        "POST",
        "/cql-checks",
        body=CheckCql,
        answers={200: CqlCheck},
        problems=(400, 401, 403, 413, 415, 422, 503),
        name="check_cql",
    )
    def check(self, caller: Caller, *, body: CheckCql) -> CqlCheck:
        """Check one CQL as it would be checked when the policies are put, and ask Confluence; it costs one point.

        Only a query with no results is asked for, combined as jobs combine it: in parentheses, after the content
        types. The answer has that query for the browser to count with. Nothing is stored. Raises Problem 422 at /cql,
        in Confluence's own words where it refuses; 503 when the site or its quota cannot answer.
        """
        self._access.site(caller)
        namespace = self._parts.settings.namespace
        try:
            checked = check_administrators_cql(body.cql, namespace=namespace, allow_aliases=body.kind != "status")
        except CqlRefused as error:
            raise _refused(error.reason) from error
        question = all_of(CONTENT, checked.cql)
        try:
            with self._parts.confluence.client(caller.tenant_id) as client:
                client.count(question)
        except BadRequest as error:
            raise _refused(f"Confluence does not take this CQL: {error.message}") from error
        return CqlCheck(cql=checked.cql, notices=checked.notices, question=question)


def _refused(reason: str) -> Problem:
    return Problem(422, "invalid-cql", reason, errors=[FieldError("/cql", reason)])
