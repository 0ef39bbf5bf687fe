"""The meaning of `~` and `=` for titles, texts and text extractions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_WORDS = re.compile(r"\w+")


def equal_to(wanted: Iterable[str]) -> Callable[[str], bool]:
    """Return a test for being one of `wanted`, whatever the case."""
    exact = frozenset(text.lower() for text in wanted)
    return lambda value: value.lower() in exact


def containing(text: str) -> Callable[[str], bool]:
    """Return a test for holding all words in any order; "in inner quotes" as a phrase, `word*` as a prefix."""
    lowered = text.lower()
    if len(lowered) > 1 and lowered[0] == lowered[-1] == '"':
        phrase = _WORDS.findall(lowered)
        return lambda value: _has_phrase(_WORDS.findall(value.lower()), phrase)
    plain = set(_WORDS.findall(re.sub(r"\w*\*", " ", lowered)))
    prefixes = re.findall(r"(\w+)\*", lowered)

    def holds(value: str) -> bool:
        words = set(_WORDS.findall(value.lower()))
        return plain <= words and all(any(word.startswith(prefix) for word in words) for prefix in prefixes)

    return holds


def _has_phrase(words: list[str], phrase: list[str]) -> bool:
    width = len(phrase)
    return any(words[start : start + width] == phrase for start in range(len(words) - width + 1))
