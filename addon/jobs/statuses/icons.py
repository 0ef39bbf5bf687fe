"""What does a status look like in the byline of a page? A small picture, told by its address alone.

A browser keeps a picture for ever under its address, and every stamp names one: so the address holds shape and colour
and nothing of a tenant.
"""

from __future__ import annotations

import re

SIZE = 16
"""Width and height in pixels, as the stamp tells Confluence (connect.md 1.3)."""
PLAIN = "circle"
_SHAPES = {
    "alert": '<path d="M8 1.6 15 14H1z"/><path d="M8 6v3.6M8 11.4v.9" stroke="#fff"/>',
    "archive": '<path d="M1.5 2.5h13v3.4h-1v7.6h-11V5.9h-1z"/><path d="M6 8.6h4" stroke="#fff"/>',
    "check": '<circle cx="8" cy="8" r="7"/><path d="m4.8 8.2 2.2 2.2 4.2-4.6" stroke="#fff"/>',
    PLAIN: '<circle cx="8" cy="8" r="5"/>',
    "clock": '<circle cx="8" cy="8" r="7"/><path d="M8 4.4V8l2.4 1.6" stroke="#fff"/>',
    "cross": '<circle cx="8" cy="8" r="7"/><path d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2" stroke="#fff"/>',
    "eye": '<path d="M8 3c3.6 0 6 2.8 7 5-1 2.2-3.4 5-7 5S2 10.2 1 8c1-2.2 3.4-5 7-5z"/>'
    '<circle cx="8" cy="8" r="1.6" stroke="#fff"/>',
    "flag": '<path d="M3 1.5h1.4v13H3z"/><path d="M5 2h8.5L11 5.2l2.5 3.3H5z"/>',
    "pencil": '<path d="m11.4 1.4 3.2 3.2-8.6 8.6-4 .8.8-4z"/>',
    "star": '<path d="m8 1 2.1 4.5 4.9.6-3.6 3.4.9 4.9L8 12l-4.3 2.4.9-4.9L1 6.1l4.9-.6z"/>',
}
_NAME = re.compile(r"([a-z]{1,20})-([0-9a-f]{6})\.svg")


def file_name(icon: str, colour: str) -> str:
    """Return the picture of a status's icon in its colour (#rgb or #rrggbb); a disc for an icon not known here."""
    digits = colour.removeprefix("#").lower()
    full = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    return f"{icon if icon in _SHAPES else PLAIN}-{full}.svg"


def picture(name: str) -> str | None:
    """Return the SVG of a `file_name`, None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in _SHAPES:
        return None
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" viewBox="0 0 16 16" '
        f'fill="#{match[2]}" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
        f"{_SHAPES[match[1]]}</svg>"
    )
