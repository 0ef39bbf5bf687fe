"""Problem documents (RFC 9457): the one shape of every error that leaves, whichever room it comes from.

The rooms below raise errors of their own and know no HTTP. `STATUSES` says what each answers; a failed call to the site
and a lost database are translated here too. A browser that opened a page gets the same problem as a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from addon import confluence, connect, policies
from addon.base import Clock, FieldError, Refusal, TenantGone, Unreachable, cause_of, get_logger, is_temporary, new_id
from addon.base.resources import render
from addon.config import Settings
from addon.confluence import Postponed, QuotaExhausted, SiteBusy, SiteError
from addon.engine import DATABASE_AWAY
from addon.screens import assets
from addon.screens.titles import title

log = get_logger(__name__)

KINDS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
}
DETAILS = {
    400: "The request is not one that this address can read.",
    404: "There is nothing here under this address.",
    405: "This address does not answer this method.",
    408: "The request did not arrive in time. Send it again.",
    413: "The request's body is larger than this address accepts.",
    414: "The address is longer than Content Steward reads.",
    415: "The request's content type is not one this address reads.",
}
OTHER = "Content Steward cannot answer a request like this one."
DATABASE = "Content Steward's database cannot be used right now. Try again in a moment."
DATABASE_SECONDS = 10


class Problem(Refusal):
    """An error with its HTTP status, as it leaves. `kind`, `detail` and the rest are those of a `Refusal`."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(kind, detail, errors=errors, extra=extra, retry_after=retry_after)
        self.status = status

    def document(self) -> dict[str, Any]:
        """Return the problem document as a JSON-ready dictionary."""
        body: dict[str, Any] = {
            "type": f"urn:content-steward:problem:{self.kind}",
            "title": title(self.status, self.kind),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in self.errors]
        return body | self.extra


STATUSES: Mapping[type[Refusal], int] = {
    connect.Unauthenticated: 401,
    connect.BadPayload: 400,
    connect.PayloadTooLarge: 413,
    connect.CannotVerify: 503,
    confluence.NotAllowed: 403,
    confluence.RightsUnknown: 503,
    policies.InvalidPolicies: 422,
    policies.NoSuchVersion: 404,
    policies.PoliciesChanged: 412,
    policies.SavedTooOften: 429,
    policies.TooLarge: 413,
    policies.Unreadable: 400,
    policies.UnsupportedMediaType: 415,
}
"""What each room's errors answer."""


def problem_of(error: Refusal) -> Problem:
    """Return the problem that leaves for an error of a room below."""
    if isinstance(error, Problem):
        return error
    return Problem(
        STATUSES[type(error)],
        error.kind,
        error.detail,
        errors=error.errors,
        extra=error.extra,
        retry_after=error.retry_after,
    )


@contextmanager
def known_cursor() -> Iterator[None]:
    """Turn a cursor that was not given by us, a ValueError of the engine's queries, into a Problem."""
    try:
        yield
    except ValueError as error:
        errors = [FieldError("cursor", "This cursor was not given by this list.")]
        raise Problem(422, "invalid", "The cursor is not acceptable.", errors=errors) from error


def _answer(problem: Problem, look: Mapping[str, str]) -> Response:
    """Return the problem as an HTTP answer: HTML where a browser opened a page, else application/problem+json."""
    body = problem.document()
    if _wants_page():
        html = render(
            "screens/problem.html",
            status=problem.status,
            title=body["title"],
            detail=problem.detail,
            **look,
        )
        response = Response(html, problem.status, mimetype="text/html")
    else:
        response = Response(json.dumps(body), problem.status, mimetype="application/problem+json")
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def register(app: Flask, settings: Settings, clock: Clock) -> None:
    """Let every error of `app` leave as a problem. An unexpected one is logged under an id that the answer names."""
    look = {
        "assets": f"{urlsplit(settings.base_url).path}/static/{assets.version()}",
        "ap_script_url": settings.ap_script_url,
    }

    def answer(problem: Problem) -> Response:
        return _answer(problem, look)

    def refused(error: Refusal) -> Response:
        return answer(problem_of(error))

    def http(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:
            return error.get_response()  # type: ignore[return-value]
        kind = KINDS.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "-")
        return answer(Problem(status, kind, DETAILS.get(status, OTHER)))

    def unexpected(error: Exception) -> Response:
        reference = new_id()
        log.exception(
            "unexpected error", action="request_failed", reference=reference, method=request.method, path=request.path
        )
        detail = (
            "Content Steward met an error it did not expect. Try again; if it stays, give your operator the reference "
            f"{reference}."
        )
        return answer(Problem(500, "unexpected", detail, extra={"reference": reference}))

    def site(error: Exception) -> Response:
        log.warning(
            "the site did not answer what a request needed",
            action="request_without_site",
            path=request.path,
            error=str(error),
        )
        return answer(_of_site(error, clock.now()))

    def database(error: Exception) -> Response:
        if not is_temporary(error):
            return unexpected(error)
        log.warning(
            "the database could not be used by a request",
            action="request_without_database",
            path=request.path,
            error=cause_of(error),
        )
        return answer(Problem(503, "database-unavailable", DATABASE, retry_after=DATABASE_SECONDS))

    for kind in (SiteError, QuotaExhausted, Unreachable, TenantGone):
        app.register_error_handler(kind, site)
    for away in DATABASE_AWAY:
        app.register_error_handler(away, database)
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, unexpected)


def _of_site(error: Exception, now: datetime) -> Problem:
    """Return what a failed call to Confluence means for the person who waits."""
    if isinstance(error, TenantGone):
        return Problem(401, "tenant-unknown", "Content Steward is not installed on this site any more.")
    if isinstance(error, Unreachable):
        detail = "Confluence refuses Content Steward's signature. A Confluence administrator must install it again."
        return Problem(503, "reinstall-needed", detail)
    if isinstance(error, SiteBusy):
        detail = "Your Confluence site answers slowly, and other requests wait for it already. Try again in a moment."
        return Problem(503, "site-busy", detail, retry_after=max(1, round(error.retry_after or 1)))
    if isinstance(error, Postponed):
        kind, why = "asked-for-fewer", error.reason
        if isinstance(error, QuotaExhausted):
            kind, why = "quota", f"Confluence's API quota is used up: {error.reason}"
        detail = f"{why}. Try again in {error.waiting(now)}."
        return Problem(503, kind, detail, retry_after=error.seconds_left(now))
    detail = "Confluence did not answer Content Steward as expected. Try again in a minute."
    return Problem(503, "site-unavailable", detail, retry_after=60)


def _wants_page() -> bool:
    if request.path.startswith(("/api/", "/connect/")):
        return False
    accepts = request.accept_mimetypes
    return accepts.best_match(["application/json", "text/html"], "application/json") == "text/html"
