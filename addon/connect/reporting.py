"""One call of Atlassian's personal data reporting API: which of the accounts stored here were closed or changed.

The contract is that of docs/rules/connect.md 6.3. One doubt remains there (section 9): for pure Connect apps the
documentation speaks of the app's JWT flow and shows no example. We sign as for a site: HS256 with the shared secret of
an installation that stores the accounts, `iss` the add-on key, `aud` its clientKey, qsh of this very request. Should
Atlassian want another token, it is refused with 401, nothing is lost, and only `report_accounts` has to change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
from requests.auth import AuthBase

REPORT_ORIGIN = "https://api.atlassian.com"
REPORT_PATH = "/app/report-accounts/"
REPORT_AT_ONCE = 90
"""The most accounts in one call."""
_SECONDS = (3.05, 15.0)
_MAX_BYTES = 65_536
_CYCLE = re.compile(r"P?(\d{1,3})D?\Z")
_MAX_WAIT = 24 * 3600

Verdict = Literal["closed", "updated"]


class ReportFailed(Exception):
    """A report was not taken. `retry_after` in seconds, when Atlassian named it."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What Atlassian said of the reported accounts (those not named are as they were), and the cycle if it said so."""

    accounts: Mapping[str, Verdict]
    cycle_days: int | None


def report_accounts(auth: AuthBase, accounts: Mapping[str, datetime], now: datetime) -> Verdicts:
    """Report accounts, each with the time of our last retrieval; at most REPORT_AT_ONCE.

    Raises ReportFailed: refused, asked to wait, not reached, or answered with something else.
    """
    body = {"accounts": [{"accountId": who, "updatedAt": _rfc3339(at)} for who, at in accounts.items()]}
    try:
        with requests.post(
            REPORT_ORIGIN + REPORT_PATH,
            json=body,
            auth=auth,
            headers={"Accept": "application/json"},
            timeout=_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            cycle = _cycle(answer.headers.get("Cycle-Period"))
            if answer.status_code == 204:
                return Verdicts({}, cycle)
            if answer.status_code != 200:
                raise ReportFailed(f"answered {answer.status_code}", _wait(answer.headers.get("Retry-After"), now))
            return Verdicts(_verdicts(_read(answer), accounts), cycle)
    except (requests.RequestException, ValueError) as error:
        # requests reads where a redirect leads although it is not followed, and fails on what is no address.
        raise ReportFailed(f"not reached: {type(error).__name__}") from error


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(answer: requests.Response) -> Any:
    raw = b""
    for chunk in answer.iter_content(8192):
        raw += chunk
        if len(raw) > _MAX_BYTES:
            raise ReportFailed("answered too much")
    try:
        return json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ReportFailed("answered no JSON") from error


def _verdicts(body: Any, asked: Mapping[str, datetime]) -> dict[str, Verdict]:
    entries = body.get("accounts") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        raise ReportFailed("answered without accounts")
    found: dict[str, Verdict] = {}
    for entry in entries:
        who, status = (entry.get("accountId"), entry.get("status")) if isinstance(entry, dict) else (None, None)
        # An account that was not reported is not erased, whatever the answer says.
        if isinstance(who, str) and who in asked and status in ("closed", "updated"):
            found[who] = status
    return found


def _cycle(text: str | None) -> int | None:
    """Return the days of a Cycle-Period header: a number, or an ISO 8601 duration of days."""
    match = _CYCLE.match((text or "").strip())
    return min(max(int(match[1]), 1), 365) if match else None


def _wait(text: str | None, now: datetime) -> int | None:
    """Return the seconds of a Retry-After header: a number or a date."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return min(max(int(text[:9]), 1), _MAX_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        return None
    return min(max(int((until - now).total_seconds()), 1), _MAX_WAIT)
