"""The fields of CQL as the site reads them: each clause compiled into a predicate over contents.

Fields and operators: docs/rules/confluence-api.md 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from addon.confluence.cql import Clause, Function, Literal, Value
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


def always(_content: Content) -> bool:
    """Hold for every content: a clause that narrows nothing, which a conjunction leaves out."""
    return True


class _Handler(Protocol):
    def __call__(self, world: World, clause: Clause) -> Predicate: ...


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


def compile_clause(clause: Clause, world: World) -> Predicate:
    """Return the predicate of one clause. Raises CannotEvaluate."""
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
        return _negatable(clause, always)
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
