"""Shelves of content records, live and lagging: which of their states search sees."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from addon.base import Clock
from addon.sandbox.records import Content

_EMPTY: Mapping[str, Content] = {}


class Shelf:
    """Content records by id, space, parent and property key. Each `put` raises the generation of the space."""

    def __init__(self) -> None:
        self._records: dict[str, Content] = {}
        self._spaces: dict[str, dict[str, Content]] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._keyed: dict[str, dict[str, dict[str, Content]]] = {}
        self._generations: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Content]:
        return iter(self._records.values())

    def get(self, content_id: str) -> Content | None:
        """Return the record, or None."""
        return self._records.get(content_id)

    def in_space(self, space_id: str) -> Mapping[str, Content]:
        """Return the records of a space by id, in every status."""
        return self._spaces.get(space_id, _EMPTY)

    def with_property(self, key: str, space_id: str) -> Mapping[str, Content]:
        """Return the records of a space that carry a property under `key`."""
        return self._keyed.get(key, {}).get(space_id, _EMPTY)

    def children(self, page_id: str) -> list[Content]:
        """Return the pages right below `page_id`, in every status, in the order they came there."""
        return [self._records[child] for child in self._children.get(page_id, ())]

    def descendants(self, page_id: str) -> Iterator[Content]:
        """Yield every page below `page_id`, parents before their children."""
        pending = self.children(page_id)[::-1]
        while pending:
            record = pending.pop()
            yield record
            pending += self.children(record.id)[::-1]

    def ancestors(self, content: Content) -> list[Content]:
        """Return the pages above `content`, topmost first."""
        chain: list[Content] = []
        above = content.parent_id
        while above is not None:
            record = self._records.get(above)
            if record is None:
                break
            chain.append(record)
            above = record.parent_id
        return chain[::-1]

    def generation(self, space_ids: Iterable[str]) -> tuple[int, ...]:
        """Return a value that differs after any change in these spaces."""
        return tuple(self._generations.get(space_id, 0) for space_id in space_ids)

    def put(self, content: Content) -> None:
        """Store `content`, in place of the record with its id if there is one."""
        old = self._records.get(content.id)
        self._records[content.id] = content
        if old is not None and old.space_id != content.space_id:
            self._leave_space(old)
            old = None
        self._spaces.setdefault(content.space_id, {})[content.id] = content
        self._hang(content.id, old, content)
        if old is not None and old.properties:
            for key in old.properties.keys() - content.properties.keys():
                self._keyed[key][content.space_id].pop(content.id, None)
        for key in content.properties:
            self._keyed.setdefault(key, {}).setdefault(content.space_id, {})[content.id] = content
        self._touch(content.space_id)

    def remove(self, content_id: str) -> None:
        """Forget the record with this id, if there is one."""
        old = self._records.pop(content_id, None)
        if old is not None:
            self._leave_space(old)

    def _leave_space(self, old: Content) -> None:
        self._spaces[old.space_id].pop(old.id, None)
        for key in old.properties:
            self._keyed[key][old.space_id].pop(old.id, None)
        if old.parent_id is not None:
            self._children.get(old.parent_id, {}).pop(old.id, None)
        self._touch(old.space_id)

    def _hang(self, content_id: str, old: Content | None, new: Content) -> None:
        if old is not None and old.parent_id == new.parent_id:
            return
        if old is not None and old.parent_id is not None:
            self._children.get(old.parent_id, {}).pop(content_id, None)
        if new.parent_id is not None:
            self._children.setdefault(new.parent_id, {})[content_id] = None

    def _touch(self, space_id: str) -> None:
        self._generations[space_id] = self._generations.get(space_id, 0) + 1


class LaggingIndex:
    """What search sees: the live shelf itself without a lag, else a shelf that follows it `lag` seconds later."""

    def __init__(self, live: Shelf, clock: Clock, lag: float = 0.0) -> None:
        self._live = live
        self._clock = clock
        self._lag = timedelta(0)
        self._shelf = live
        self._queue: deque[tuple[datetime, str, Content | None]] = deque()
        self.lag = lag

    @property
    def lag(self) -> float:
        """Seconds between a change and search seeing it."""
        return self._lag.total_seconds()

    @lag.setter
    def lag(self, seconds: float) -> None:
        self._lag = timedelta(seconds=seconds)
        if seconds > 0 and self._shelf is self._live:
            self._shelf = Shelf()
            for record in self._live:
                self._shelf.put(record)
        elif seconds <= 0:
            self._shelf = self._live
            self._queue.clear()

    def changed(self, content_id: str) -> None:
        """Note that the live record of this id was just put or removed."""
        if self._shelf is not self._live:
            self._queue.append((self._clock.now(), content_id, self._live.get(content_id)))

    def current(self) -> Shelf:
        """Return the shelf as search sees it now."""
        if self._queue:
            self._apply(self._clock.now() - self._lag)
        return self._shelf

    def catch_up(self) -> None:
        """Let search see all changes at once."""
        self._apply(None)

    def _apply(self, until: datetime | None) -> None:
        while self._queue and (until is None or self._queue[0][0] <= until):
            _at, content_id, record = self._queue.popleft()
            self._show(content_id, record)

    def _show(self, content_id: str, record: Content | None) -> None:
        if record is None:
            self._shelf.remove(content_id)
        else:
            self._shelf.put(record)
