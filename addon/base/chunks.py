"""Sequences cut into chunks: what one call, one statement or one transaction takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


@overload
def chunks(items: list[T], size: int) -> Iterator[list[T]]: ...


@overload
def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]: ...


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in their order in chunks of `size`, the last one shorter; none without items.

    Raises ValueError when `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"chunks of {size}")
    for start in range(0, len(items), size):
        yield items[start : start + size]
