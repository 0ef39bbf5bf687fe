"""Our qsh and that of the PyPI package atlassian-jwt agree wherever that package follows docs/rules/connect.md 3.2.

It is known to differ for paths with `;`, with `:` in the first segment and with empty segments; the tables at the end
and in test_qsh.py say what is expected there.
"""

from __future__ import annotations

import os
from random import Random
from urllib.parse import unquote_to_bytes

import pytest
from atlassian_jwt.url_utils import canonicalize_request, hash_url
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.connect.qsh import canonical, query_hash, relative_path

BATCH = 200
TIMES = int(os.environ.get("STEWARD_FUZZ", "1"))
BATCHES = 150 * TIMES

PLAIN = "abzAZ09-._~"
ESCAPES = (
    "%20", "%2F", "%2f", "%26", "%3D", "%3F", "%23", "%25", "%2B", "%2C", "%3B", "%3A", "%00", "%0A", "%7E", "%41",
    "%C3%A4", "%c3%a4", "%E4%BD%A0", "%F0%9F%98%80", "%EF%BF%BF", "%ff", "%C3", "%ED%A0%80", "%", "%4", "%zz",
)  # fmt: skip
UNICODE = ("ä", "é", "你", "😀", "\u00df", "\u0130", "\u2028", "\ufb01", "\uffff", "\U0010ffff")
IN_PATH = (*PLAIN, *"!$&'()*+,=@:", *ESCAPES, *UNICODE)
IN_QUERY = (*PLAIN, *"!$'()*,;:@/?[]+", *ESCAPES, *UNICODE)
NAMES = ("a", "b", "a-b", "a%2Db", "jwt", "%6Awt", "JWT", "spaceKey", "")
CONTEXTS = ("", "", "/wiki", "/app/deep", "/a%20b")


def _text(random: Random, characters: tuple[str, ...], least: int, most: int) -> str:
    return "".join(random.choices(characters, k=random.randint(least, most)))


def _path(random: Random) -> str:
    segments = [_text(random, IN_PATH, 1, 4) for _ in range(random.randint(0, 4))]
    if segments:
        segments[0] = segments[0].replace(":", "%3A")
    return "/" + "/".join(segments) + random.choice(("", "", "/" if segments else ""))


def _query(random: Random) -> str:
    pieces = []
    for _ in range(random.randint(0, 6)):
        name = random.choice(NAMES) if random.random() < 0.5 else _text(random, IN_QUERY, 0, 3)
        value = _text(random, (*IN_QUERY, "="), 0, 4)
        pieces.append(random.choice((f"{name}={value}", f"{name}={value}", f"{name}=", name)))
    return "&".join(pieces)


def _is_utf8(query: str) -> bool:
    """The package writes a sign of its own for octets that are no text; two requests would share that hash."""
    for piece in query.replace("+", " ").replace("=", "&").split("&"):
        try:
            unquote_to_bytes(piece).decode()
        except UnicodeDecodeError:
            return False
    return True


seen: set[tuple[str, str, str]] = set()


# Hypothesis chooses and reports the seed; drawing every character through it would take minutes.
@settings(max_examples=BATCHES, deadline=None, database=None, derandomize=TIMES == 1)
@given(st.integers(0, 2**63))
def _agree(seed: int) -> None:
    random = Random(seed)
    for _ in range(BATCH):
        method = random.choice(("GET", "POST", "PUT", "DELETE", "get", "Patch"))
        context, path, query = random.choice(CONTEXTS), _path(random), _query(random)
        relative = relative_path(context + path, context)
        url = f"{relative}?{query}" if query else relative
        if not _is_utf8(query):
            with pytest.raises(UnicodeError):
                query_hash(method, relative, query)
            continue
        assert canonical(method, relative, query) == canonicalize_request(method, url), (method, context, url)
        assert query_hash(method, relative, query) == hash_url(method, url)
        seen.add((method, context + path, query))


def test_ten_thousand_generated_requests_hash_alike() -> None:
    _agree()
    assert len(seen) >= 10_000


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/page;v=1", "", "GET&/page;v=1&"),
        ("/page;v=1/child", "a=1", "GET&/page;v=1/child&a=1"),
        ("/page;a&b", "", "GET&/page;a%26b&"),
        ("/page;", "", "GET&/page;&"),
        ("/;", "", "GET&/;&"),
        ("/mailto:x", "", "GET&/mailto:x&"),
        ("/http://x/y", "", "GET&/http://x/y&"),
        ("/a:b/c", "q=%3A", "GET&/a:b/c&q=%3A"),
        ("/:", "", "GET&/:&"),
        ("//page", "", "GET&//page&"),
        ("/a//b", "", "GET&/a//b&"),
        ("/a//", "", "GET&/a/&"),
        ("//", "", "GET&/&"),
        ("///", "", "GET&//&"),
        ("//host/path", "x=1", "GET&//host/path&x=1"),
    ],
)
def test_where_the_package_differs_the_algorithm_counts(path: str, query: str, expected: str) -> None:
    """One trailing slash is removed, nothing else of the raw path is touched but `&` (docs/rules/connect.md 3.2)."""
    assert canonical("GET", path, query) == expected


def test_the_package_does_differ_there() -> None:
    """Should it ever agree, the generated requests can take these paths in."""
    for path in ("/page;", "/mailto:x", "/http://x/y", "/a//", "//a"):
        assert canonicalize_request("GET", path) != canonical("GET", path, ""), path
