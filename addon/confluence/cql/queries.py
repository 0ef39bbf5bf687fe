"""The building blocks of our queries: positive first, every part in parentheses, never longer than a URL may be.

Confluence reads AND and OR left to right and refuses a leading negation (docs/rules/confluence-api.md 8); every query
of ours therefore begins with the content types and combines parts in parentheses only (docs/rules/statuses.md 5.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar
from urllib.parse import quote as url_quote

from addon.confluence.cql.parser import quote

CONTENT = "type in (page, blogpost)"
URL_BYTES = 6_000
"""Bytes that the varying part of one request's URL may have, encoded: its CQL, or its ids. Our own bound."""
MOST_SPACES = 50


class Keyed(Protocol):
    """Anything with a space's key: a Space, or a job's row for one."""

    @property
    def key(self) -> str:
        """Return the space's key."""
        ...


S = TypeVar("S")
K = TypeVar("K", bound=Keyed)


def in_spaces(spaces: Iterable[Keyed | str], extra: str | None = None) -> str:
    """Return the CQL for the pages and blog posts of `spaces` (or their keys) that also match `extra`.

    Raises ValueError without any space: a query over everything is never meant.
    """
    keys = [key_of(space) for space in spaces]
    if not keys:
        raise ValueError("a query needs at least one space")
    return all_of(CONTENT, f"space in ({', '.join(map(quote, keys))})", extra)


def all_of(*parts: str | None) -> str:
    """Return the conjunction of `parts`, each in parentheses; None and empty parts are left out."""
    return " and ".join(f"({part})" for part in parts if part)


def any_of(*parts: str | None) -> str:
    """Return the disjunction of `parts`, each in parentheses; None and empty parts are left out."""
    return " or ".join(f"({part})" for part in parts if part)


def none_of(*parts: str | None) -> str:
    """Return that none of `parts` holds, empty without parts. Never put it first in a query."""
    joined = any_of(*parts)
    return f"not ({joined})" if joined else ""


def values(texts: Iterable[str]) -> str:
    """Return `texts` as a CQL list: ("a", "b")."""
    return f"({', '.join(map(quote, texts))})"


def key_of(space: Keyed | str) -> str:
    """Return a space's key."""
    return space if isinstance(space, str) else space.key


def encoded_length(cql: str) -> int:
    """Return the bytes that `cql` takes in a URL."""
    return len(url_quote(cql, safe=""))


def group_spaces(
    spaces: Sequence[K], cql_length: int, *, most: int = MOST_SPACES, url_bytes: int = URL_BYTES
) -> Iterator[list[K]]:
    """Yield `spaces`, in order, in groups whose query fits in one URL.

    `cql_length` is the encoded length of the longest query to be made (see `encoded_length`) without its list of
    spaces. A space that fits nowhere still gets a group of its own: its own calls then say what is wrong.
    """
    room = url_bytes - cql_length - encoded_length(f"({CONTENT}) and (space in ()) and ()")
    yield from _packed([(space, encoded_length(f"{quote(space.key)}, ")) for space in spaces], room, most)


def _packed(sized: Iterable[tuple[S, int]], room: int, most: int) -> Iterator[list[S]]:
    group: list[S] = []
    taken = 0
    for item, size in sized:
        if group and (len(group) >= most or taken + size > room):
            yield group
            group, taken = [], 0
        group.append(item)
        taken += size
    if group:
        yield group
