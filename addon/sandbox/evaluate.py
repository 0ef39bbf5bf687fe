"""Evaluation of CQL: the AST of addon.confluence.cql.parser compiled into a predicate over contents.

Fields, operators and the equivalence of `!=` with NOT: docs/rules/confluence-api.md 8. Whether a negation finds content
that lacks an indexed property is for the site's `negations` to say; NOT over AND and OR is read into their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from addon.confluence.cql import And, Clause, Expression, Function, Literal, Not, Or, Value
from addon.sandbox import dates, wording
from addon.sandbox.extractions import Extraction
from addon.sandbox.index import Shelf
from addon.sandbox.negations import Negations
from addon.sandbox.records import Content, Space

Predicate = Callable[[Content], bool]

TYPES = frozenset({"page", "blogpost", "comment", "attachment", "whiteboard", "database", "embed", "folder", "space"})
EQUALITY = frozenset({"=", "!=", "in", "not in"})
TEXTUAL = frozenset({"~", "!~"})
ORDERED = frozenset({"=", "!=", ">", ">=", "<", "<="})
NEGATIVE = {"!=": "=", "not in": "in", "!~": "~"}
UNMATCHED_FIELDS = frozenset({"macro", "mention", "watcher", "favourite", "favorite", "container", "pagestatus"})
"""Fields Confluence has and this site stores nothing for: they compare with no value."""


class CannotEvaluate(ValueError):
    """Confluence would not parse this: unknown field, function or operator, or a wrong value."""


@dataclass(frozen=True, slots=True)
class World:
    """What an evaluation may look at. `context_*` serve currentSpace() and currentContent()."""

    shelf: Shelf
    now: datetime
    zone: ZoneInfo
    spaces: Mapping[str, Space]
    fields: Mapping[str, Extraction]
    negations: Negations
    current_user: str
    context_space: str | None = None
    context_content: str | None = None


class _Handler(Protocol):
    def __call__(self, world: World, clause: Clause) -> Predicate: ...


def compile_cql(expression: Expression, world: World) -> Predicate:
    """Return the predicate of `expression`. Raises CannotEvaluate."""
    match expression:
        case Clause():
            return _clause(expression, world)
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
            positive = _clause(operand, world)
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


def texts(clause: Clause, world: World) -> list[str]:
    """Return the plain values of a clause, with user and context functions resolved. Raises CannotEvaluate."""
    found: list[str] = []
    for value in clause.values:
        if isinstance(value, Literal):
            found.append(value.text)
            continue
        name = value.name.lower()
        if name == "currentuser":
            found.append(world.current_user)
        elif name == "currentspace" and world.context_space:
            found.append(world.context_space)
        elif name == "currentcontent" and world.context_content:
            found.append(world.context_content)
        elif name in ("favouritespaces", "recentlyviewedcontent", "recentlyviewedspaces"):
            continue
        else:
            raise CannotEvaluate(f"{value.name}()")
    return found


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


def _always(_content: Content) -> bool:
    return True


def _every(parts: list[Predicate]) -> Predicate:
    parts = [part for part in parts if part is not _always]
    if len(parts) < 2:
        return parts[0] if parts else _always

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


def _clause(clause: Clause, world: World) -> Predicate:
    name = clause.field.lower()
    handler = _FIELDS.get(name)
    if handler is not None:
        return handler(world, clause)
    extraction = world.fields.get(name)
    if extraction is None:
        raise CannotEvaluate(f"field {clause.field}")
    return _indexed(extraction, world, clause)


def _negatable(clause: Clause, positive: Predicate) -> Predicate:
    if clause.operator in NEGATIVE:
        return lambda content: not positive(content)
    return positive


def _allow(clause: Clause, operators: frozenset[str]) -> None:
    if clause.operator not in operators:
        raise CannotEvaluate(f"operator {clause.operator} on {clause.field}")


# plain fields


def _single(value_of: Callable[[Content], str]) -> _Handler:
    def handler(world: World, clause: Clause) -> Predicate:
        _allow(clause, EQUALITY)
        wanted = frozenset(text.lower() for text in texts(clause, world))
        return _negatable(clause, lambda content: value_of(content) in wanted)

    return handler


def _several(values_of: Callable[[Content], tuple[str, ...]]) -> _Handler:
    def handler(world: World, clause: Clause) -> Predicate:
        _allow(clause, EQUALITY)
        wanted = frozenset(texts(clause, world))
        return _negatable(clause, lambda content: not wanted.isdisjoint(values_of(content)))

    return handler


def _type(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY)
    wanted = frozenset(text.lower() for text in texts(clause, world))
    unknown = wanted - TYPES
    if unknown:
        raise CannotEvaluate(f"type {', '.join(sorted(unknown))}")
    if {"page", "blogpost"} <= wanted:
        return _negatable(clause, _always)
    return _negatable(clause, lambda content: content.kind in wanted)


def space_ids(world: World, clause: Clause) -> frozenset[str]:
    """Return the ids of the spaces a positive clause on `space` names."""
    wanted = {text.lower() for text in texts(clause, world)}
    return frozenset(space.id for space in world.spaces.values() if space.key.lower() in wanted)


def _space(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY)
    wanted = space_ids(world, clause)
    return _negatable(clause, lambda content: content.space_id in wanted)


def _space_type(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY)
    wanted = {text.lower() for text in texts(clause, world)}
    ids = frozenset(space.id for space in world.spaces.values() if space.type in wanted)
    return _negatable(clause, lambda content: content.space_id in ids)


def _space_title(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY | TEXTUAL)
    test = _text_test(clause, world)
    ids = frozenset(space.id for space in world.spaces.values() if test(space.name))
    return _negatable(clause, lambda content: content.space_id in ids)


def _title(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY | TEXTUAL)
    test = _text_test(clause, world)
    return _negatable(clause, lambda content: test(content.title))


def _text(world: World, clause: Clause) -> Predicate:
    _allow(clause, TEXTUAL)
    test = _text_test(clause, world)
    return _negatable(clause, lambda content: test(" ".join((content.title, content.body, *content.labels))))


def _ancestor(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY)
    wanted = frozenset(texts(clause, world))
    known: dict[str, bool] = {}
    get = world.shelf.get

    def below(page_id: str | None) -> bool:
        path: list[str] = []
        answer = False
        while page_id is not None:
            if page_id in wanted:
                answer = True
                break
            seen = known.get(page_id)
            if seen is not None:
                answer = seen
                break
            path.append(page_id)
            record = get(page_id)
            page_id = record.parent_id if record else None
        for step in path:
            known[step] = answer
        return answer

    return _negatable(clause, lambda content: content.parent_id is not None and below(content.parent_id))


def _parent(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY)
    wanted = frozenset(texts(clause, world))
    return _negatable(clause, lambda content: content.parent_id in wanted)


def _nothing(world: World, clause: Clause) -> Predicate:
    _allow(clause, EQUALITY)
    texts(clause, world)
    return _negatable(clause, lambda _content: False)


def _date(value_of: Callable[[Content], datetime]) -> _Handler:
    def handler(world: World, clause: Clause) -> Predicate:
        _allow(clause, ORDERED)
        moment = _moment(clause, world)
        at, until = moment.at, moment.until
        tests: dict[str, Predicate] = {
            ">": lambda content: value_of(content) > at,
            ">=": lambda content: value_of(content) >= at,
            "<": lambda content: value_of(content) < at,
            "<=": lambda content: value_of(content) <= at,
        }
        return tests.get(clause.operator) or _negatable(clause, lambda content: at <= value_of(content) < until)

    return handler


_FIELDS: Mapping[str, _Handler] = {
    "type": _type,
    "space": _space,
    "space.key": _space,
    "space.type": _space_type,
    "space.title": _space_title,
    "label": _several(lambda content: content.labels),
    "creator": _single(lambda content: content.author_id.lower()),
    "contributor": _several(lambda content: content.contributors),
    "created": _date(attrgetter("created_at")),
    "lastmodified": _date(attrgetter("updated_at")),
    "title": _title,
    "text": _text,
    "id": _single(lambda content: content.id),
    "content": _single(lambda content: content.id),
    "parent": _parent,
    "ancestor": _ancestor,
    **dict.fromkeys(UNMATCHED_FIELDS, _nothing),
}


# indexed properties


def _indexed(extraction: Extraction, world: World, clause: Clause) -> Predicate:
    read = extraction.reader()
    test: Callable[[Any], bool]
    if extraction.type == "date":
        _allow(clause, ORDERED | EQUALITY)
        test = _date_value_test(clause, world)
    elif extraction.type == "number":
        _allow(clause, ORDERED | EQUALITY)
        test = _number_test(clause, world)
    else:
        _allow(clause, EQUALITY if extraction.type == "string" else TEXTUAL)
        wanted = frozenset(texts(clause, world))
        test = wanted.__contains__ if extraction.type == "string" else _text_test(clause, world)
    key = extraction.property_key
    if clause.operator not in NEGATIVE:
        # Most contents have no such property: they are let go before the reader is called.
        return lambda content: key in content.properties and (value := read(content)) is not None and test(value)
    missing = world.negations.finds_lacking(clause.operator, extraction.type)
    return lambda content: missing if (value := read(content)) is None else not test(value)


def _number_test(clause: Clause, world: World) -> Callable[[Any], bool]:
    try:
        wanted = [float(text) for text in texts(clause, world)]
    except ValueError:
        raise CannotEvaluate(f"number for {clause.field}") from None
    first = wanted[0] if wanted else 0.0
    return {
        ">": lambda value: value > first,
        ">=": lambda value: value >= first,
        "<": lambda value: value < first,
        "<=": lambda value: value <= first,
    }.get(clause.operator, lambda value: value in wanted)


# values


def _moment(clause: Clause, world: World) -> dates.Moment:
    return _moment_of(clause.values[0], world)


def _moment_of(value: Value, world: World) -> dates.Moment:
    try:
        if isinstance(value, Function):
            return dates.function(value.name, value.args, world.now, world.zone)
        return dates.literal(value.text, world.zone)
    except dates.NotADate as error:
        raise CannotEvaluate(f"date {error}") from None


def _date_value_test(clause: Clause, world: World) -> Callable[[datetime], bool]:
    moments = [_moment_of(value, world) for value in clause.values]
    at = moments[0].at
    return {
        ">": lambda value: value > at,
        ">=": lambda value: value >= at,
        "<": lambda value: value < at,
        "<=": lambda value: value <= at,
    }.get(clause.operator, lambda value: any(moment.at <= value < moment.until for moment in moments))


def _text_test(clause: Clause, world: World) -> Callable[[str], bool]:
    wanted = texts(clause, world)
    return wording.equal_to(wanted) if clause.operator in EQUALITY else wording.containing(wanted[0] if wanted else "")
