"""The policies as JSON or YAML: read, checked and put as one document, guarded by its version."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from flask import Response, request
from pydantic import Field, StringConstraints

from addon.base import Caller, FieldError, Refusal, get_logger
from addon.confluence import CqlRejected, QuotaExhausted, SiteError
from addon.confluence.cql import CONTENT, all_of
from addon.parts import Parts
from addon.policies import MAX_BYTES, MEDIA_TYPES, Notice, PolicyDocument, dump, keys_named, lines, parse
from addon.screens.access import Access
from addon.screens.api.base import Api
from addon.screens.api.executions.presenter import Presenter
from addon.screens.lookups import Lookups
from addon.screens.operations import operation
from addon.screens.problems import Problem
from addon.screens.schemas import Decimal, Limit, List, Model, Query

log = get_logger(__name__)

MOST_CQL = 40
"""How many changed queries one PUT asks the site about."""
MOST_KEYS = 250
"""How many new space keys one PUT asks the site about."""
MOST_NOTICES = 300
TURN_SECONDS = 5.0
"""How long a PUT waits for the one that is read and checked before it: both take CPU time that all sites share."""
UNKNOWN_KEY = (
    "Content Steward sees no current space with the key {}. Look whether it is spelt right: otherwise the space is "
    "archived, hidden from the app, or not made yet"
)
DOCUMENT = {
    "application/json": {"schema": {"type": "object", "description": "The policies document"}},
    "application/yaml": {"schema": {"type": "string"}},
}


class PoliciesQuery(Query):
    """Which version of the policies; the current one without."""

    version: Annotated[Decimal, Field(ge=1, le=999_999_999)] | None = None


class VersionsQuery(Query):
    """One page of the policies' history."""

    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")] | None = None
    limit: Limit = 25


class PolicyVersionInfo(Model):
    """One accepted policies document in the version history."""

    version: int
    by: str | None
    by_name: str | None = None
    at: datetime


class Factory(Model):
    """What Content Steward ships, so that a part of the policies or all of them can be set back to it."""

    policies: dict[str, Any] = Field(description="A policies document that can be put as it is, or in parts")
    retired_statuses: list[str] = Field(description="Status ids that were removed here and can never be used again")
    namespace: str = Field(description="What the names of the CQL aliases begin with")


