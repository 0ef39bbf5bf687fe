"""Search: a CQL text parsed, candidates picked, filtered and sorted, for the app or for a person, and cached.

The cache serves the pages of one walk. It holds as long as nothing changed in the spaces searched; after a change the
next page is cut from a new result, so that rows move under a walking client as they do in Confluence.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from addon.confluence import cql
from addon.confluence.cql import Clause, Expression
from addon.sandbox import extractions
from addon.sandbox.evaluate import begins_negative, compile_all, conjuncts
from addon.sandbox.fields import NEGATIVE, CannotEvaluate, World, space_ids, texts
from addon.sandbox.index import Shelf
from addon.sandbox.people import BOT
from addon.sandbox.records import Content, Space

if TYPE_CHECKING:
    from addon.sandbox.site import Site

CACHED_RESULTS = 64


class CqlRejected(ValueError):
    """The site refuses the query; the message is in Confluence's words (docs/rules/confluence-api.md 2.2)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One search: the CQL text, the content statuses, which spaces, the context of currentSpace(), and for whom."""

    cql: str
    statuses: frozenset[str] = frozenset({"current"})
    archived_spaces: bool = False
    current_spaces: bool = True
    context_space: str | None = None
    context_content: str | None = None
    viewer: str = BOT
    """The account that sees the results: the app's own user, or a person."""


def question(
    text: str, cqlcontext: str | None, *, archived_spaces: bool = False, current_spaces: bool = True
) -> Question:
    """Return the question of a request. Raises CqlRejected when `cqlcontext` is not the JSON Confluence expects."""
    if not cqlcontext:
        return Question(text, archived_spaces=archived_spaces, current_spaces=current_spaces)
    try:
        context = json.loads(cqlcontext)
    except ValueError:
        raise CqlRejected("Could not parse cql context") from None
    statuses = context.get("contentStatuses", ["current"]) if isinstance(context, dict) else None
    if not isinstance(statuses, list) or not {"current", "archived", "draft"}.issuperset(map(str, statuses)):
        raise CqlRejected("Could not parse cql context")
    named = frozenset(map(str, statuses))
    return Question(text, named, archived_spaces, current_spaces, context.get("spaceKey"), context.get("contentId"))


@dataclass(slots=True)
class _Cached:
    spaces: tuple[str, ...]
    generation: tuple[int, ...]
    hits: list[Content]


@dataclass(slots=True)
class _Plan:
    """How candidates are found: by id, else space by space, there by property key where one is required.

    `rest` are the conditions that the candidates do not meet already by how they were found.
    """

    spaces: list[str]
    ids: set[str] | None = None
    property_key: str | None = None
    rest: list[Expression] = field(default_factory=list)


