"""The glossary explains each word once and names modules that exist."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

ROWS = re.findall(
    r"^\| ([\w ]+) \| (.+) \| `(addon[\w.]+)` \|$",
    (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_each_word_is_explained_once() -> None:
    words = [word for word, _, _ in ROWS]
    assert 25 <= len(words) <= 32, "a word that the field knows, or that one place alone uses, is explained there"
    assert len(words) == len(set(words))


def test_each_word_has_one_or_two_sentences() -> None:
    assert [word for word, meaning, _ in ROWS if not 1 <= len(re.findall(r"\.(?: |$)", meaning)) <= 2] == []


def test_the_modules_that_own_the_words_exist() -> None:
    assert [f"{word}: {module}" for word, _, module in ROWS if find_spec(module) is None] == []


def test_every_row_of_the_tables_is_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| word", "| ---"))]
    assert len(lines) == len(ROWS)
