"""How is the add-on served over HTTP? waitress, whose own refusals carry the security headers too.

A request that waitress cannot read, or that is too large, never reaches the application; scanners and browsers see
the answer all the same (docs/rules/connect.md 4.1).
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer
from waitress.server import create_server as create_waitress
from waitress.task import ErrorTask

from addon.connect import BARE_HEADERS
from addon.connections import Channel, Limits
from addon.screens.problems import Problem

MAX_BODY_BYTES = 2_000_000
"""No address takes more. waitress keeps what it received before the application sees it, so it has to know."""
DETAILS = {
    HTTPStatus.BAD_REQUEST: "The request is not one that HTTP knows.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request's body is larger than any address accepts.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's headers are larger than any address accepts.",
    HTTPStatus.NOT_IMPLEMENTED: "The request is sent in a way that this server does not read.",
}
OTHER = "The request is not one that this server answers."


TRANSFER_ENCODING = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request's end that two readers may see at two places is no request (RFC 9112, 6.1 and 11.2).

    waitress prefers Transfer-Encoding and drops Content-Length; a proxy in front that reads it the other way round
    would take the rest of one person's request for the beginning of another's.
    """

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head of a request. Raises ParsingError, upon which the connection is closed."""
        super().parse_header(header_plus)
        if TRANSFER_ENCODING.search(header_plus) is None:
            return
        if self.version != "1.1" or not self.chunked or "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Transfer-Encoding leaves in doubt where the request ends")


class _Refusal(ErrorTask):  # type: ignore[misc]
    """A problem document instead of plain text."""

    def execute(self) -> None:
        """Write the answer and close the connection."""
        status = HTTPStatus(self.request.error.code)
        kind = status.phrase.lower().replace(" ", "-")
        body = json.dumps(Problem(status, kind, DETAILS.get(status, OTHER)).document()).encode()
        self.status = f"{status.value} {status.phrase}"
        self.response_headers.extend([("Content-Type", "application/problem+json"), *BARE_HEADERS.items()])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(Channel):
    error_task_class = _Refusal
    parser_class = _Parser


def create_server(app: Any, *, limits: Limits | None = None, **options: Any) -> Any:
    """Return a waitress server for `app`.

    Parameters: `limits` of its connections; `options` as waitress names them (host, port, sockets, threads, map …).
    """
    limits = limits or Limits()
    sockets: dict[int, Any] = options.pop("map", {})
    server = create_waitress(
        app,
        map=sockets,
        **{"ident": None, "clear_untrusted_proxy_headers": True, "max_request_body_size": MAX_BODY_BYTES}
        | limits.options()
        | options,
    )
    for each in (server, *sockets.values()):
        if isinstance(each, BaseWSGIServer):
            limits.apply(each, _Channel)
    return server
