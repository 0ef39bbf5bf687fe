"""The counts of search, where the site gives them: a metric or a short cut, never a verdict.

A count costs a point and saves reading. Where it fails, or the answer lacks `totalSize`, the items are read instead,
which costs a point for each of them (docs/rules/confluence-api.md 2.2: the two searches are different endpoints, and on
some sites only one of them works).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from addon.base import TenantGone, Unreachable, get_logger
from addon.confluence import CqlRejected, Postponed, SiteClient, SiteError
from addon.confluence.cql import in_spaces
from addon.engine.job import Run

log = get_logger(__name__)

ID_BYTES = 5_000
"""Encoded bytes of the ids that one query names."""
GIVE_UP = 3
"""After so many failures in a row a run asks for no further count: each of them takes several attempts."""


@dataclass(slots=True)
class Counting:
    """The counts of one run, from any of its threads."""

    client: SiteClient
    _failures: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, cql: str) -> int | None:
        """Count the results of `cql` for one point; None where the site does not say how many there are.

        Raises Postponed, TenantGone, Unreachable, and what the client's guard raises.
        """
        if self._failures >= GIVE_UP:
            return None
        try:
            found = self.client.count(cql)
        except (Postponed, TenantGone, Unreachable):
            raise
        except SiteError as error:
            log.warning("a count failed, so the items are read instead", action="count_failed", error=str(error))
            # A refused query says nothing of the next one, and is refused at once.
            if not isinstance(error, CqlRejected):
                with self._lock:
                    self._failures += 1
            return None
        with self._lock:
            self._failures = 0
        return found

    def count_all(self, run: Run, queries: Sequence[str]) -> list[int | None]:
        """Count the results of each of `queries`, all at the same time on the run's call threads.

        Raises as `count`, and what `run.map` does.
        """
        found: dict[str, int | None] = {}
        for cql, number in run.map(self.count, dict.fromkeys(queries)):
            if isinstance(number, Exception):
                raise number
            found[cql] = number
        return [found[cql] for cql in queries]

    def count_or_read(self, cql: str) -> int:
        """Return how many pages and blog posts `cql` finds, counted or else read to the end.

        Raises SiteError as the reading does.
        """
        counted = self.count(cql)
        return sum(1 for _ in self.client.search(cql)) if counted is None else counted


def count_seen(client: SiteClient, space_key: str, content_ids: Iterable[str]) -> int:
    """Return how many of the named items of one space the app sees: a point for some 400 of them, more to read them.

    Raises SiteError as the reading does.
    """
    counting = Counting(client)
    chunks = chunked(dict.fromkeys(content_ids), ID_BYTES)
    return sum(counting.count_or_read(in_spaces([space_key], ids_in(chunk))) for chunk in chunks)


def total(counts: Sequence[int | None]) -> int | None:
    """Return the sum of `counts`, None where one of them is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def ids_in(ids: Iterable[str]) -> str:
    """Return the condition of having one of `ids`."""
    return f"id in ({','.join(ids)})"


def chunked(ids: Iterable[str], room: int) -> Iterator[list[str]]:
    """Yield `ids` in chunks of at most `room` encoded bytes."""
    chunk: list[str] = []
    taken = 0
    for each in ids:
        size = ids_bytes([each])
        if chunk and taken + size > room:
            yield chunk
            chunk, taken = [], 0
        chunk.append(each)
        taken += size
    if chunk:
        yield chunk


def ids_bytes(ids: Iterable[str]) -> int:
    """Return the encoded bytes that `ids` take in a list."""
    return sum(len(each) + 3 for each in ids)
