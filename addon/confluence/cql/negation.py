"""CQL in the plain reading, in which a negation also holds for content that lacks the field, put to any site.

Not every site reads negations so (docs/rules/statuses.md 5.5), and Confluence's documents do not say
(docs/rules/confluence-api.md 4.1). A query is therefore taken apart into pieces, "what meets this but not that",
neither side of which negates a field that content may lack: the same contents are found on every site by asking for the
one and leaving out what the other finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from addon.confluence.cql.parser import And, Clause, CqlSyntaxError, Expression, Not, Or, clauses, parse, to_cql
from addon.confluence.cql.queries import all_of, any_of

MOST_PIECES = 24
"""More alternatives than that make more questions than they are worth."""
POSITIVE = {"!=": "=", "not in": "in", "!~": "~"}
OF_EVERY_CONTENT = frozenset(
    {"type", "space", "space.key", "space.type", "space.title", "id", "content", "title", "text", "created"}
    | {"lastmodified", "creator", "contributor"}
)
"""Fields that every page and blog post has: how a site reads a negation of one makes no difference."""
OF_CONFLUENCE = OF_EVERY_CONTENT | {
    *("ancestor", "parent", "label", "macro", "mention", "container", "pagestatus"),
    *("watcher", "favourite", "favorite"),
}
"""Confluence's own fields (docs/rules/confluence-api.md 8), in lower case; all others are other apps' or ours."""


class TooManyPieces(ValueError):
    """The query has more alternatives around its negations than are asked one by one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What meets `has` but not `lacks`, both CQL; an empty `has` is met by everything, an empty `lacks` by nothing."""

    has: str = ""
    lacks: str = ""


Pieces = tuple[Piece, ...]
Spelling = Literal["written", "not", "pieces"]
"""How negations are put to a site: as written, all as NOT, or, where it does not read them plainly, not at all."""
NEGATION_FORMS = ("!=", "not in", "not")
NEGATION_TYPES = ("string", "date")


def spelling(readings: Mapping[str, str]) -> Spelling:
    """Return how to put negations to a site that was found to read them so.

    `readings`: "<form> <type>", such as "not date", -> inclusive or exclusive; what is not in it is not known.
    """
    if all(readings.get(f"{form} {kind}") == "inclusive" for form in NEGATION_FORMS for kind in NEGATION_TYPES):
        return "written"
    return "not" if all(readings.get(f"not {kind}") == "inclusive" for kind in NEGATION_TYPES) else "pieces"


def spelled(cql: str, way: Spelling, namespace: str) -> Pieces:
    """Return what to ask a site for `cql`; more than one question only in pieces.

    A query that reads another app's field is always asked in pieces: how a site negates those is not known. One that
    has too many pieces is asked as written.
    """
    if way == "pieces" or others_fields(cql, namespace):
        try:
            return holding(cql)
        except TooManyPieces:
            return (Piece(has=cql),)
    return (Piece(has=cql if way == "written" else with_not(cql)),)


@lru_cache(maxsize=512)
def holding(cql: str) -> Pieces:
    """Return pieces that together are what `cql` matches. Raises TooManyPieces.

    Text that is not CQL is one piece: the site's own refusal says what is wrong with it.
    """
    where = _read(cql)
    return (Piece(has=cql),) if where is None else _gathered(_pieces_of(where))


@lru_cache(maxsize=512)
def failing(cql: str) -> Pieces:
    """Return pieces that together are what `cql` does not match. Raises TooManyPieces."""
    where = _read(cql)
    return (Piece(lacks=cql),) if where is None else _gathered(_pieces_without(where))


def widest(pieces: Iterable[Piece]) -> str:
    """Return a condition that all contents of `pieces` meet, and others perhaps; empty where only everything is it."""
    sides = [piece.has for piece in pieces]
    return any_of(*sides) if all(sides) else ""


@lru_cache(maxsize=512)
def with_not(cql: str) -> str:
    """Return `cql` with every negation spelled NOT, which means the same (docs/rules/confluence-api.md 8)."""
    where = _read(cql)
    return cql if where is None else to_cql(where)


def separable(cql: str) -> bool:
    """Return whether `cql` can be asked in pieces."""
    try:
        return bool(holding(cql) and failing(cql))
    except TooManyPieces:
        return False


def others_fields(cql: str, namespace: str) -> list[str]:
    """Return the fields of other apps that `cql` reads, as written: how sites negate those cannot be found out."""
    return sorted({clause.field for clause in _clauses(cql) if _is_others(clause, namespace)})


def others_negated(cql: str, namespace: str) -> list[str]:
    """Return those fields of other apps that `cql` negates."""
    try:
        where = parse(cql).where
    except CqlSyntaxError:
        return []
    negated = (clause for clause in _negated(_straight(where))) if where is not None else ()
    return sorted({clause.field for clause in negated if _is_others(clause, namespace)})


def _is_others(clause: Clause, namespace: str) -> bool:
    name, own = clause.field.lower(), namespace.lower()
    prefixes = (own, f"content.property[{own}")
    return name not in OF_CONFLUENCE and not name.startswith(prefixes)


def _clauses(cql: str) -> Iterator[Clause]:
    try:
        yield from clauses(parse(cql).where)
    except CqlSyntaxError:
        return


def _read(cql: str) -> Expression | None:
    try:
        where = parse(cql).where
    except CqlSyntaxError:
        return None
    return None if where is None else _straight(where)


def _straight(expression: Expression, negated: bool = False) -> Expression:
    """Return the same with NOT over single positive conditions only."""
    match expression:
        case Not(operand):
            return _straight(operand, not negated)
        case And(left, right) | Or(left, right):
            kind = And if isinstance(expression, And) is not negated else Or
            return kind(_straight(left, negated), _straight(right, negated))
        case Clause(name, operator, values):
            if operator in POSITIVE:
                negated = not negated
                expression = Clause(name, POSITIVE[operator], values)
            return Not(expression) if negated else expression


def _negated(expression: Expression) -> Iterator[Clause]:
    match expression:
        case Not(Clause() as clause):
            yield clause
        case And(left, right) | Or(left, right):
            yield from _negated(left)
            yield from _negated(right)


def _sure(expression: Expression) -> bool:
    """Return whether every site reads a straight expression in the same way."""
    return all(clause.field.lower() in OF_EVERY_CONTENT for clause in _negated(expression))


def _pieces_of(expression: Expression) -> list[Piece]:
    if _sure(expression):
        return [Piece(has=to_cql(expression))]
    match expression:
        case Not(operand):
            return [Piece(lacks=to_cql(operand))]
        case And(left, right):
            return _crossed(_pieces_of(left), _pieces_of(right))
        case Or(left, right):
            return [*_pieces_of(left), *_pieces_of(right)]
    raise AssertionError("a condition without a negation is sure")


def _pieces_without(expression: Expression) -> list[Piece]:
    if _sure(expression):
        return [Piece(lacks=to_cql(expression))]
    match expression:
        case Not(operand):
            return [Piece(has=to_cql(operand))]
        case And(left, right):
            return [*_pieces_without(left), *_pieces_without(right)]
        case Or(left, right):
            return _crossed(_pieces_without(left), _pieces_without(right))
    raise AssertionError("a condition without a negation is sure")


def crossed(first: Pieces, second: Pieces) -> Pieces:
    """Return pieces of what is in both. Raises TooManyPieces."""
    return _gathered(_crossed(first, second))


def _crossed(first: Iterable[Piece], second: Iterable[Piece]) -> list[Piece]:
    second = list(second)
    pieces = [Piece(_joined(all_of, a.has, b.has), _joined(any_of, a.lacks, b.lacks)) for a in first for b in second]
    if len(pieces) > MOST_PIECES:
        raise TooManyPieces
    return pieces


def _gathered(pieces: Iterable[Piece]) -> Pieces:
    """Return the same with fewer pieces: those that leave out the same, and those that meet the same, are one."""
    by_lacks: dict[str, list[str]] = {}
    for piece in pieces:
        sides = by_lacks.setdefault(piece.lacks, [])
        if piece.has not in sides:
            sides.append(piece.has)
    by_has: dict[str, list[str]] = {}
    for lacks, sides in by_lacks.items():
        has = _joined(any_of, *sides) if all(sides) else ""
        by_has.setdefault(has, []).append(lacks)
    found = [Piece(has, _joined(all_of, *sides) if all(sides) else "") for has, sides in by_has.items()]
    if len(found) > MOST_PIECES:
        raise TooManyPieces
    return tuple(found)


def _joined(join: Callable[..., str], *parts: str) -> str:
    """Join what is not empty, a single part without parentheses of its own."""
    given = [part for part in parts if part]
    return given[0] if len(given) == 1 else join(*given)
