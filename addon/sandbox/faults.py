"""Injected faults: rules that match requests and answer them badly, late or not at all."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Effect = Literal["status", "hang", "slow", "malformed", "drop"]
EFFECTS: tuple[Effect, ...] = ("status", "hang", "slow", "malformed", "drop")


class BadFault(ValueError):
    """The rule cannot be understood; the message says why."""


@dataclass(slots=True)
class Fault:
    """One rule. All given conditions must hold: `method`, `path` (regex, searched), `space` (key), `cql` (substring).

    Effects: `status` answers that status (with `retry_after` seconds when given); `hang` waits `seconds` or until
    released, then answers normally; `slow` sends the body over `seconds`; `malformed` answers broken JSON; `drop`
    cuts the connection before an answer. It acts `count` times (None: always), after skipping `skip` matches.
    `after` lets the request do its work before it is spoilt.
    """

    id: str
    effect: Effect
    status: int = 500
    method: str | None = None
    path: re.Pattern[str] | None = None
    space: str | None = None
    cql: str | None = None
    retry_after: int | None = None
    reason: str | None = None
    seconds: float = 30.0
    count: int | None = None
    skip: int = 0
    after: bool = False
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def matches(self, method: str, path: str, spaces: frozenset[str], cql: str) -> bool:
        """Tell whether a request meets the conditions; `spaces` are the keys it is about."""
        return (
            (self.method is None or self.method == method)
            and (self.path is None or self.path.search(path) is not None)
            and (self.space is None or self.space in spaces)
            and (self.cql is None or self.cql in cql)
        )

    def as_json(self) -> dict[str, Any]:
        """Return the rule for the control API."""
        return {
            "id": self.id,
            "effect": self.effect,
            "status": self.status,
            "method": self.method,
            "path": self.path.pattern if self.path else None,
            "space": self.space,
            "cql": self.cql,
            "retryAfter": self.retry_after,
            "seconds": self.seconds,
            "count": self.count,
            "hits": self.hits,
        }


class Faults:
    """The rules in force, asked in the order they were added. Has its own lock: a hanging request holds no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[str, Fault] = {}
        self._numbers = itertools.count(1)

    def add(
        self,
        effect: Effect = "status",
        *,
        status: int = 500,
        method: str | None = None,
        path: str | None = None,
        space: str | None = None,
        cql: str | None = None,
        retry_after: int | None = None,
        reason: str | None = None,
        seconds: float = 30.0,
        count: int | None = None,
        skip: int = 0,
        after: bool = False,
    ) -> Fault:
        """Add a rule and return it. Raises BadFault on an unknown effect or a broken pattern."""
        if effect not in EFFECTS:
            raise BadFault(f"effect must be one of {', '.join(EFFECTS)}")
        try:
            pattern = re.compile(path) if path is not None else None
        except re.error as error:
            raise BadFault(f"path is no regular expression: {error}") from error
        with self._lock:
            rule = Fault(
                str(next(self._numbers)), effect, status, method.upper() if method else None, pattern, space, cql,
                retry_after, reason, seconds, count, skip, after,
            )  # fmt: skip
            self._rules[rule.id] = rule
            return rule

    def add_json(self, rule: Mapping[str, Any]) -> Fault:
        """Add a rule in the control API's spelling (retryAfter for retry_after). Raises BadFault."""
        known = {"effect", "status", "method", "path", "space", "cql", "retryAfter", "reason", "seconds", "count"}
        known |= {"skip", "after"}
        unknown = rule.keys() - known
        if unknown:
            raise BadFault(f"unknown: {', '.join(sorted(unknown))}")
        for name in ("status", "retryAfter", "seconds", "count", "skip"):
            value = rule.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise BadFault(f"{name} must be a number")
        options = {("retry_after" if name == "retryAfter" else name): value for name, value in rule.items()}
        return self.add(**options)

    def take(self, method: str, path: str, spaces: frozenset[str], cql: str) -> Fault | None:
        """Return the first rule that acts on this request, and count it."""
        with self._lock:
            for rule in self._rules.values():
                if not rule.matches(method, path, spaces, cql):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.count is not None and rule.hits >= rule.count:
                    continue
                rule.hits += 1
                rule.reached.set()
                return rule
            return None

    def any(self) -> bool:
        """Tell whether there are rules at all."""
        return bool(self._rules)

    def remove(self, fault_id: str) -> None:
        """Drop a rule and release what hangs on it."""
        with self._lock:
            rule = self._rules.pop(fault_id, None)
        if rule is not None:
            rule.released.set()

    def clear(self) -> None:
        """Drop all rules and release everything that hangs."""
        with self._lock:
            rules = list(self._rules.values())
            self._rules.clear()
        for rule in rules:
            rule.released.set()

    def all(self) -> list[Fault]:
        """Return the rules in force."""
        with self._lock:
            return list(self._rules.values())
