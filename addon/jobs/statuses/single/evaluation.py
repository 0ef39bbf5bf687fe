"""The entries of a status scheme, tested against one item by its review as it is now and by Confluence for the rest.

Search follows a change after seconds or minutes; a person who has just pressed "Still valid" does not wait for that. So
comparisons with the review's dates are decided here, by what the property says now, and only what is left of a query is
asked of Confluence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from addon.confluence import Content, CqlRejected, SiteClient
from addon.confluence.cql import (
    CONTENT,
    And,
    Clause,
    CqlSyntaxError,
    Expression,
    Not,
    Or,
    Spelling,
    all_of,
    parse,
    to_cql,
)
from addon.jobs.policy_search import search_policy

Judge = Callable[[Clause], bool | None]
"""Whether a condition holds, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Tested:
    """One entry of the scheme and what became of its queries; None where one was not asked or not answered.

    `problem`: why it could not be answered, in Confluence's words.
    """

    status: str
    cql: str | None
    ancestor_cql: str | None
    direct: bool | None = None
    above: bool | None = None
    problem: str | None = None

    @property
    def matched(self) -> bool | None:
        """Whether the entry matches; None when that is not known."""
        if self.direct or self.above:
            return True
        return None if self.problem else False


@dataclass(slots=True)
class Evaluation:
    """The tests of one scheme's entries against `content`.

    `judge`: what is known of a condition without asking. `spelling`: how negations are put to the site. `above`: ids of
    the pages above it, asked for when an entry needs them.
    """

    client: SiteClient
    content: Content
    judge: Judge
    spelling: Spelling
    namespace: str
    above: Sequence[str] | None = None

    def test(self, status: str, cql: str | None, ancestor_cql: str | None) -> Tested:
        """Return what becomes of one entry's queries.

        Costs 1 or 2 points for each that the review does not decide, and the page's ancestors once. Raises SiteError
        as the calls do, but for a query that Confluence refuses.
        """
        tested = Tested(status, cql, ancestor_cql)
        try:
            if cql is not None:
                tested = replace(tested, direct=self._holds(cql))
            if ancestor_cql is not None:
                tested = replace(tested, above=self._above_holds(ancestor_cql))
        except (CqlRejected, CqlSyntaxError) as error:
            return replace(tested, problem=error.message)
        return tested

    def _holds(self, cql: str) -> bool:
        left = undecided(cql, self.judge)
        if isinstance(left, bool):
            return left
        return self._any(left, CONTENT, f"id = {self.content.id}")

    def _above_holds(self, cql: str) -> bool:
        if self.above is None:
            inherits = self.content.kind == "page" and self.content.parent_id is not None
            self.above = self.client.ancestors(self.content.id) if inherits else ()
        if not self.above:
            return False
        return self._any(cql, "type in (page)", f"id in ({', '.join(self.above)})")

    def _any(self, cql: str, *within: str) -> bool:
        # Read, not counted: what decides must not hang on the other search (docs/rules/confluence-api.md 2.2).
        found = search_policy(
            self.client, cql, self.spelling, self.namespace, lambda condition: all_of(*within, condition)
        )
        return next(found, None) is not None


def undecided(cql: str, judge: Judge) -> str | bool:
    """Return the query with its known conditions decided, or its outcome when nothing else matters.

    Raises CqlSyntaxError on text that is not CQL.
    """
    where = parse(cql).where
    left = True if where is None else _undecided(where, judge)
    return left if isinstance(left, bool) else to_cql(left)


def _undecided(expression: Expression, judge: Judge) -> Expression | bool:
    match expression:
        case Clause():
            known = judge(expression)
            return expression if known is None else known
        case Not(operand):
            inner = _undecided(operand, judge)
            return (not inner) if isinstance(inner, bool) else Not(inner)
        case And(left, right):
            return _joined(_undecided(left, judge), _undecided(right, judge), all_hold=True)
        case Or(left, right):
            return _joined(_undecided(left, judge), _undecided(right, judge), all_hold=False)


def _joined(left: Expression | bool, right: Expression | bool, *, all_hold: bool) -> Expression | bool:
    """With AND a true side falls away and a false one decides; with OR the other way round."""
    if isinstance(left, bool):
        return right if left is all_hold else left
    if isinstance(right, bool):
        return left if right is all_hold else right
    return And(left, right) if all_hold else Or(left, right)
