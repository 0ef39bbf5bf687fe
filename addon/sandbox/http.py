"""The one way that every REST request takes, and the shapes of errors and pages.

Order of a request: injected faults, latency, token, quota, scope, the endpoint under the site's lock, then points,
rate-limit headers and the request log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from flask import Blueprint, Request, Response, request

from addon.sandbox import auth
from addon.sandbox.faults import Fault

if TYPE_CHECKING:
    from addon.sandbox.site import Site

T = TypeVar("T")
V2_LIMIT = 250
_WORDS = re.compile(r"[\w~.\-]+")
_ARGUMENT = re.compile(r"<(?:[^:>]+:)?([^>]+)>")


@dataclass(slots=True)
class Answer:
    """What an endpoint returns: a JSON body (None: empty), and the points of the objects in it."""

    body: Any
    points: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An error answer. `body` None means an empty body."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def refused_v1(status: int, message: str) -> Refused:
    """Return an error in the shape of the v1 API (docs/rules/confluence-api.md 5)."""
    data = {"authorized": status not in (401, 403), "valid": status != 400, "errors": [], "successful": False}
    return Refused(status, {"statusCode": status, "data": data, "message": message})


def bad_cql(message: str) -> Refused:
    """Return the 400 of a query that Confluence does not take."""
    return refused_v1(400, f"com.atlassian.confluence.api.service.exceptions.BadRequestException: {message}")


def refused_v2(status: int, code: str, title: str, detail: str | None = None) -> Refused:
    """Return an error in the shape of the v2 API (docs/rules/confluence-api.md 5)."""
    return Refused(status, {"errors": [{"status": status, "code": code, "title": title, "detail": detail}]})


def invalid(name: str, expected: str) -> Refused:
    """Return v2's 400 for a parameter of the wrong type or range."""
    return refused_v2(
        400,
        "INVALID_REQUEST_PARAMETER",
        f"Provided value for '{name}' is not the correct type. Expected type is {expected}.",
    )


def not_found(what: str) -> Refused:
    """Return v2's 404, the same for missing and for not permitted."""
    return refused_v2(404, "NOT_FOUND", f"{what} not found", "The caller may lack permission to view it.")


def stamp(moment: datetime) -> str:
    """Return a time as Confluence writes it: UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


# parameters of v2


def values(name: str) -> list[str]:
    """Return a list parameter, repeated or comma-separated."""
    return [part for raw in request.args.getlist(name) for part in raw.split(",") if part != ""]


def numeric_values(name: str, most: int) -> list[str]:
    """Return a list parameter of ids. Raises Refused (400) on anything but numbers and on too many."""
    found = values(name)
    if len(found) > most:
        raise refused_v2(400, "INVALID_REQUEST_PARAMETER", f"'{name}' takes at most {most} values")
    if not all(value.isdecimal() for value in found):
        raise invalid(name, "int64")
    return found


def choices(name: str, allowed: Sequence[str], default: Sequence[str]) -> list[str]:
    """Return a list parameter of fixed words. Raises Refused (400) on others."""
    found = values(name)
    if not set(found) <= set(allowed):
        raise invalid(name, "|".join(allowed))
    return found or list(default)


def expansions() -> list[str]:
    """Return the paths of the v1 parameter `expand`."""
    return [path for part in values("expand") if (path := part.strip())]


def whole_v1(name: str, default: int) -> int:
    """Return a whole number of a v1 request. Raises Refused as v1 does: 404 for words, 400 below zero."""
    raw = request.args.get(name)
    if raw is None:
        return default
    try:
        number = int(raw)
    except ValueError:
        raise Refused(404, None) from None
    if number < 0:
        raise refused_v1(400, f"java.lang.IllegalArgumentException: {name} must not be negative")
    return number


def limit_v2() -> int:
    """Return the page size, 25 where the request names none. Raises Refused (400) outside 1..250."""
    raw = request.args.get("limit", "25")
    if not raw.isdecimal() or not 1 <= int(raw) <= V2_LIMIT:
        raise invalid("limit", f"int32 (1..{V2_LIMIT})")
    return int(raw)


def body_json() -> dict[str, Any]:
    """Return the request's JSON object. Raises Refused (400)."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise refused_v2(400, "INVALID_REQUEST_BODY", "The request body is not a JSON object")
    return body


# cursors


