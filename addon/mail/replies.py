"""The answers of mail servers: one line without addresses, and whether it speaks of us or of the mail."""

from __future__ import annotations

import re

ABOUT_US = frozenset({500, 502, 503, 504, 521, 530, 534, 535, 538})
"""Codes about the conversation (a command, its order, the login), whatever the mail is (RFC 5321 4.2, RFC 4954 6)."""
ABOUT_US_STATUS = re.compile(r"[45]\.(1\.[78]|3\.[0-35]|5\.[01245]|7\.(0|8|9|10|11|12|13))\b")
"""Enhanced codes (RFC 3463) of the sender's address, the server's state, the protocol and the login."""
ABOUT_US_WORDS = re.compile(
    r"\brelay|rcpthosts|\b(helo|ehlo)\b|\bauthenti|sender (address )?(was |is )?(rejected|refused|denied|verif)"
    r"|client (host|was)|access denied|blocked using",
    re.IGNORECASE,
)
"""How servers word, often only at RCPT, that they relay nothing for us, or do not like our name or address. Postfix
puts all its judgement off to RCPT, and many say 550 or 554 5.7.1 for this as for a refused recipient."""


def reply(code: int, text: bytes | str) -> str:
    """Return a server's answer as one line without addresses, which are personal data and never stored."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return plain(f"{code} {said}")


def about_us(code: int, said: str) -> bool:
    """Return whether a refusal holds for every mail of ours: our login, name or address, or the server's own state.

    Parameters: the reply's `code`, and the whole reply as `reply` returns it.
    """
    return code in ABOUT_US or bool(ABOUT_US_STATUS.search(said) or ABOUT_US_WORDS.search(said))


def plain(text: str) -> str:
    """Return `text` as one short line, with anything that looks like a mail address taken out."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return re.sub(r"[^\s<>@\"']+@[^\s<>\"']+", "(address)", line)[:300]
