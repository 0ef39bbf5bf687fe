"""What is known for sure of one item, and whether a query holds by it. Asked where search may be wrong.

The index lags, and a content property can be written by every editor. What a query says about dates is compared with
the item as read by id; what it says about our statuses with the ledger, never with the property. Parts that nothing
here can judge (labels, text) are left to search.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from addon.base import known_zone
from addon.base.bounds import utc
from addon.confluence import Content
from addon.confluence.cql import (
    And,
    Clause,
    CqlSyntaxError,
    Expression,
    Function,
    Literal,
    Not,
    Or,
    Query,
    Value,
    clauses,
    parse,
)
from addon.jobs.ledger import LedgerEntry

Fact = str | datetime | None
"""What a field holds; None where the item has no such value."""

_STATUS = {"status": "id", "statusname": "name.value", "previousstatus": "previous", "statuschangedon": "changedon"}
_REVIEW = {"expirationdate": "expirationdate", "reviewedon": "reviewedon"}
_STEP = re.compile(r"([+-]?\d+)([yMwdhm])")
_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[ T](\d{1,2}):(\d{2}))?")


def status_fields(namespace: str) -> dict[str, str]:
    """Return {CQL field in lower case: its short name} for everything that reads our status property."""
    return _fields(namespace, "status", _STATUS)


def review_fields(namespace: str) -> dict[str, str]:
    """Return {CQL field in lower case: its short name} for the dates in the review property."""
    return _fields(namespace, "review", _REVIEW)


def uses_statuses(cql: str, namespace: str) -> bool:
    """Return whether a query reads our statuses, so that only the ledger can confirm it."""
    return bool(read_by(cql, status_fields(namespace)))


def read_by(cql: str, fields: Mapping[str, str]) -> set[str]:
    """Return the short names of those of `fields` that a query reads."""
    return {fields[name] for clause in clauses(_parsed(cql).where) if (name := clause.field.lower()) in fields}


@dataclass(frozen=True, slots=True)
class Inspection:
    """One item as it was read and as the ledger knows it, at one moment.

    `known`: CQL field in lower case -> what it holds; what cannot be known for sure is not in it. `now`: the moment, in
    the site's zone, in which dates of CQL are read (docs/rules/confluence-api.md 8).
    """

    namespace: str
    known: Mapping[str, Fact]
    now: datetime

    @classmethod
    def of(
        cls,
        namespace: str,
        content: Content,
        entry: LedgerEntry | None,
        names: Mapping[str, str],
        review: Mapping[str, Any],
        now: datetime,
    ) -> Inspection:
        """Return what is known of an item.

        Parameters: `content` as read by id, `entry` of the ledger, `names` of statuses by slug, `review` the value of
        its review property.
        """
        status: dict[str, Fact] = {
            "status": entry.slug if entry else None,
            "statusname": names.get(entry.slug) if entry else None,
            "previousstatus": entry.previous if entry else None,
            "statuschangedon": entry.changed_on if entry else None,
        }
        known: dict[str, Fact] = {"type": content.kind, "lastmodified": content.updated_at}
        known["created"] = content.created_at
        known |= {field: status[short] for field, short in status_fields(namespace).items()}
        return cls(namespace, known | _review_facts(namespace, review), now)

    @classmethod
    def of_review(cls, namespace: str, review: Mapping[str, Any], now: datetime) -> Inspection:
        """Return what the value of a review property says, and nothing else."""
        return cls(namespace, _review_facts(namespace, review), now)

    def without(self, fields: Collection[str]) -> Inspection:
        """Return the inspection that knows nothing of `fields`."""
        return replace(self, known={field: fact for field, fact in self.known.items() if field not in fields})

    def judge(self, clause: Clause) -> bool | None:
        """Return whether a condition holds by what is known, None where that cannot be said."""
        return _clause(clause, self.known, self.now)

    def confirms(self, cql: str) -> bool:
        """Return whether nothing known for sure speaks against the match that search reported.

        A condition on our statuses that cannot be judged here speaks against it: search reads them from a property
        that every editor can write.
        """
        where = _parsed(cql).where
        fields = status_fields(self.namespace)
        for clause in clauses(where):
            if clause.field.lower() in fields and self.judge(clause) is None:
                return False
        return where is None or _holds(where, self.known, self.now) is not False

    def proves(self, cql: str) -> bool:
        """Return whether a query holds by what is known alone, whatever search says and whatever else may be."""
        where = _parsed(cql).where
        return where is None or _holds(where, self.known, self.now) is True


def _review_facts(namespace: str, review: Mapping[str, Any]) -> dict[str, Fact]:
    reviewed: dict[str, Fact] = {
        "expirationdate": stored_date(review.get("expirationDate")),
        "reviewedon": stored_date(review.get("reviewedOn")),
    }
    return {field: reviewed[short] for field, short in review_fields(namespace).items()}


def names_a_day(cql: str) -> bool:
    """Return whether a query compares with a date that is written out, whose meaning depends on the site's zone."""
    try:
        values = [value for clause in clauses(_parsed(cql).where) for value in clause.values]
    except CqlSyntaxError:
        return False
    return any(isinstance(value, Literal) and _DATE.fullmatch(value.text.strip()) is not None for value in values)


