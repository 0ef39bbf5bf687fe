"""The compiled, planned and indexed search agrees with a plain reading of the query, content by content."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.confluence.cql import And, Clause, Expression, Function, Literal, Not, Or, to_cql
from addon.sandbox.people import BOT
from addon.sandbox.records import Content
from addon.sandbox.search import Question
from addon.sandbox.site import Site
from tests.support.clock import VirtualClock
from tests.support.site import ADDON_KEY, CLIENT_KEY, DESCRIPTOR, SECRET

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SLUGS = ("expired", "not-updated", "up-to-date")
NEGATIVE = {"!=": "=", "not in": "in"}
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}

equality = st.sampled_from(["=", "!=", "in", "not in"])
comparison = st.sampled_from(list(ORDER))


def _values(operator: str, words: list[str]) -> tuple[Literal, ...]:
    chosen = words if "in" in operator else words[:1]
    return tuple(Literal(word) for word in chosen)


def words(field: str, *choices: str) -> st.SearchStrategy[Expression]:
    several = st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True)
    return st.builds(lambda operator, chosen: Clause(field, operator, _values(operator, chosen)), equality, several)


def ages(field: str) -> st.SearchStrategy[Expression]:
    return st.builds(
        lambda operator, days: Clause(field, operator, (Function("now", (f"-{days}d",)),)),
        comparison,
        st.integers(0, 40),
    )


pages = [str(number) for number in range(65_537, 65_560)]
clause = st.one_of(
    words("type", "page", "blogpost"),
    words("space", "A", "B", "C"),
    words("label", "red", "blue"),
    words("creator", "u-1", "u-2"),
    words("stewardStatus", *SLUGS),
    words("id", *pages),
    words("parent", *pages),
    words("ancestor", *pages),
    ages("lastmodified"),
    ages("created"),
    ages("stewardExpirationDate"),
)
expression = st.recursive(
    clause,
    lambda inner: st.one_of(st.builds(And, inner, inner), st.builds(Or, inner, inner), st.builds(Not, inner)),
    max_leaves=8,
)
content = st.fixed_dictionaries(
    {
        "space": st.sampled_from("ABC"),
        "blogpost": st.booleans(),
        "author": st.sampled_from(["u-1", "u-2"]),
        "age": st.integers(0, 40),
        "idle": st.integers(0, 40),
        "labels": st.sets(st.sampled_from(["red", "blue"])),
        "parent": st.integers(0, 12),
        "slug": st.sampled_from([None, *SLUGS]),
        "expires": st.one_of(st.none(), st.integers(-40, 40)),
        "fate": st.sampled_from(["current"] * 6 + ["archived", "trashed", "restricted", "moved"]),
    }
)


def build(rows: list[dict[str, Any]], negation: Any) -> Site:
    site = Site(VirtualClock(NOW), negation=negation)
    site.register_addon(ADDON_KEY, CLIENT_KEY, SECRET, DESCRIPTOR)
    for key in "ABC":
        site.add_space(key, homepage=False)
    made: list[Content] = []
    for row in rows:
        created = NOW - timedelta(days=row["age"], hours=1)
        times = {"created_at": created, "updated_at": max(created, NOW - timedelta(days=row["idle"], hours=1))}
        options = {**times, "author": row["author"], "labels": sorted(row["labels"])}
        if row["blogpost"]:
            made.append(site.add_blogpost(row["space"], "Post", **options))
        else:
            above = [page.id for page in made if page.kind == "page" and site.get(page.id).space_id == _id(site, row)]
            parent = above[row["parent"]] if row["parent"] < len(above) else None
            made.append(site.add_page(row["space"], "Page", parent=parent, **options))
        _decide(site, made[-1].id, row)
    return site


def _id(site: Site, row: dict[str, Any]) -> str:
    return site.space(row["space"]).id


def _decide(site: Site, content_id: str, row: dict[str, Any]) -> None:
    if row["slug"]:
        site.set_property(content_id, "steward-status", {"id": "to be replaced"})
        site.set_property(content_id, "steward-status", {"id": row["slug"]})
    if row["expires"] is not None:
        at = NOW + timedelta(days=row["expires"], hours=-1)
        site.set_property(content_id, "steward-review", {"expirationDate": at.isoformat()})
    match row["fate"]:
        case "archived" if not row["blogpost"]:
            site.archive(content_id)
        case "trashed":
            site.trash(content_id)
        case "restricted":
            site.restrict(content_id, users=["u-1"])
        case "moved":
            site.move(content_id, space_key="C")


def plain(site: Site, wanted: Expression, record: Content) -> bool:
    """Read the query word by word for one content."""
    if isinstance(wanted, And):
        return plain(site, wanted.left, record) and plain(site, wanted.right, record)
    if isinstance(wanted, Or):
        return plain(site, wanted.left, record) or plain(site, wanted.right, record)
    if isinstance(wanted, Not):
        return refuted(site, wanted.operand, record)
    held = _held(site, wanted.field, record)
    if wanted.operator in ORDER:
        days = int(wanted.values[0].args[0][1:-1])  # type: ignore[union-attr]
        return any(ORDER[wanted.operator](value, NOW - timedelta(days=days)) for value in held)
    listed = any(value.text in held for value in wanted.values)  # type: ignore[union-attr]
    if wanted.operator not in NEGATIVE:
        return listed
    if wanted.field == "stewardStatus" and not held:
        return site.negation == "inclusive"
    return not listed


def refuted(site: Site, inner: Expression, record: Content) -> bool:
    """Read NOT word by word; of what is lacking nothing is refuted where the site reads it so."""
    if isinstance(inner, And):
        return refuted(site, inner.left, record) or refuted(site, inner.right, record)
    if isinstance(inner, Or):
        return refuted(site, inner.left, record) and refuted(site, inner.right, record)
    if isinstance(inner, Not):
        return plain(site, inner.operand, record)
    if inner.field.startswith("steward") and site.negation == "exclusive" and not _held(site, inner.field, record):
        return False
    return not plain(site, inner, record)


def _held(site: Site, field: str, record: Content) -> list[Any]:
    """The values of a field, none when the content has no such thing."""
    status, review = record.properties.get("steward-status"), record.properties.get("steward-review")
    above = [site.get(record.parent_id)] if record.parent_id else []
    while above and above[-1].parent_id:
        above.append(site.get(above[-1].parent_id))
    values: dict[str, list[Any]] = {
        "type": [record.kind],
        "space": [site.space_by_id(record.space_id).key],
        "label": list(record.labels),
        "creator": [record.author_id],
        "stewardStatus": [status.value["id"]] if status else [],
        "stewardExpirationDate": [datetime.fromisoformat(review.value["expirationDate"])] if review else [],
        "id": [record.id],
        "parent": [record.parent_id] if record.parent_id else [],
        "ancestor": [page.id for page in above],
        "lastmodified": [record.updated_at],
        "created": [record.created_at],
    }
    return values[field]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(content, max_size=14), expression, st.sampled_from(["inclusive", "exclusive"]), st.booleans())
def test_search_agrees_with_a_plain_reading(rows: list[Any], wanted: Expression, negation: str, archived: bool) -> None:
    site = build(rows, negation)
    whole = And(Clause("type", "in", (Literal("page"), Literal("blogpost"))), wanted)
    status: Any = "archived" if archived else "current"
    expected = [
        record.id
        for record in site.contents(status=status)
        if site.access.can_view(BOT, record) and plain(site, wanted, record)
    ]
    found = site.search.hits(Question(to_cql(whole), frozenset({status})))
    assert [record.id for record in found] == sorted(expected, key=int)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(content, max_size=10), st.lists(content, max_size=6), expression)
def test_a_lagging_index_answers_as_the_site_was(before: list[Any], after: list[Any], wanted: Expression) -> None:
    site = build([row | {"fate": "current"} for row in before], "inclusive")
    question = Question(to_cql(And(Clause("type", "in", (Literal("page"), Literal("blogpost"))), wanted)))
    was = [record.id for record in site.search.hits(question)]
    site.index_lag = 60
    for number, row in enumerate(after):
        changed = list(site.contents(status=None))
        if changed:
            _decide(site, changed[number % len(changed)].id, row | {"fate": "trashed" if number % 2 else "moved"})
    assert [record.id for record in site.search.hits(question)] == was
    site.index.catch_up()
    seen_late = [record.id for record in site.search.hits(question)]
    site.index_lag = 0
    assert [record.id for record in site.search.hits(question)] == seen_late