class PoliciesApi(Api):
    """The policies of the site, for Confluence administrators."""

    def __init__(self, parts: Parts, access: Access, lookups: Lookups, presenter: Presenter) -> None:
        super().__init__(parts, access, lookups, presenter)
        self._turn = threading.Lock()

    @operation(
        "GET",
        "/policies",
        query=PoliciesQuery,
        answers={200: None},
        also=("application/yaml",),
        problems=(401, 403, 404, 422, 503),
        name="get_policies",
    )
    def get(self, caller: Caller, *, query: PoliciesQuery) -> Response:
        """Return the policies, as JSON or (by Accept) as YAML. The ETag is their version."""
        self._access.site(caller)
        with self._parts.db.read(caller.tenant_id) as session:
            version, document = self._parts.policies.current(session, caller.tenant_id)
            if query.version is not None:
                version, document = query.version, self._parts.policies.at(session, caller.tenant_id, query.version)
        return _written(version, document, accepted())

    @operation(
        "PUT",
        "/policies",
        raw=DOCUMENT,
        headers={"If-Match": 'The version the changes were made on, such as "3"'},
        answers={200: None},
        also=("application/yaml",),
        problems=(400, 401, 403, 412, 413, 415, 422, 428, 429, 503),
        max_body=MAX_BYTES,
        name="put_policies",
    )
    def put(self, caller: Caller) -> Response:
        """Store the policies as their next version; schedules and hold follow at once.

        The answer is the document as it is stored and, as `notices` (in YAML as comments), what its author should
        know. A document that changes nothing makes no version.

        Raises Problem 400 (unreadable), 412 (changed meanwhile), 413 (too large), 422 with a JSON pointer (and for YAML
        the line) of each field that is not right, 428 without If-Match, 503 while others are saved.
        """
        self._access.site(caller, write=True)
        if_match = _if_match()
        text = request.get_data()
        with lines_added(text, request.mimetype):
            with self._in_turn():
                data = parse(text, request.mimetype)
                data.pop("notices", None)  # of an answer of ours that was changed and put
                checked = self._parts.policies.check(data)
            before = self._before(caller)
            self._ask_site(caller, checked.document, before)
            notices = (*checked.notices, *self._unknown_keys(caller, checked.document, before))
            with self._parts.db.write(caller.tenant_id) as session:
                version = self._store(session, caller, checked, if_match)
        return _written(version, checked.document, accepted(MEDIA_TYPES[request.mimetype]), _notices(notices))

    @operation(
        "GET",
        "/policies/factory",
        answers={200: Factory},
        problems=(401, 403, 503),
        name="factory_policies",
    )
    def factory(self, caller: Caller) -> Factory:
        """Return the policies as they ship, for setting schemes back. Statuses whose ids are used up have new ones."""
        self._access.site(caller)
        with self._parts.db.read(caller.tenant_id) as session:
            document = self._parts.policies.factory(session, caller.tenant_id)
            retired = self._parts.policies.retired(session, caller.tenant_id)
        return Factory(
            policies=document.data(), retired_statuses=sorted(retired), namespace=self._parts.settings.namespace
        )

    @operation(
        "GET",
        "/policies/versions",
        query=VersionsQuery,
        answers={200: List[PolicyVersionInfo]},
        problems=(401, 403, 422, 503),
        name="policy_versions",
    )
    def versions(self, caller: Caller, *, query: VersionsQuery) -> List[PolicyVersionInfo]:
        """List the accepted versions of the policies, newest first."""
        self._access.site(caller)
        before = int(query.cursor) if query.cursor is not None else None
        with self._parts.db.read(caller.tenant_id) as session:
            rows = self._parts.policies.history(session, caller.tenant_id, limit=query.limit + 1, before=before)
        shown = rows[: query.limit]
        names = self._lookups.names(caller.tenant_id, [row.by for row in shown])
        return List[PolicyVersionInfo](
            items=[
                PolicyVersionInfo(version=row.version, by=row.by, by_name=names.get(row.by or ""), at=row.at)
                for row in shown
            ],
            next_cursor=str(shown[-1].version) if len(rows) > query.limit else None,
        )

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=TURN_SECONDS):
            raise Problem(503, "saving", "Other policies are being saved right now. Save again.", retry_after=5)
        try:
            yield
        finally:
            self._turn.release()

    def _before(self, caller: Caller) -> PolicyDocument:
        with self._parts.db.read(caller.tenant_id) as session:
            return self._parts.policies.current(session, caller.tenant_id)[1]

    def _unknown_keys(self, caller: Caller, document: PolicyDocument, before: PolicyDocument) -> list[Notice]:
        """Say at each space key that is new in the policies when the site shows no current space of it.

        It is no error: the space may be hidden from the app, archived, or made later. Where the site does not answer
        nothing is said.
        """
        known = set(keys_named(before).values())
        fresh = {pointer: key for pointer, key in keys_named(document).items() if key not in known}
        asked = sorted(set(fresh.values()))[:MOST_KEYS]
        if not asked:
            return []
        spellings = sorted({spelt for key in asked for spelt in (key, key.upper(), key.lower())})
        try:
            with self._parts.confluence.client(caller.tenant_id) as client:
                found = {space.key.casefold() for space in client.spaces(keys=spellings)}
        except (SiteError, QuotaExhausted) as error:
            log.warning("space keys are stored without asking the site", action="keys_unchecked", error=str(error))
            return []
        missing = {key for key in asked if key.casefold() not in found}
        return [Notice(pointer, UNKNOWN_KEY.format(key)) for pointer, key in fresh.items() if key in missing]

    def _ask_site(self, caller: Caller, document: PolicyDocument, before: PolicyDocument) -> None:
        """Let the site judge every query that is new: what Confluence refuses would fail every space later."""
        known = {cql for _, cql in queries_of(before.data())}
        fresh = [(pointer, cql) for pointer, cql in queries_of(document.data()) if cql not in known]
        errors = []
        with self._parts.confluence.client(caller.tenant_id) as client:
            for pointer, cql in fresh[:MOST_CQL]:
                try:
                    client.count(all_of(CONTENT, cql))
                except CqlRejected as error:
                    errors.append(FieldError(pointer, f"Confluence does not take this CQL: {error.message}"))
                except SiteError as error:
                    log.warning(
                        "queries are stored without asking the site", action="queries_unchecked", error=str(error)
                    )
                    break
        if errors:
            detail = f"The policies were not accepted: Confluence refuses {len(errors)} of the queries."
            raise Problem(422, "invalid-policies", detail, errors=errors)


