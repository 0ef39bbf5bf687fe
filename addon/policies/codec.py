"""Policies as JSON and YAML, read strictly: what could be meant in two ways is refused.

YAML is read as its version 1.2 core schema has it: only true and false are booleans (so `on:` is a field name), dates
and times stay text, numbers are decimal. Anchors and aliases are refused altogether, since a few lines of them can
unfold into gigabytes; so are tags, second documents and fields given twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from addon.policies.document import PolicyDocument
from addon.policies.errors import PolicyError, TooLarge, Unreadable, UnsupportedMediaType
from addon.policies.yaml12 import Dumper, Loader

MAX_BYTES = 1_000_000
"""The longest text that is read, in bytes of UTF-8."""
MAX_YAML_BYTES = 256_000
"""The longest YAML. Reading it takes hundreds of times as long as reading JSON."""
MAX_VALUES = 100_000
MAX_YAML_VALUES = 20_000
"""Values of a text at most, judged by the signs that separate values before anything is read."""
MAX_DEPTH = 20

JSON = "application/json"
YAML = "application/yaml"
MEDIA_TYPES: Mapping[str, str] = {
    JSON: JSON,
    YAML: YAML,
    "application/x-yaml": YAML,
    "text/yaml": YAML,
    "text/x-yaml": YAML,
}
"""Every content type that is understood, and which of the two formats it means."""
PROBLEMS = {"but found another document": "a second document begins here, but only one is read"}
"""What the parser says only together with its context, as a sentence of its own."""
NO_ALIASES = "anchors and aliases are not read; put text that begins with * or & in quotes"


class _Mistake(Exception):
    """Something in the text cannot be read; `line` and `column` count from 1."""

    def __init__(self, detail: str, line: int, column: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.column = column


def media_type(content_type: str | None) -> str:
    """Return the format (`application/json` or `application/yaml`) that a Content-Type header means.

    Raises UnsupportedMediaType for any other.
    """
    essence = (content_type or "").partition(";")[0].strip().lower()
    if essence not in MEDIA_TYPES:
        raise UnsupportedMediaType
    return MEDIA_TYPES[essence]


def parse(text: str | bytes, content_type: str | None) -> dict[str, Any]:
    """Return the fields in `text`, which is JSON or YAML by `content_type`.

    Raises UnsupportedMediaType, TooLarge, or Unreadable with the line and column of what cannot be read.
    """
    kind = media_type(content_type)
    name = "JSON" if kind == JSON else "YAML"
    try:
        decoded = _decode(text, name)
        data = _read_json(decoded) if kind == JSON else _read_yaml(decoded).data
    except _Mistake as error:
        raise Unreadable(
            f"invalid-{name.lower()}",
            f"This is not {name} that can be read: line {error.line}, column {error.column}: {error.detail}.",
            extra={"line": error.line, "column": error.column},
        ) from error
    if not isinstance(data, dict):
        raise Unreadable(f"invalid-{name.lower()}", "The policies document is an object with fields at its top.")
    return data


def dump(document: PolicyDocument | Mapping[str, Any], content_type: str | None) -> str:
    """Return `document` as text in the format of `content_type`. Raises UnsupportedMediaType for an unknown one."""
    kind = media_type(content_type)
    data = document.data() if isinstance(document, PolicyDocument) else dict(document)
    if kind == JSON:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110, indent=2)


def lines(text: bytes) -> dict[str, int]:
    """Return the line (from 1) of every JSON pointer in a YAML text, nothing when it cannot be read."""
    try:
        return _lines(_read_yaml(_decode(text, "YAML")).node)
    except (_Mistake, PolicyError):
        return {}


def _decode(text: str | bytes, name: str) -> str:
    encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    most, values = (MAX_BYTES, MAX_VALUES) if name == "JSON" else (MAX_YAML_BYTES, MAX_YAML_VALUES)
    if len(encoded) > most:
        raise _too_large(name, f"{most:,} bytes; this has {len(encoded):,}")
    if _signs(encoded, name) > values:
        raise _too_large(name, f"{values:,} values; this has more")
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = encoded[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise _Mistake("the text is not UTF-8", line, column) from error


def _read_json(text: str) -> Any:
    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in pairs:
            if name in read:
                raise _Mistake(f"the field {name!r} is given twice", *_position(text, _second(text, name)))
            read[name] = value
        return read

    def constant(name: str) -> Any:
        raise _Mistake(f"{name} is not a JSON value", *_position(text, max(text.find(name), 0)))

    try:
        return json.loads(text, object_pairs_hook=fields, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise _Mistake(error.msg[:1].lower() + error.msg[1:], error.lineno, error.colno) from error
    except RecursionError as error:
        raise _Mistake("the document is nested too deeply", 1, 1) from error
    except ValueError as error:
        raise _Mistake("a number is too long", 1, 1) from error


def _second(text: str, name: str) -> int:
    """Where a field of that name is written for the second time; a best guess when the same name is elsewhere too."""
    written = [found.start() for found in re.finditer(re.escape(json.dumps(name)) + r"\s*:", text)]
    return written[1] if len(written) > 1 else written[0] if written else 0


def _position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def _signs(text: bytes, name: str) -> int:
    """Return at least the number of values: each but the first begins behind one of these signs."""
    inside = sum(text.count(sign) for sign in (b",", b"[", b"{"))
    return inside if name == "JSON" else inside + sum(text.count(sign) for sign in (b"\n", b"\r", b"- ", b"? "))


def _too_large(name: str, most: str) -> TooLarge:
    also = "" if name == "JSON" else " Larger ones are read as JSON."
    return TooLarge("too-large", f"A policies document in {name} has at most {most}.{also}")


@dataclass(frozen=True, slots=True)
class _Read:
    """What a YAML text says, and where."""

    data: Any
    node: yaml.Node | None


class _Reader(Loader):
    """Reads a text once: what could unfold or be meant in two ways is refused on the way."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next value. Raises _Mistake for anchors, aliases, tags and too much nesting."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _at(event, NO_ALIASES)
        if getattr(event, "tag", None) is not None:
            raise _at(event, "tags are not read; put text that begins with ! in quotes")
        if isinstance(event, yaml.CollectionStartEvent) and self.depth >= MAX_DEPTH:
            raise _at(event, "the document is nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _read_yaml(text: str) -> _Read:
    try:
        reader = _Reader(text)
        node = reader.get_single_node()
        return _Read(None if node is None else reader.construct_document(node), node)
    except yaml.MarkedYAMLError as error:
        if error.context in ("while scanning an alias", "while scanning an anchor") and error.context_mark:
            raise _Mistake(NO_ALIASES, error.context_mark.line + 1, error.context_mark.column + 1) from error
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _Mistake(PROBLEMS.get(error.problem or "", error.problem or "cannot be read"), line, column) from error
    except yaml.reader.ReaderError as error:
        raise _Mistake("a character is not allowed here", *_position(text, error.position)) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _Mistake("cannot be read", 1, 1) from error


def _lines(root: yaml.Node | None) -> dict[str, int]:
    found: dict[str, int] = {}

    def walk(node: yaml.Node | None, pointer: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = f"{pointer}/{str(key.value).replace('~', '~0').replace('/', '~1')}"
                found[inner] = key.start_mark.line + 1
                walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for position, value in enumerate(node.value):
                found[f"{pointer}/{position}"] = value.start_mark.line + 1
                walk(value, f"{pointer}/{position}")

    walk(root, "")
    return found


def _at(event: yaml.Event, detail: str) -> _Mistake:
    mark = event.start_mark
    return _Mistake(detail, mark.line + 1, mark.column + 1) if mark else _Mistake(detail, 1, 1)