def seal(position: Mapping[str, Any]) -> str:
    """Return an opaque cursor."""
    raw = json.dumps(position, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"cursor" + raw).hexdigest()[:12]
    return f"_t_{base64.urlsafe_b64encode(raw).decode().rstrip('=')}_h_{digest}"


def unseal(cursor: str) -> dict[str, Any] | None:
    """Return what a cursor holds, or None when it is not one of ours."""
    match = re.fullmatch(r"_t_([\w\-]+)_h_([0-9a-f]{12})", cursor)
    if match is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))
    except binascii.Error:
        return None
    if hashlib.sha256(b"cursor" + raw).hexdigest()[:12] != match[2]:
        return None
    return dict(json.loads(raw))


def paged(site: Site, rows: Sequence[T], render: Callable[[T], Any], *, weight: int, key: Any = None) -> Answer:
    """Return one v2 page of `rows` with its links.

    With `key` (row -> rising int) the cursor holds a key, so rows that vanish do not shift the rest; else a position.
    `weight` is the points of one row.
    """
    limit = limit_v2()
    start = 0
    cursor = request.args.get("cursor")
    if cursor:
        position = unseal(cursor)
        if position is None:
            raise invalid("cursor", "Cursor")
        start = bisect_right(rows, int(position["after"]), key=key) if key else int(position["at"])
    chunk = rows[start : start + limit]
    links = {"base": site.base_url}
    headers = {}
    if start + limit < len(rows):
        kept = [(name, value) for name, value in _query_pairs() if name != "cursor"]
        position = {"after": key(chunk[-1])} if key else {"at": start + limit}
        links["next"] = f"{request.path}?{urlencode([*kept, ('cursor', seal(position))])}"
        headers["Link"] = f'<{links["next"]}>; rel="next", <{site.base_url}>; rel="base"'
    results = [render(row) for row in chunk]
    return Answer({"results": results, "_links": links}, weight * len(results), headers=headers)


def _query_pairs() -> list[tuple[str, str]]:
    return parse_qsl(request.query_string.decode(), keep_blank_values=True)


# the way of a request


