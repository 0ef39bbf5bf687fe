"""Evaluation of CQL: the AST of addon.confluence.cql.parser compiled into a predicate over contents.

Fields, operators and the equivalence of `!=` with NOT: docs/rules/confluence-api.md 8. Whether a negation finds content
that lacks an indexed property is for the site's `negations` to say; NOT over AND and OR is read into their parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from addon.confluence.cql import And, Clause, Expression, Not, Or
from addon.sandbox.fields import NEGATIVE, Predicate, World, always, compile_clause
from addon.sandbox.records import Content


def compile_cql(expression: Expression, world: World) -> Predicate:
    """Return the predicate of `expression`. Raises CannotEvaluate."""
    match expression:
        case Clause():
            return compile_clause(expression, world)
        case Not(operand):
            return _negation(operand, world)
        case And():
            return _every([compile_cql(part, world) for part in conjuncts(expression)])
        case Or():
            return _some([compile_cql(part, world) for part in _flat(expression, Or)])


def _negation(operand: Expression, world: World) -> Predicate:
    match operand:
        case Not(inner):
            return compile_cql(inner, world)
        case And():
            return _some([_negation(part, world) for part in conjuncts(operand)])
        case Or():
            return _every([_negation(part, world) for part in _flat(operand, Or)])
        case Clause():
            positive = compile_clause(operand, world)
            extraction = world.fields.get(operand.field.lower())
            if extraction is None or world.negations.finds_lacking("not", extraction.type):
                return lambda content: not positive(content)
            read = extraction.reader()
            return lambda content: read(content) is not None and not positive(content)


def compile_all(expressions: Sequence[Expression], world: World) -> Predicate:
    """Return the predicate that holds where all of `expressions` do. Raises CannotEvaluate."""
    return _every([compile_cql(expression, world) for expression in expressions])


def conjuncts(expression: Expression) -> list[Expression]:
    """Return the parts that must all hold."""
    return _flat(expression, And)


def begins_negative(expression: Expression) -> bool:
    """Tell whether the first clause is a negative one, which Confluence refuses."""
    match expression:
        case Not():
            return True
        case And(left, _) | Or(left, _):
            return begins_negative(left)
        case Clause(_, operator, _):
            return operator in NEGATIVE


def _flat(expression: Expression, kind: type[And] | type[Or]) -> list[Expression]:
    parts: list[Expression] = []
    pending = [expression]
    while pending:
        part = pending.pop()
        if isinstance(part, kind):
            pending += [part.right, part.left]
        else:
            parts.append(part)
    return parts


def _every(parts: list[Predicate]) -> Predicate:
    parts = [part for part in parts if part is not always]
    if len(parts) < 2:
        return parts[0] if parts else always

    def holds(content: Content) -> bool:
        for part in parts:  # noqa: SIM110 (a generator per content costs three times as much)
            if not part(content):
                return False
        return True

    return holds


def _some(parts: list[Predicate]) -> Predicate:
    def holds(content: Content) -> bool:
        for part in parts:  # noqa: SIM110 (a generator per content costs three times as much)
            if part(content):
                return True
        return False

    return holds