def queries_of(value: object, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield every CQL of a policies document (plain data) with its JSON pointer."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in ("cql", "ancestorCql") and isinstance(inner, str):
                yield f"{pointer}/{name}", inner
            else:
                yield from queries_of(inner, f"{pointer}/{name}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from queries_of(inner, f"{pointer}/{position}")


def accepted(default: str = "application/json") -> str:
    """Return the format that the request's Accept header prefers. Raises Problem 406 when it is neither."""
    if not request.headers.get("Accept"):
        return default
    best = request.accept_mimetypes.best_match([default, *MEDIA_TYPES])
    if best is None:
        raise Problem(406, "not-acceptable", "Policies are written as application/json or application/yaml.")
    return MEDIA_TYPES[best]


@contextmanager
def lines_added(text: bytes, content_type: str) -> Iterator[None]:
    """Add the line to each field error that passes, when the body is YAML."""
    try:
        yield
    except Refusal as error:
        if MEDIA_TYPES.get(content_type) == "application/yaml":
            if "line" in error.extra:
                error.extra["errors"] = [{"pointer": "", "detail": error.detail, "line": error.extra["line"]}]
            elif error.errors:
                found = lines(text)
                error.extra["errors"] = [
                    {"pointer": each.pointer, "detail": each.detail, "line": _line(found, each.pointer)}
                    for each in error.errors
                ]
        raise


def _line(found: Mapping[str, int], pointer: str) -> int:
    """A field that is missing has no line: then it is its parent's."""
    while pointer and pointer not in found:
        pointer = pointer.rpartition("/")[0]
    return found.get(pointer, 1)


def _if_match() -> int:
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise Problem(428, "precondition-required", 'Say in If-Match which version you changed, such as "3".')
    match = re.fullmatch(r'(?:W/)?"?([0-9]{1,9})"?', given)
    if match is None:
        raise Problem(
            412,
            "policies-changed",
            'If-Match names no version of the policies. Load them and send the version they have, such as "3".',
        )
    return int(match[1])


def _written(
    version: int, document: PolicyDocument, kind: str, notices: Sequence[Mapping[str, str]] | None = None
) -> Response:
    data: dict[str, Any] = document.data() | {"version": version}
    said = ""
    if notices is not None and kind == "application/json":
        data["notices"] = notices
    elif notices:
        said = "".join(f"# {each['pointer']}: {' '.join(each['detail'].split())}\n" for each in notices)
    response = Response(said + dump(data, kind), mimetype=kind)
    response.headers["ETag"] = f'"{version}"'
    return response


def _notices(notices: Sequence[Notice]) -> list[dict[str, str]]:
    said = [{"pointer": each.pointer, "detail": each.detail} for each in notices[:MOST_NOTICES]]
    if len(notices) > MOST_NOTICES:
        said.append({"pointer": "", "detail": f"and {len(notices) - MOST_NOTICES} more notices"})
    return said
