"""The words of the project: plain English in everything that a person reads, and modules named by what they are."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon.screens import assets
from addon.screens.api.jobs import DESCRIPTIONS

ROOT = Path(__file__).parents[1]

DROPPED = {
    r"anew": "again",
    r"whoever": "a process that, a person who",
    r"nobody (?:can|could|may|else|knows|needs)": "no one",
    r"beside": "next to",
    r"(?:is|are|was|were) waited for": "who waits",
    r"told": "sent, reported, said",
    r"goes on|go on|went on": "resumes, continues",
    r"by (?:itself|themselves)": "automatically, alone",
    r"for good": "permanently",
    r"stands? still|stood still": "stalls",
    r"stands (?:in|on|at|under)": "is",
    r"heard of": "known, seen",
    r"whatever becomes": "whatever happens to",
}
"""Words that this project does not use in prose, and what it says instead."""
PATTERN = re.compile(rf"\b(?:{'|'.join(DROPPED)})\b", re.I)

SAID = re.compile(r'"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`')
CODE = re.compile(r"\$\{[^}]*\}")
TAGS = re.compile(r"<[^>]*>|\{\{.*?\}\}|\{%.*?%\}", re.S)
CONTENTS = re.compile(r"\b[Cc]ontents\b")

Text = tuple[str, str]
"""Where a text is, and what it says."""


def modules() -> Iterator[Path]:
    for folder in ("addon", "descriptor"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def of_module(path: Path) -> Iterator[Text]:
    """Yield the comments of a module, and its texts that look like sentences; docstrings are among them."""
    source, where = path.read_text(), str(path.relative_to(ROOT))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield f"{where}:{token.start[0]}", token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield f"{where}:{node.lineno}", node.value


def of_scripts() -> Iterator[Text]:
    """Yield every text of the screens' scripts that looks like a sentence: words and spaces."""
    for script in sorted(assets.STATIC.glob("*.js")):
        code = re.sub(r"/\*.*?\*/", "", script.read_text(), flags=re.S)
        for text in SAID.findall(code):
            said = CODE.sub("…", text[1:-1])
            if " " in said.strip() or said[:1].isupper():
                yield script.name, said


def of_templates() -> Iterator[Text]:
    for folder in ("screens", "mail"):
        for template in sorted((ROOT / "templates" / folder).iterdir()):
            yield template.name, TAGS.sub(" ", template.read_text())


def of_documents() -> Iterator[Text]:
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def of_files() -> Iterator[Text]:
    """Yield every line of what people configure, run and deploy: its comments, and the sentences among its values."""
    listed = [ROOT / "Makefile", *ROOT.glob("*.toml"), *ROOT.glob("*.json"), *(ROOT / "addon").rglob("*.yaml")]
    for path in sorted(path for path in (*listed, *(ROOT / "deploy").rglob("*")) if path.is_file()):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def all_texts() -> Iterator[Text]:
    for path in modules():
        yield from of_module(path)
    for script in sorted(assets.STATIC.glob("*.js")):
        yield script.name, script.read_text()
    yield from of_templates()
    yield from of_documents()
    yield from of_files()


def test_people_read_of_items_pages_and_posts() -> None:
    texts = [*of_scripts(), *of_templates(), *DESCRIPTIONS.items()]
    assert len(texts) > 300
    assert [(where, said) for where, said in texts if CONTENTS.search(said)] == []


def test_nothing_that_people_read_uses_a_dropped_word() -> None:
    texts = list(all_texts())
    assert len(texts) > 5000
    found = [f"{where}: {hit.group()}" for where, said in texts for hit in PATTERN.finditer(said)]
    assert found == [], "say it as DROPPED does"


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_introduced_by_what_it_is(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
    assert first.endswith("."), "the first line of the docstring is a whole line, and names the thing"
    assert "?" not in first