def site_time(now: datetime, time_zone: str) -> datetime:
    """Return `now` in the zone that the site names; in UTC where no such zone is known."""
    try:
        return now.astimezone(known_zone(time_zone))
    except ValueError:
        return now


@lru_cache(maxsize=256)
def _parsed(cql: str) -> Query:
    return parse(cql)


def _holds(expression: Expression, known: Mapping[str, Fact], now: datetime) -> bool | None:
    match expression:
        case And(left, right):
            sides = (_holds(left, known, now), _holds(right, known, now))
            return False if False in sides else (None if None in sides else True)
        case Or(left, right):
            sides = (_holds(left, known, now), _holds(right, known, now))
            return True if True in sides else (None if None in sides else False)
        case Not(operand):
            value = _holds(operand, known, now)
            return None if value is None else not value
        case Clause():
            return _clause(expression, known, now)


def _clause(clause: Clause, known: Mapping[str, Fact], now: datetime) -> bool | None:
    field = clause.field.lower()
    if field not in known:
        return None
    value = known[field]
    negative = clause.operator in ("!=", "not in", "!~")
    if value is None:
        return negative
    if isinstance(value, datetime):
        return _dated(clause, value, now)
    wanted = [value.text for value in clause.values if isinstance(value, Literal)]
    if len(wanted) != len(clause.values) or clause.operator not in ("=", "!=", "in", "not in"):
        return None
    if field == "type":
        wanted = [text.lower() for text in wanted]
    return (value in wanted) != negative


def _dated(clause: Clause, value: datetime, now: datetime) -> bool | None:
    limit = _moment(clause.values[0], now)
    if limit is None or clause.operator not in ("<", "<=", ">", ">="):
        return None
    if clause.operator in ("<", "<="):
        return value <= limit
    return value >= limit


def _moment(value: Value, now: datetime) -> datetime | None:
    """Return the time a value means, None for what is not understood here."""
    if isinstance(value, Literal):
        return _literal(value.text, now.tzinfo or UTC)
    if isinstance(value, Function) and value.name.lower() == "now" and len(value.args) <= 1:
        return _stepped(now, value.args[0]) if value.args else now
    return None


def _stepped(now: datetime, step: str) -> datetime | None:
    found = _STEP.fullmatch(step.strip())
    if found is None:
        return None
    try:
        number, unit = int(found[1]), found[2]
        if unit in "yM":
            return _months(now, number * (12 if unit == "y" else 1))
        if unit in "wd":
            return now + timedelta(days=number * (7 if unit == "w" else 1))
        return now.astimezone(UTC) + timedelta(minutes=number * (60 if unit == "h" else 1))
    except (OverflowError, ValueError):
        return None


def _months(now: datetime, number: int) -> datetime:
    index = now.year * 12 + now.month - 1 + number
    year, month = divmod(index, 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))


def _literal(text: str, zone: tzinfo) -> datetime | None:
    found = _DATE.fullmatch(text.strip())
    if found is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in found.groups()), tzinfo=zone)  # type: ignore[arg-type,misc]
    except ValueError:
        return None


def stored_date(value: Any) -> datetime | None:
    """Read a date as people's properties hold it."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) <= len("2026-11-22"):
            day = date.fromisoformat(value)
            return utc(datetime(day.year, day.month, day.day, tzinfo=UTC))
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return utc(at)


def _fields(namespace: str, kind: str, names: Mapping[str, str]) -> dict[str, str]:
    prefix = f"content.property[{namespace}-{kind}]".lower()
    aliases = {f"{namespace.lower()}{short}": short for short in names}
    return aliases | {f"{prefix}.{path}": short for short, path in names.items()}
