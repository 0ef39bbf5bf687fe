"""What every answer of the add-on has to look like, to every caller and for every error."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPMessage
from typing import Any, cast

import pytest
from werkzeug.test import TestResponse

from addon.base import Refusal
from addon.screens.problems import Problem, problem_of
from addon.screens.titles import BY_KIND, BY_STATUS

PLAIN_TITLES = {*BY_KIND.values(), *BY_STATUS.values()}
NEVER_STORED = {"no-store", "no-cache"}


class Refused:
    """What a block was refused, as the problem that leaves. Empty until the block has ended."""

    _problem: Problem | None = None

    def fill(self, error: Refusal) -> None:
        """Take the error that the block raised."""
        self._problem = problem_of(error)

    @property
    def value(self) -> Problem:
        """The problem, as `pytest.raises` names what it caught."""
        assert self._problem is not None
        return self._problem


@contextmanager
def refused_with_problem(*, match: str | None = None) -> Iterator[Refused]:
    """Expect the block to raise an error of one of the rooms; what is caught is the answer that leaves for it."""
    found = Refused()
    with pytest.raises(Refusal, match=match) as caught:
        yield found
    found.fill(caught.value)


class Answer(TestResponse):
    """An answer of Flask's test client whose JSON a test may look into without proving first that there is some."""

    json: Any


def typed(answer: TestResponse) -> Answer:
    """Return `answer` as what it is to a test."""
    return cast(Answer, answer)


def assert_secure(
    status: int, headers: Mapping[str, str] | HTTPMessage, *, static: bool = False, where: str = ""
) -> None:
    """The security headers of docs/rules/connect.md 4.1 and 5.4; `headers` compares names without case."""
    told = f"{where}: {status} {dict(headers)}"
    assert headers.get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains", told
    assert headers.get("Referrer-Policy") == "no-referrer", told
    assert headers.get("X-Content-Type-Options") == "nosniff", told
    policy = headers.get("Content-Security-Policy", "")
    assert "default-src 'none'" in policy, told
    assert "frame-ancestors " in policy, told
    assert "unsafe" not in policy, told
    assert "Set-Cookie" not in headers, told
    assert "X-Frame-Options" not in headers, told
    if not static or status >= 400:
        assert {part.strip() for part in headers.get("Cache-Control", "").split(",")} >= NEVER_STORED, told


def assert_problem(
    status: int, headers: Mapping[str, str] | HTTPMessage, body: bytes | str, *, where: str = ""
) -> None:
    """An error is a problem document (RFC 9457), or a page where a browser opened one."""
    kind = headers.get("Content-Type", "").partition(";")[0]
    told = f"{where}: {status} {kind} {body[:300]!r}"
    if kind == "text/html":
        page = body.decode() if isinstance(body, bytes) else body
        assert html.unescape("".join(re.findall(r"<h1>(.*?)</h1>", page))) in PLAIN_TITLES, told
        return
    assert kind == "application/problem+json", told
    problem = json.loads(body)
    assert problem["status"] == status, told
    assert problem["type"].startswith("urn:content-steward:problem:"), told
    assert problem["title"] in PLAIN_TITLES, told
    assert problem["detail"], told
