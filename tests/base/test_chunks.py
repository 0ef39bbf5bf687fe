"""Chunks: everything once, in order, never more than the size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.base import chunks


@given(st.lists(st.integers()), st.integers(1, 10))
def test_chunks_have_every_item_once_in_order_and_only_the_last_is_shorter(items: list[int], size: int) -> None:
    cut = list(chunks(items, size))
    assert [item for chunk in cut for item in chunk] == items
    assert all(len(chunk) == size for chunk in cut[:-1])
    assert all(0 < len(chunk) <= size for chunk in cut)


def test_a_size_that_cuts_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="chunks of 0"):
        list(chunks([1], 0))
