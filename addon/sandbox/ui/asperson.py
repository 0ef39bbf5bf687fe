"""The site's API for the person who looks at a page, not for the app, behind AP.request.

See docs/rules/connect.md 5.2.

Only what a screen of ours asks in a person's name. Nothing is charged to the app: Atlassian's staff call such calls
exempt from its points (docs/rules/confluence-api.md 4).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from addon.sandbox import auth, shapes
from addon.sandbox.http import seal, unseal
from addon.sandbox.records import AddonInstallation
from addon.sandbox.search import CqlRejected, Question
from addon.sandbox.site import Site

MOST = 250
PLAIN_CAP = 1000


class _Bad(Exception):
    """The question is not one the API takes; the words are the answer's."""


def ask(site: Site, addon: AddonInstallation, account_id: str, target: str) -> dict[str, Any]:
    """Return {status, body} of a GET below /wiki; `body` is JSON text. The site's lock is held by the caller."""
    parts = urlsplit(target)
    query = {name: given[-1] for name, given in parse_qs(parts.query, keep_blank_values=True).items()}
    answers = {"/rest/api/search": _search, "/rest/api/content/search": _contents, "/api/v2/spaces": _spaces}
    if not auth.may(addon, "READ"):
        return _answer(403, {"message": "The add-on's scopes do not include READ"})
    if parts.path not in answers:
        return _answer(404, {"message": f"the sandbox answers nothing to people under {parts.path}"})
    fault = site.faults.take("GET", f"/wiki{target}", frozenset(), query.get("cql", "")) if site.faults.any() else None
    if fault is not None and fault.effect == "status":
        return _answer(fault.status, {"message": f"Injected fault {fault.id}"})
    try:
        return _answer(200, answers[parts.path](site, account_id, query))
    except (_Bad, CqlRejected) as error:
        return _answer(400, {"statusCode": 400, "message": str(error)})


def _search(site: Site, account_id: str, query: dict[str, str]) -> dict[str, Any]:
    if not query.get("cql", "").strip():
        raise _Bad("cql query parameter is required")
    limit, start = _whole(query, "limit", 25), _whole(query, "start", 0)
    hits = site.search.hits(Question(query["cql"], viewer=account_id))
    page = hits[start : start + min(limit, MOST)]
    results = [{"content": {"id": hit.id, "type": hit.kind, "title": hit.title}, "title": hit.title} for hit in page]
    return {"results": results, "start": start, "limit": limit, "size": len(page), "totalSize": len(hits)}


def _contents(site: Site, account_id: str, query: dict[str, str]) -> dict[str, Any]:
    if not query.get("cql", "").strip():
        raise _Bad("cql query parameter is required")
    limit = min(_whole(query, "limit", 25), PLAIN_CAP)
    place = unseal(query["cursor"]) if query.get("cursor") else {"at": 0}
    if place is None:
        raise _Bad("There was an illegal request passed to XP-Search Aggregator API : HTTP/1.1 400 Bad Request")
    start = int(place["at"])
    hits = site.search.hits(Question(query["cql"], viewer=account_id), continued=start > 0)
    page = hits[start : start + limit]
    links: dict[str, str] = {"base": site.base_url, "context": "/wiki"}
    if start + limit < len(hits):
        turned = {"next": "true", "cursor": seal({"at": start + limit}), "limit": str(limit), "cql": query["cql"]}
        links["next"] = f"/rest/api/content/search?{urlencode(turned)}"
    results = [{"id": hit.id, "type": hit.kind, "status": hit.status, "title": hit.title} for hit in page]
    return {"results": results, "start": start, "limit": limit, "size": len(page), "_links": links}


def _spaces(site: Site, account_id: str, query: dict[str, str]) -> dict[str, Any]:
    limit = _whole(query, "limit", 25)
    if not 1 <= limit <= MOST:
        raise _Bad("Provided value for 'limit' is not the correct type. Expected type is int32 (1..250).")
    wanted = {name: set(query[name].split(",")) for name in ("keys", "type", "status") if query.get(name)}
    rows = [
        space
        for space in site.spaces()
        if site.access.enters(account_id, space.id)
        and space.key in wanted.get("keys", {space.key})
        and space.type in wanted.get("type", {space.type})
        and space.status in wanted.get("status", {space.status})
    ]
    by_name = query.get("sort") == "name"
    rows.sort(key=lambda space: (space.name.casefold() if by_name else "", int(space.id)))
    place = unseal(query["cursor"]) if query.get("cursor") else {"at": 0}
    if place is None:
        raise _Bad("Provided value for 'cursor' is not the correct type. Expected type is Cursor.")
    start = int(place["at"])
    links: dict[str, str] = {"base": site.base_url}
    if start + limit < len(rows):
        links["next"] = f"/wiki/api/v2/spaces?{urlencode(query | {'cursor': seal({'at': start + limit})})}"
    return {"results": [shapes.space_v2(space) for space in rows[start : start + limit]], "_links": links}


def _whole(query: dict[str, str], name: str, otherwise: int) -> int:
    given = query.get(name, str(otherwise))
    if not given.isdecimal():
        raise _Bad(f"Provided value for '{name}' is not the correct type.")
    return int(given)


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "body": json.dumps(body)}
