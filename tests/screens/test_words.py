"""The words of the screens and mails: people read of items, pages and posts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from addon.screens import assets
from addon.screens.api.jobs import DESCRIPTIONS

ROOT = Path(__file__).parents[2]
TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`')
CODE = re.compile(r"\$\{[^}]*\}")
SENTENCE = re.compile(r"\b[Cc]ontents\b")
TAGS = re.compile(r"<[^>]*>|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)


def of_scripts() -> Iterator[tuple[str, str]]:
    """Yield every text of the screens' scripts that has the look of a sentence: words and spaces."""
    for script in sorted(assets.STATIC.glob("*.js")):
        code = re.sub(r"/\*.*?\*/", "", script.read_text(), flags=re.S)
        for text in TEXTS.findall(code):
            said = CODE.sub("…", text[1:-1])
            if " " in said.strip() or said[:1].isupper():
                yield script.name, said


def of_templates() -> Iterator[tuple[str, str]]:
    for folder in ("screens", "mail"):
        for template in sorted((ROOT / "templates" / folder).iterdir()):
            yield template.name, TAGS.sub(" ", template.read_text())


def test_people_read_of_items_pages_and_posts() -> None:
    texts = [*of_scripts(), *of_templates(), *DESCRIPTIONS.items()]
    assert len(texts) > 300
    assert [(where, said) for where, said in texts if SENTENCE.search(said)] == []
