"""Mails rendered from administrators' templates, in a process of their own.

Whatever a template does, it costs its own mail: the child that renders (sandboxed.py) is ended when it uses more than
its CPU time or memory, and a new one takes its place. It is started when the first mail or template needs it, and ends
with this process, whose end closes its input.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from addon.base import get_logger
from addon.mail import sandboxed
from addon.mail.digest import FULL, MINIMAL
from addon.mail.message import one_line
from addon.mail.sandboxed import PARTS, Part

log = get_logger(__name__)

WALL_SECONDS = 30.0
"""How long an answer may take on a machine that is busy elsewhere. The CPU time is the limit that counts."""
MAX_ANSWER = 16_000_000
"""Bytes of one answer; the longest mail allowed, written as JSON, is shorter."""
TOO_HEAVY = "takes more time or memory to render than a mail may"
REMEMBERED = 256
"""Templates that were too heavy, kept so that they are not tried again."""
_ENDED_BY_LIMITS = (-signal.SIGPROF, sandboxed.OUT_OF_MEMORY)


class TemplateMistake(Exception):
    """A template cannot be used. `part` is subject, text or html."""

    def __init__(self, part: Part, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part
        self.reason = reason


class DigestTemplate(Protocol):
    """The three texts of a template."""

    @property
    def subject(self) -> str:
        """One line of plain text."""
        ...

    @property
    def text(self) -> str:
        """Plain text."""
        ...

    @property
    def html(self) -> str:
        """HTML."""
        ...


class Renderer:
    """The only way from a template to a mail. Safe to use from several threads, which take turns."""

    def __init__(self, *, wall_seconds: float = WALL_SECONDS) -> None:
        """Start nothing yet. `wall_seconds` is how long one answer may take."""
        self._wall_seconds = wall_seconds
        self._turn = threading.Lock()
        self._child: _Child | None = None
        self._ended: int | None = None
        self._heavy: OrderedDict[bytes, None] = OrderedDict()

    def digest(self, template: DigestTemplate, context: Mapping[str, Any]) -> tuple[str, str, str]:
        """Return (subject, text, html) of a digest.

        Parameters: `context` as made by `addon.mail.digest.digest_context`. Raises TemplateMistake.
        """
        texts = _texts(template)
        key = hashlib.sha256(json.dumps(texts).encode()).digest()
        with self._turn:
            # One that was too heavy once is not tried for each of ten thousand people.
            answers = [] if key in self._heavy else self._ask({"template": texts, "context": context}, 1)
            if not answers:
                if self._ended in _ENDED_BY_LIMITS:
                    self._heavy[key] = None
                while len(self._heavy) > REMEMBERED:
                    self._heavy.popitem(last=False)
                raise TemplateMistake("text", TOO_HEAVY)
        if "mistake" in answers[0]:
            part, reason = answers[0]["mistake"]
            raise TemplateMistake(part, one_line(reason))
        subject, text, html = answers[0]["texts"]
        return one_line(subject), text.strip() + "\n", html.strip() + "\n"

    def check(self, templates: Sequence[DigestTemplate]) -> list[tuple[int, str, str]]:
        """Return what is wrong with `templates`, as (position, part, reason); empty when all of them render.

        Each is tried with a full and a small digest. They share one budget, so that many heavy templates cost no more
        than one: after the first that is too heavy the others are not looked at.
        """
        if not templates:
            return []
        request = {"templates": [_texts(template) for template in templates], "contexts": [FULL, MINIMAL]}
        with self._turn:
            answers = self._ask(request, len(templates))
        mistakes = [
            (position, part, one_line(reason))
            for position, answer in enumerate(answers)
            for part, reason in answer["mistakes"]
        ]
        if len(answers) < len(templates):
            mistakes.append((len(answers), "text", TOO_HEAVY))
        return mistakes

    def close(self) -> None:
        """End the child. A later call starts another."""
        with self._turn:
            self._end()

    def _ask(self, request: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
        """Return `number` answers; fewer when the process was ended over the one that is missing.

        A child that something else ended (an operator, the kernel, our own patience with a busy machine) says nothing
        about the template: another is asked once more.
        """
        answers: list[dict[str, Any]] = []
        for again in (True, False):
            if self._child is None:
                self._child = _Child(self._wall_seconds)
                weakref.finalize(self, self._child.end)
            answers = self._child.ask(request, number)
            if len(answers) == number:
                break
            self._ended = self._end()
            log.warning(
                "the process that renders mails has ended and is replaced", action="renderer_ended", status=self._ended
            )
            if not again or self._ended in _ENDED_BY_LIMITS:
                break
        return answers

    def _end(self) -> int | None:
        child, self._child = self._child, None
        return child.end() if child else None


class _Child:
    """One rendering process and the socket that is its input and output."""

    def __init__(self, wall_seconds: float) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Nothing of our environment goes along: it holds the encryption keys. A session of its own keeps the
            # terminal's signals away.
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  (our own interpreter and file)
                [sys.executable, "-I", sandboxed.__file__],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                env={"PATH": os.defpath},
                start_new_session=True,
            )
        ours.settimeout(wall_seconds)
        self._socket = ours
        self._lines = ours.makefile("rb")

    def ask(self, request: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
        """Return the answers to a request, fewer than `number` when the process ends or is silent for too long."""
        answers: list[dict[str, Any]] = []
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while len(answers) < number:
                line = self._lines.readline(MAX_ANSWER)
                if not line.endswith(b"\n"):
                    break
                answers.append(json.loads(line))
        except OSError as error:
            log.info("the process that renders mails does not answer", action="renderer_silent", error=str(error))
        return answers

    def end(self) -> int:
        """End the process; return how it ended, as subprocess says. May be repeated."""
        self._lines.close()
        self._socket.close()
        try:
            return self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _texts(template: DigestTemplate) -> dict[str, str]:
    return {part: getattr(template, part) for part in PARTS}
