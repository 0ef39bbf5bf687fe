"""The add-on's use of its hour: points as Atlassian counts them, usage per endpoint, and a request log.

Prices, windows and headers: docs/rules/confluence-api.md 4.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from addon.base import Clock

CORE = 1
"""Points of a returned content, space, property or anything else that is not about people."""
IDENTITY = 2
"""Points of a returned user, group or permission."""
LOG_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as it was answered. `target` is path and query without tokens."""

    at: datetime
    method: str
    target: str
    status: int
    points: int

    def as_json(self) -> dict[str, Any]:
        """Return the entry for the control API."""
        return {
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "method": self.method,
            "path": self.target,
            "status": self.status,
            "points": self.points,
        }


@dataclass(slots=True)
class EndpointUse:
    """Points and calls of one endpoint since the counters were reset."""

    points: int = 0
    calls: int = 0


class Meter:
    """Counts points in fixed UTC hours against `quota` and keeps totals. The site's lock guards it."""

    def __init__(self, clock: Clock, quota: int) -> None:
        self._clock = clock
        self.quota = quota
        self.log: deque[LoggedRequest] = deque(maxlen=LOG_LENGTH)
        self._hour = self._this_hour()
        self._used_in_hour = 0
        self.points = 0
        self.calls = 0
        self.by_endpoint: dict[str, EndpointUse] = {}

    def _this_hour(self) -> datetime:
        return self._clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)

    @property
    def used(self) -> int:
        """Points used in the present UTC hour."""
        hour = self._this_hour()
        if hour != self._hour:
            self._hour, self._used_in_hour = hour, 0
        return self._used_in_hour

    @used.setter
    def used(self, points: int) -> None:
        self._hour, self._used_in_hour = self._this_hour(), points

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left of the hour's quota."""
        return self.used >= self.quota

    @property
    def resets_at(self) -> datetime:
        """The top of the next UTC hour."""
        return self._this_hour() + timedelta(hours=1)

    def charge(self, endpoint: str, points: int) -> None:
        """Count one answered request."""
        self.used = self.used + points
        self.points += points
        self.calls += 1
        use = self.by_endpoint.setdefault(endpoint, EndpointUse())
        use.points += points
        use.calls += 1

    def note(self, method: str, target: str, status: int, points: int) -> None:
        """Append to the request log."""
        self.log.append(LoggedRequest(self._clock.now(), method, target, status, points))

    def reset(self) -> None:
        """Start totals, per-endpoint counters and the log again from nothing; the hour's use stays."""
        self.points = self.calls = 0
        self.by_endpoint.clear()
        self.log.clear()

    def usage(self) -> dict[str, Any]:
        """Return {points, calls, byEndpoint: {endpoint: {points, calls}}, hour: {used, quota, resetsAt}}."""
        return {
            "points": self.points,
            "calls": self.calls,
            "byEndpoint": {
                name: {"points": use.points, "calls": use.calls} for name, use in sorted(self.by_endpoint.items())
            },
            "hour": {
                "used": self.used,
                "quota": self.quota,
                "resetsAt": self.resets_at.isoformat().replace("+00:00", "Z"),
            },
        }

    def headers(self) -> dict[str, str]:
        """Return the rate-limit headers of a response, in the enforced spelling (no Beta- prefix)."""
        left = max(self.quota - self.used, 0)
        seconds = max(int((self.resets_at - self._clock.now()).total_seconds()), 1)
        near = left < self.quota * 0.2
        headers = {
            "X-RateLimit-Limit": str(self.quota),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": self.resets_at.strftime("%Y-%m-%dT%H:%MZ"),
            "RateLimit-Policy": f'"global-app-quota";q={self.quota};w=3600',
            "RateLimit": f'"global-app-quota";t={seconds}',
        }
        if near:
            headers["X-RateLimit-NearLimit"] = "true"
            headers["RateLimit"] = f'"global-app-quota";r={left};t={seconds}'
        return headers

    def refusal_headers(self) -> dict[str, str]:
        """Return what a 429 carries besides: Retry-After and the reason."""
        seconds = max(int((self.resets_at - self._clock.now()).total_seconds()), 1)
        return {"Retry-After": str(seconds), "RateLimit-Reason": "confluence-quota-global-based"}
