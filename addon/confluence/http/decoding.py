"""JSON as a site sends it, decoded so that what one person wrote into it spoils nothing but itself.

Anyone who may edit a page may store JSON in it: nested deeper than Python reads, numbers of thousands of digits, text
that cannot be encoded. Such a value is read as far as it can be; the rest of the answer is not concerned. No text that
comes out holds half of a surrogate pair or a NUL: neither can be encoded in UTF-8 or stored in PostgreSQL.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

DEEPEST = 100
"""What an answer has below so many levels is read as null, where it cannot be read as it is."""
KEPT_DEPTH, KEPT_VALUES, KEPT_TEXT = 8, 100, 1000
"""Levels, values and characters a text that are kept of a property: some ten times what our own have."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNFIT = re.compile("[\ud800-\udfff\0]")
_UNFIT_ESCAPE = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_STEPS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]+|[\]}]+', re.DOTALL)


def decoded(content: bytes) -> Any:
    """Return what an answer says. Raises ValueError where that is no JSON at all."""
    text = content.decode("utf-8-sig", "replace")
    try:
        return _fit(json.loads(text), text)
    except (ValueError, RecursionError):
        # Python refuses to read long numbers as it refuses what is no JSON.
        text = _cut(text)
        return _fit(json.loads(text, parse_int=_whole), text)


def kept(value: Any) -> Any:
    """Return as much of a property's value as is of use: bounded in depth, in number and in the length of texts."""
    return _kept(value, KEPT_DEPTH, [KEPT_VALUES])


def _fit(data: Any, text: str) -> Any:
    # Only an escape can spell what cannot be encoded, so few answers have to be walked through.
    return mended(data) if _UNFIT_ESCAPE.search(text) else data


def mended(value: Any) -> Any:
    """Return decoded JSON with every half surrogate pair and NUL replaced by U+FFFD, in names of fields as well."""
    if isinstance(value, str):
        return _UNFIT.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {mended(name): mended(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mended(inner) for inner in value]
    return value


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= 20 else float(text)


def _cut(text: str) -> str:
    """Put null in the place of everything that is nested too deep. Raises ValueError where it does not end."""
    parts: list[str] = []
    depth = start = 0
    for step in _STEPS.finditer(text):
        brackets = step.end() - step.start()
        match text[step.start()]:
            case "[" | "{":
                if depth <= DEEPEST < depth + brackets:
                    parts += [text[start : step.start() + DEEPEST - depth], "null"]
                depth += brackets
            case "]" | "}":
                if depth - brackets <= DEEPEST < depth:
                    start = step.start() + depth - DEEPEST
                depth -= brackets
    if depth > DEEPEST:
        raise ValueError("brackets that do not end")
    return "".join([*parts, text[start:]])


def _kept(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if isinstance(value, str):
        return value[:KEPT_TEXT]
    if isinstance(value, dict):
        if not depth:
            return None
        inside = islice(value.items(), max(0, left[0]))
        return {name[:KEPT_TEXT]: _kept(inner, depth - 1, left) for name, inner in inside if left[0] > 0}
    if isinstance(value, list):
        return [_kept(inner, depth - 1, left) for inner in value[: max(0, left[0])] if left[0] > 0] if depth else None
    return value
