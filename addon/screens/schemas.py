"""The shapes that the JSON API's features share: how answers, bodies and queries are read and written.

A feature's own models are next to its operations (`addon.screens.api`). The models are the one source of validation, of
serialisation and of the OpenAPI document.
"""

from __future__ import annotations

import re
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from addon.policies import PolicyDocument

Item = TypeVar("Item")

SpaceKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9~_:.\-]{1,255}$")]


def _decimal(value: object) -> object:
    """Refuse what int() reads besides plain digits: signs, blanks, underscores, leading zeros, other alphabets."""
    if isinstance(value, str) and not re.fullmatch(r"0|[1-9][0-9]*", value):
        raise ValueError("must be a number in plain digits")
    if isinstance(value, str) and len(value) > 18:
        raise ValueError("is too large")
    return value


Decimal = Annotated[int, BeforeValidator(_decimal)]
Limit = Annotated[Decimal, Field(ge=1, le=100)]
Cql = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Model(BaseModel):
    """An answer: camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Body(Model):
    """A request body: nothing unknown, nothing coerced, and one name for each field."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class Query(Model):
    """A request's query parameters: nothing unknown, one name for each, and one way to write a number."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class InSpace(Query):
    """The scope of a read: a space's own screen repeats its key with every call; without it the site is meant."""

    space_key: SpaceKey | None = None


class Page(InSpace):
    """One page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 25


class List(Model, Generic[Item]):
    """One page of a list; `nextCursor` leads to the next one and is null on the last."""

    items: list[Item]
    next_cursor: str | None = None


class StatusInfo(Model):
    """A content status as the policies name and colour it."""

    id: str
    name: str
    colour: str


def statuses(policies: PolicyDocument) -> list[StatusInfo]:
    """Return the content statuses of the policies, in their order."""
    return [StatusInfo(id=each.id, name=each.name, colour=each.colour) for each in policies.statuses]