@dataclass(slots=True)
class Search:
    """The search of one site. No one finds what they may not see (docs/rules/confluence-api.md 2.2)."""

    site: Site
    _cache: OrderedDict[Question, _Cached] = field(default_factory=OrderedDict)

    def hits(self, asked: Question, *, continued: bool = False) -> list[Content]:
        """Return all matches in order, as the index holds them. Raises CqlRejected.

        A `continued` walk may be served from the result of its first page.
        """
        shelf = self.site.index.current()
        cached = self._cache.get(asked) if continued else None
        if cached is not None and cached.generation == shelf.generation(cached.spaces):
            self._cache.move_to_end(asked)
            return cached.hits
        spaces, hits = self._evaluate(asked, shelf)
        self._cache[asked] = _Cached(spaces, shelf.generation(spaces), hits)
        self._cache.move_to_end(asked)
        if len(self._cache) > CACHED_RESULTS:
            self._cache.popitem(last=False)
        return hits

    def spaces(self, asked: Question) -> list[Space] | None:
        """Return what a search for spaces finds, None when the query asks for contents.

        Understands `type = space`, alone or with conditions on keys and labels. The index of spaces does not lag.
        """
        try:
            query = cql.parse(asked.cql)
        except cql.CqlSyntaxError:
            return None
        parts = conjuncts(query.where) if query.where is not None else []
        clauses = {
            part.field.lower(): part for part in parts if isinstance(part, Clause) and part.operator in ("=", "in")
        }
        kind = clauses.pop("type", None)
        world = self._world(asked, self.site.index.current(), self.site.clock.now())
        if kind is None or [text.lower() for text in texts(kind, world)] != ["space"]:
            return None
        if len(clauses) + 1 != len(parts) or not clauses.keys() <= {"space", "space.key", "label"}:
            raise CqlRejected(f"Could not parse cql : {asked.cql}")
        found = [world.spaces[space_id] for space_id in self._visible(asked, world)]
        for name, clause in clauses.items():
            wanted = {text.lower() for text in texts(clause, world)}
            found = [
                space
                for space in found
                if (wanted & set(space.labels) if name == "label" else space.key.lower() in wanted)
            ]
        return found

    def _visible(self, asked: Question, world: World) -> list[str]:
        statuses = ({"archived"} if asked.archived_spaces else set()) | ({"current"} if asked.current_spaces else set())
        return [
            space.id
            for space in world.spaces.values()
            if space.status in statuses and self.site.access.enters(asked.viewer, space.id)
        ]

    def _evaluate(self, asked: Question, shelf: Shelf) -> tuple[tuple[str, ...], list[Content]]:
        refusal = f"Could not parse cql : {asked.cql}"
        try:
            query = cql.parse(asked.cql)
        except cql.CqlSyntaxError:
            raise CqlRejected(refusal) from None
        if query.where is not None and begins_negative(query.where):
            raise CqlRejected(refusal)
        world = self._world(asked, shelf, self.site.clock.now())
        try:
            plan = self._plan(query.where, world, asked)
            matches = compile_all(plan.rest, world)
            order = _order(query.order_by)
        except CannotEvaluate:
            raise CqlRejected(refusal) from None
        hits = [record for record in _candidates(plan, shelf, asked.statuses) if matches(record)]
        if self.site.access.any_restrictions:
            hits = [record for record in hits if self.site.access.passes_view(record, asked.viewer)]
        hits.sort(key=lambda record: int(record.id))
        for key, descending in reversed(order):
            hits.sort(key=key, reverse=descending)
        return tuple(plan.spaces), hits

    def _world(self, asked: Question, shelf: Shelf, now: datetime) -> World:
        site = self.site
        spaces = {space.id: space for space in site.spaces()}
        fields = extractions.declared(site.addons.values())
        return World(
            shelf,
            now,
            site.time_zone,
            spaces,
            fields,
            site.negations,
            asked.viewer,
            asked.context_space,
            asked.context_content,
        )

    def _plan(self, where: Expression | None, world: World, asked: Question) -> _Plan:
        plan = _Plan(self._visible(asked, world))
        for part in conjuncts(where) if where else ():
            met = isinstance(part, Clause) and part.operator not in NEGATIVE and _narrow(plan, part, world)
            if not met:
                plan.rest.append(part)
        return plan


def _narrow(plan: _Plan, clause: Clause, world: World) -> bool:
    """Narrow the candidates by a clause that must hold; tell whether they all meet it now."""
    name = clause.field.lower()
    ids: Iterable[str] | None = None
    if name in ("space", "space.key") and clause.operator in ("=", "in"):
        named = space_ids(world, clause)
        plan.spaces = [space_id for space_id in plan.spaces if space_id in named]
        return True
    if name in ("id", "content"):
        ids = texts(clause, world)
    elif name == "parent":
        ids = [record.id for page in texts(clause, world) for record in world.shelf.children(page)]
    elif name == "ancestor":
        ids = [record.id for page in texts(clause, world) for record in world.shelf.descendants(page)]
    elif name in world.fields:
        plan.property_key = world.fields[name].property_key
    if ids is not None:
        plan.ids = set(ids) if plan.ids is None else plan.ids & set(ids)
    return False


def _candidates(plan: _Plan, shelf: Shelf, statuses: frozenset[str]) -> Iterator[Content]:
    if plan.ids is not None:
        allowed = frozenset(plan.spaces)
        for content_id in plan.ids:
            found = shelf.get(content_id)
            if found is not None and found.space_id in allowed and found.status in statuses:
                yield found
        return
    key = plan.property_key
    for space_id in plan.spaces:
        pool = shelf.in_space(space_id) if key is None else shelf.with_property(key, space_id)
        for record in pool.values():
            if record.status in statuses:
                yield record


_SORTS: Mapping[str, Any] = {
    "created": attrgetter("created_at"),
    "lastmodified": attrgetter("updated_at"),
    "title": lambda record: record.title.lower(),
    "id": lambda record: int(record.id),
    "content": lambda record: int(record.id),
    "type": attrgetter("kind"),
    "creator": attrgetter("author_id"),
    "space": attrgetter("space_id"),
}


def _order(order_by: tuple[tuple[str, bool], ...]) -> list[tuple[Any, bool]]:
    try:
        return [(_SORTS[name.lower()], descending) for name, descending in order_by]
    except KeyError as error:
        raise CannotEvaluate(f"order by {error}") from None
