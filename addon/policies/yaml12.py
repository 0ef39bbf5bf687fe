"""A reader and a writer of YAML 1.2 (its core schema) over PyYAML, which knows version 1.1.

What is written means the same to readers of either version. What is read means what 1.2 says: tabs separate words and
never indent, and U+0085, U+2028 and U+2029 are characters of a text rather than line ends.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

STR = "tag:yaml.org,2002:str"
OLD_BREAKS = "\x85\u2028\u2029"
"""Line ends in YAML 1.1, ordinary characters in 1.2 (section 5.4)."""
PRIVATE = range(0xE000, 0xF8FF)


class Loader(yaml.SafeLoader):
    """Reads scalars as YAML 1.2 does and refuses a field that is given twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (as PyYAML declares it)

    def __init__(self, text: str) -> None:
        # While PyYAML scans, characters that the text does not use stand for those that it would take for line ends.
        free = (chr(code) for code in PRIVATE if chr(code) not in text)
        self._stand_ins = dict(zip(OLD_BREAKS, free, strict=False)) if set(OLD_BREAKS) & set(text) else {}
        for character, stand_in in self._stand_ins.items():
            text = text.replace(character, stand_in)
        super().__init__(text)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the fields of a mapping. Raises ConstructorError on a name that is no text, or given twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag != STR:
                raise yaml.constructor.ConstructorError(None, None, "field names are text", key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the field {name!r} is given twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)

    def scan_to_next_token(self) -> None:
        """Pass over blanks, tabs, comments and line ends."""
        while True:
            indenting = self.column == 0 and not self.flow_level
            tab = self._pass_blanks()
            comment = self.peek() == "#"
            while comment and self.peek() not in "\0\r\n":
                self.forward()
            if self.scan_line_break():  # type: ignore[no-untyped-call]
                self.allow_simple_key = self.allow_simple_key or not self.flow_level
                continue
            if tab is not None and not self.flow_level and self.peek() != "\0":
                if indenting:
                    raise yaml.scanner.ScannerError(None, None, "a tab cannot indent: use blanks", tab)
                # Behind a tab only a scalar may begin: what column a nested mapping or list has, no two readers agree.
                self.allow_simple_key = False
            return

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str] | None:
        """Return what separates two words of an unquoted text: blanks and tabs as they are, line ends folded."""
        length = 0
        while self.peek(length) in (" ", "\t"):
            length += 1
        between = self.prefix(length)
        self.forward(length)
        if self.peek() not in "\r\n":
            return [between] if between else []
        self.scan_line_break()  # type: ignore[no-untyped-call]
        self.allow_simple_key = True
        breaks: list[str] = []
        while True:
            if self.prefix(3) in ("---", "...") and self.column == 0 and self.peek(3) in "\0 \t\r\n":
                return None
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or self.column >= indent)):
                self.forward()
            if self.peek() not in "\r\n":
                return breaks or [" "]
            breaks.append(self.scan_line_break())  # type: ignore[no-untyped-call]

    def scan_block_scalar_ignored_line(self, start_mark: yaml.Mark) -> None:
        """Pass over what may follow `|` or `>` on its line."""
        self._pass_blanks()
        super().scan_block_scalar_ignored_line(start_mark)

    def scan_plain(self) -> yaml.ScalarToken:
        """Return an unquoted text."""
        return self._restored(super().scan_plain())

    def scan_flow_scalar(self, style: str) -> yaml.ScalarToken:
        """Return a quoted text."""
        return self._restored(super().scan_flow_scalar(style))

    def scan_block_scalar(self, style: str) -> yaml.ScalarToken:
        """Return a text of indented lines."""
        return self._restored(super().scan_block_scalar(style))

    def _restored(self, token: yaml.ScalarToken) -> yaml.ScalarToken:
        for character, stand_in in self._stand_ins.items():
            token.value = token.value.replace(stand_in, character)
        return token

    def _pass_blanks(self) -> yaml.Mark | None:
        """Return where the first tab among the blanks is."""
        tab: yaml.Mark | None = None
        while self.peek() in (" ", "\t"):
            if tab is None and self.peek() == "\t":
                tab = self.get_mark()
            self.forward()
        return tab


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]{0,17})$"), list("-+0123456789"))


class Dumper(yaml.SafeDumper):
    """Writes block style with indented lists, and text of several lines as it is.

    It quotes what any YAML version might misread (`'on'`, `'2026-12-01'`, `'1e3'`), so that other tools read the same.
    """

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists as well."""
        return super().increase_indent(flow, False)


# PyYAML quotes what 1.1 reads as something else; these are what 1.2 alone does (section 10.3.2).
Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), None)
Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    None,
)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # A block would be broken at 1.1's line ends; in double quotes they are written as escapes.
    style = "|" if "\n" in value and not set(OLD_BREAKS) & set(value) else None
    return dumper.represent_scalar(STR, value, style=style)


Dumper.add_representer(str, _text)
