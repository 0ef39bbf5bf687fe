"""Every citation of a document leads somewhere, and to nothing outside the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("addon", "descriptor", "templates", "tests", "docs", "deploy", "Makefile", "pyproject.toml", "*.md")
KINDS = {".py", ".md", ".js", ".css", ".html", ".txt", ".yml", ".yaml", ".toml", ".conf", ".service", ".mako", ""}
_NUMBERS = r"\d+(?:\.\d+)*(?:(?:, | and |, and )\d+(?:\.\d+)*)*"
CITED = re.compile(rf"\b(docs/[\w./-]*?\.md)(?: ({_NUMBERS}))?")
RECORD = re.compile(r"\bdocs/adr/(\d{4})|\bADRs? (\d+)\b")
NAMED = re.compile(r"`((?:addon|descriptor|templates|tests|docs|deploy)/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUTSIDE = re.compile(
    r"PROTOCOLS|\bDESIGN\.md|\.\./shared|(?<![\w/.-])(?:connect|confluence-api|forge|engine|product)\.md"
)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield each file that people read with its text."""
    for place in PLACES:
        for found in sorted(ROOT.glob(place)):
            files = sorted(found.rglob("*")) if found.is_dir() else [found]
            for path in files:
                if (
                    path.is_file()
                    and path.suffix in KINDS
                    and path != Path(__file__)
                    and "__pycache__" not in path.parts
                ):
                    yield path, path.read_text(encoding="utf-8")


def unwrapped(text: str) -> str:
    """Return a text whose lines are joined, so that a citation broken over two of them is whole."""
    return re.sub(r"\s*\n\s*(?:#+:? |\* |// )?", " ", text)


def sections(document: str) -> set[str]:
    """Return the numbers of a document's headings."""
    return set(re.findall(r"^#+ (\d+(?:\.\d+)*)\b", document, re.MULTILINE))


def anchors(document: str) -> set[str]:
    """Return the anchors of a document's headings, made as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_cited_document_is_there_and_has_the_section() -> None:
    lost = []
    for path, text in texts():
        for document, numbers in CITED.findall(unwrapped(text)):
            cited = ROOT / document
            if not cited.is_file():
                lost.append(f"{path.relative_to(ROOT)}: {document}")
                continue
            known = sections(cited.read_text(encoding="utf-8"))
            lost += [
                f"{path.relative_to(ROOT)}: {document} {number}"
                for number in re.findall(r"\d+(?:\.\d+)*", numbers)
                if number not in known
            ]
    assert lost == []


def test_code_cites_a_section_of_the_rules_and_only_a_rooms_own_page_cites_all_of_them() -> None:
    unnumbered = [
        f"{path.relative_to(ROOT)}: {document}"
        for path, text in texts()
        if path.suffix != ".md" and path.name != "__init__.py"
        for document, numbers in CITED.findall(unwrapped(text))
        if document.startswith("docs/rules/") and not numbers
    ]
    assert unnumbered == []


def test_every_cited_decision_is_there() -> None:
    written = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    lost = [
        f"{path.relative_to(ROOT)}: {number}"
        for path, text in texts()
        for number in ("".join(found) for found in RECORD.findall(unwrapped(text)))
        if int(number) not in written
    ]
    assert lost == []


def test_every_link_between_documents_leads_to_a_file_and_a_heading() -> None:
    lost = []
    for path, text in texts():
        for link in LINK.findall(text) if path.suffix == ".md" else ():
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                lost.append(f"{path.relative_to(ROOT)}: {link}")
    assert lost == []


def test_every_file_that_a_document_names_is_there() -> None:
    lost = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in texts()
        for name in (NAMED.findall(text) if path.suffix == ".md" else ())
        if not (ROOT / name).exists()
    ]
    assert lost == []


def test_nothing_is_cited_that_is_not_in_the_repository() -> None:
    rules = ROOT / "docs" / "rules"
    outside = [
        f"{path.relative_to(ROOT)}: {found}"
        for path, text in texts()
        if path.parent != rules
        for found in OUTSIDE.findall(text)
    ]
    assert outside == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "rules").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_of_rules_numbers_its_sections_once(page: Path) -> None:
    numbers = re.findall(r"^#+ (\d+(?:\.\d+)*)\b", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(numbers) == len(set(numbers))
