"""What does a status look like in the byline of a page? A small picture, told by its address alone.

A browser keeps a picture for ever under its address, and every stamp names one: so the address holds shape and colour
and nothing of a tenant.
"""

from __future__ import annotations

import re

SIZE = 16
"""Width and height in pixels, as the stamp tells Confluence (docs/rules/connect.md 1.3)."""
PLAIN = "circle"
_DISC = "M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z"
_PATHS = {
    "alert": "M8 2 15 14H1zM8 6.3v3.6M8 11.4v.9",
    "archive": "M1.5 2.5h13v3h-13zM2.5 5.5v8h11v-8M6.2 8.3h3.6",
    "calendar": "M2 3.5h12v11H2zM2 6.8h12M5 1.5v3M11 1.5v3",
    "check": f"{_DISC}M5 8.1l2.1 2.1 4-4.3",
    PLAIN: "M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
    "clock": f"{_DISC}M8 4.5V8l2.5 1.7",
    "eye": "M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
    "flag": "M3.5 14.5v-13M3.5 2.5h9l-2 3 2 3h-9",
    "lock": "M3 7h10v7H3zM5 7V4.7a3 3 0 0 1 6 0V7",
    "pencil": "M2 14l.8-3.4 8-8 2.6 2.6-8 8zM9.3 4.1l2.6 2.6",
    "question": f"{_DISC}M6.2 6.2A1.9 1.9 0 1 1 8 8.4v1M8 11.2v.8",
    "star": "M8 1.8l1.9 4 4.4.6-3.2 3 .8 4.3L8 11.6l-3.9 2.1.8-4.3-3.2-3 4.4-.6z",
}
_NAME = re.compile(r"([a-z]{1,20})-([0-9a-f]{6})\.svg")


def file_name(icon: str, colour: str) -> str:
    """Return the picture of a status's icon in its colour (#rgb or #rrggbb); a disc for an icon not known here."""
    digits = colour.removeprefix("#").lower()
    full = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    return f"{icon if icon in _PATHS else PLAIN}-{full}.svg"


def picture(name: str) -> str | None:
    """Return the SVG of a `file_name`, None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in _PATHS:
        return None
    colour = f"#{match[2]}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" viewBox="0 0 16 16">'
        f'<path d="{_PATHS[match[1]]}" fill="{colour if match[1] == PLAIN else "none"}" stroke="{colour}" '
        'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )
