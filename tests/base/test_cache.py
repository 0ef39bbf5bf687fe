"""The bounded memory of answers: how many, how old, and which goes first."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from addon.base.cache import Cache
from tests.support.clock import VirtualClock


def test_an_entry_is_returned_until_it_is_too_old_for_who_asks(clock: VirtualClock) -> None:
    cache: Cache[str, int] = Cache(clock, most=9, lasts=timedelta(minutes=1))
    assert cache.get("a") is None
    cache.put("a", 1)
    clock.advance(60)
    found = cache.get("a")
    assert found is not None
    assert found.value == 1
    assert cache.get("a", timedelta(seconds=59)) is None
    clock.advance(1)
    assert cache.get("a") is None
    assert cache.get("a", timedelta(hours=1)) == found


def test_an_entry_without_an_age_stays_for_as_long_as_there_is_room(clock: VirtualClock) -> None:
    cache: Cache[str, int] = Cache(clock, most=1)
    cache.put("a", 1)
    clock.advance(timedelta(days=400))
    assert cache.get("a") is not None


def test_the_entry_stored_longest_ago_makes_room_even_when_it_was_read_a_moment_ago(clock: VirtualClock) -> None:
    cache: Cache[str, int] = Cache(clock, most=2)
    for key in ("a", "b", "a", "c"):
        cache.put(key, 1)
        cache.get("b")
    assert [key for key in "abc" if cache.get(key)] == ["a", "c"]
    assert len(cache) == 2


def test_an_entry_may_be_as_old_as_the_question_was(clock: VirtualClock) -> None:
    cache: Cache[str, int] = Cache(clock, most=2, lasts=timedelta(seconds=10))
    asked_at = clock.monotonic()
    clock.advance(8)
    cache.put("a", 1, at=asked_at)
    assert cache.get("a") is not None
    clock.advance(3)
    assert cache.get("a") is None


def test_nothing_is_a_value_too(clock: VirtualClock) -> None:
    cache: Cache[str, None] = Cache(clock, most=2)
    cache.put("a", None)
    found = cache.get("a")
    assert found is not None
    assert found.value is None


def test_what_is_forgotten_is_gone(clock: VirtualClock) -> None:
    cache: Cache[str, int] = Cache(clock, most=9)
    for key in "abc":
        cache.put(key, 1)
    cache.forget("a")
    cache.forget("a")
    assert [key for key in "abc" if cache.get(key)] == ["b", "c"]
    cache.clear()
    assert len(cache) == 0


def test_a_cache_without_room_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="one entry"):
        Cache(clock, most=0)


def test_threads_that_store_at_once_keep_to_the_bound(clock: VirtualClock) -> None:
    cache: Cache[int, int] = Cache(clock, most=50)
    start = threading.Barrier(4)

    def fill(first: int) -> None:
        start.wait()
        for key in range(first, first + 500):
            cache.put(key, key)
            assert len(cache) <= 50

    threads = [threading.Thread(target=fill, args=(500 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 50
