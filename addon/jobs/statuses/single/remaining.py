"""What is left to ask of a query about one content when its review property has been read?

Search follows a change after seconds or minutes; somebody who has just pressed "Still valid" does not wait for that.
Comparisons with the review's dates are decided here, by what the property says now; the rest is Confluence's to say.
"""

from __future__ import annotations

from collections.abc import Callable

from addon.confluence.cql import And, Clause, Expression, Not, Or, parse, to_cql

Judge = Callable[[Clause], bool | None]
"""Whether a condition holds, None where it is not known."""


def settled(cql: str, judge: Judge) -> str | bool:
    """Return the query with its known conditions decided, or its outcome when nothing else matters.

    Raises CqlSyntaxError on text that is not CQL.
    """
    where = parse(cql).where
    left = True if where is None else _settled(where, judge)
    return left if isinstance(left, bool) else to_cql(left)


def _settled(expression: Expression, judge: Judge) -> Expression | bool:
    match expression:
        case Clause():
            known = judge(expression)
            return expression if known is None else known
        case Not(operand):
            inner = _settled(operand, judge)
            return (not inner) if isinstance(inner, bool) else Not(inner)
        case And(left, right):
            return _joined(_settled(left, judge), _settled(right, judge), all_hold=True)
        case Or(left, right):
            return _joined(_settled(left, judge), _settled(right, judge), all_hold=False)


def _joined(left: Expression | bool, right: Expression | bool, *, all_hold: bool) -> Expression | bool:
    """With AND a true side falls away and a false one decides; with OR the other way round."""
    if isinstance(left, bool):
        return right if left is all_hold else left
    if isinstance(right, bool):
        return left if right is all_hold else right
    return And(left, right) if all_hold else Or(left, right)