class Rest:
    """Registers endpoints on one blueprint and serves them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.blueprint = Blueprint("rest", __name__)

    def on(self, method: str, rule: str, scope: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
        """Register an endpoint: `scope` is the Connect scope the add-on must hold (NONE: any)."""
        endpoint = f"{method} {_ARGUMENT.sub(_braced, rule)}"

        def register(view: Callable[..., Answer]) -> Callable[..., Answer]:
            def serve(**arguments: str) -> Response:
                return self._serve(endpoint, scope, view, arguments)

            self.blueprint.add_url_rule(rule, endpoint.replace(".", "_"), serve, methods=[method])
            return view

        return register

    def otherwise(self, prefix: str, view: Callable[[str], Answer]) -> None:
        """Answer whatever else is asked below `prefix`, in any method, with `view(rest of the path)`."""

        def serve(below: str) -> Response:
            endpoint = f"{request.method} {prefix}/{{other}}"
            return self._serve(endpoint, "NONE", view, {"below": below})

        methods = ["GET", "POST", "PUT", "DELETE"]
        self.blueprint.add_url_rule(
            f"{prefix}/<path:below>", f"other {prefix}".replace(".", "_"), serve, methods=methods
        )

    def _serve(self, endpoint: str, scope: str, view: Callable[..., Answer], arguments: Mapping[str, str]) -> Response:
        site = self.site
        fault = self._fault(arguments)
        if fault is not None and not fault.after and fault.effect in ("status", "drop"):
            with site.lock:
                return self._close(endpoint, spoiled(fault), 1)
        if fault is not None and fault.effect == "hang" and not fault.after:
            fault.released.wait(fault.seconds)
        if site.latency_ms:
            threading.Event().wait(site.latency_ms / 1000)
        with site.lock:
            site.tasks.settle()
            response, points = self._answer(scope, view, arguments)
            response = self._close(endpoint, response, points)
        return response if fault is None else _spoil(fault, response)

    def _fault(self, arguments: Mapping[str, str]) -> Fault | None:
        site = self.site
        if not site.faults.any():
            return None
        cql = request.args.get("cql", "")
        path = request.full_path.rstrip("?")
        with site.lock:
            spaces = _spaces_of(site, request, arguments, cql)
        return site.faults.take(request.method, path, spaces, cql)

    def _answer(self, scope: str, view: Callable[..., Answer], arguments: Mapping[str, str]) -> tuple[Response, int]:
        try:
            addon = self._caller()
            if self.site.meter.exhausted:
                raise Refused(
                    429,
                    {"code": 429, "message": "Rate limit exceeded"},
                    self.site.meter.refusal_headers(),
                )
            if not auth.may(addon, scope):
                raise _forbidden(f"The add-on's scopes do not include {scope}")
            answer = view(**arguments)
        except Refused as refusal:
            points = 0 if refusal.status in (401, 429) else 1
            return rendered(refusal.body, refusal.status, refusal.headers), points
        return rendered(answer.body, answer.status, answer.headers), 1 + answer.points

    def _caller(self) -> Any:
        try:
            return auth.authenticate(self.site, request.environ)
        except auth.Unauthorized as error:
            if _is_v2():
                raise refused_v2(401, "UNAUTHORIZED", "Unauthorized", str(error)) from error
            raise refused_v1(401, str(error)) from error

    def _close(self, endpoint: str, response: Response, points: int) -> Response:
        meter = self.site.meter
        meter.charge(endpoint, points)
        kept = [(name, value) for name, value in _query_pairs() if name != "jwt"]
        target = request.path + (f"?{urlencode(kept, quote_via=quote)}" if kept else "")
        meter.note(request.method, target, response.status_code, points)
        response.headers.update(meter.headers())
        response.headers["atl-request-id"] = f"sandbox-{meter.calls}"
        return response


def rendered(body: Any, status: int, headers: Mapping[str, str]) -> Response:
    """Return a JSON response, or an empty one for None."""
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    response = Response(text, status, content_type="application/json" if text else None)
    response.headers.update(headers)
    return response


def spoiled(fault: Fault) -> Response:
    """Return the answer of a `status` fault, or a cut connection for `drop`."""
    if fault.effect == "drop":
        return _dropped()
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.reason:
        headers["RateLimit-Reason"] = fault.reason
    message = f"Injected fault {fault.id}"
    if _is_v2():
        refusal = refused_v2(fault.status, "INJECTED_FAULT", message)
    else:
        refusal = refused_v1(fault.status, message)
    return rendered(refusal.body, fault.status, headers)


def _spoil(fault: Fault, response: Response) -> Response:
    if fault.effect in ("status", "drop"):
        return spoiled(fault) if fault.after else response
    if fault.effect == "hang" and fault.after:
        fault.released.wait(fault.seconds)
    elif fault.effect == "malformed":
        response.set_data(response.get_data()[: max(response.calculate_content_length() or 0, 2) // 2] + b'{"')
    elif fault.effect == "slow":
        data = response.get_data()
        response.response = _slowly(data, fault)
        response.headers["Content-Length"] = str(len(data))
    return response


def _slowly(data: bytes, fault: Fault) -> Iterator[bytes]:
    pieces = 20
    size = max(len(data) // pieces, 1)
    for start in range(0, len(data), size):
        fault.released.wait(fault.seconds / pieces)
        yield data[start : start + size]


def _dropped() -> Response:
    cut = request.environ.get("sandbox.cut")
    if cut is not None:
        cut()
    return Response(iter([b"{"]), 200, headers={"Content-Length": "4096"}, content_type="application/json")


def _braced(match: re.Match[str]) -> str:
    return "{" + match[1] + "}"


def _forbidden(message: str) -> Refused:
    return refused_v2(403, "FORBIDDEN", "Forbidden", message) if _is_v2() else refused_v1(403, message)


def _is_v2() -> bool:
    return request.path.startswith("/wiki/api/v2/")


def _spaces_of(site: Site, asked: Request, arguments: Mapping[str, str], cql: str) -> frozenset[str]:
    known = {space.key for space in site.spaces()}
    found = set(_WORDS.findall(cql)) | set(asked.args.getlist("keys"))
    ids = [*asked.args.getlist("space-id"), *asked.args.getlist("ids")]
    if "space_id" in arguments:
        ids.append(arguments["space_id"])
    named = [arguments["content_id"]] if "content_id" in arguments else []
    body = asked.get_json(silent=True) if asked.path.endswith("/content/archive") else None
    if isinstance(body, dict):
        named += [str(page.get("id")) for page in body.get("pages", ()) if isinstance(page, dict)]
    for content_id in (*named, *asked.args.getlist("id")):
        record = site.live.get(content_id)
        if record is not None:
            ids.append(record.space_id)
    found |= {site.space_by_id(space_id).key for space_id in ids if site.has_space(space_id)}
    return frozenset(found & known)
