"""The v1 endpoints: search, archive, long tasks, system info, and those of people.

What has left v1 (content and space reading and writing) answers 410, as it may any day in Confluence
(docs/rules/confluence-api.md 3). Limits, caps and odd error codes: docs/rules/confluence-api.md 2.2, 2.4, 2.6.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

from flask import request

from addon.sandbox import rest_v1_people, shapes
from addon.sandbox.http import Answer, Rest, bad_cql, expansions, refused_v1, seal, stamp, unseal, whole_v1
from addon.sandbox.points import CORE
from addon.sandbox.records import Content, LongTask, Space
from addon.sandbox.search import CqlRejected, question
from addon.sandbox.site import Site
from addon.sandbox.tasks import ArchiveRefused

V1 = "/wiki/rest/api"
APPS = "/wiki/rest/atlassian-connect/1/addons"
PROPERTY_BYTES = 32 * 1024
PLAIN_CAP, EXPANDED_CAP, BODY_CAP, RENDERED_CAP = 1000, 200, 50, 25
_ANY = r"(?:GET|POST|PUT|DELETE)"
REMOVED = re.compile(
    rf"{_ANY} content(?:/[^/]+(?:/(?:child|history|property)(?:/.*)?)?)?"
    r"|GET content/[^/]+/label"
    r"|GET space(?:/[^/]+)?"
    rf"|{_ANY} space/[^/]+/(?:content|property)(?:/.*)?"
)
"""Methods and paths that have left the v1 specification."""


def register(rest: Rest) -> None:
    """Add all v1 endpoints."""
    site = rest.site
    _search(rest, site)
    _archive(rest, site)
    rest_v1_people.register(rest, V1)
    _system(rest, site)
    _app_properties(rest, site)
    rest.otherwise(V1, _other)


def _page_size(expand: list[str]) -> int:
    cap = EXPANDED_CAP if expand else PLAIN_CAP
    bodies = [path for path in expand if path.startswith("body")]
    if bodies:
        rendered = any(path in ("body.export_view", "body.styled_view") for path in bodies)
        cap = RENDERED_CAP if rendered else BODY_CAP
    return min(whole_v1("limit", 25), cap)


def _found(site: Site, limit: int, **flags: bool) -> tuple[list[Content], int, int]:
    """Return one page of matches, its start and the number of all. The `start` parameter is not honoured.

    Search only knows ids; what is shown of a content comes from the site as it is now, so a hit of a lagging index may
    have another status by now, and one that was deleted permanently is left out.
    """
    whole_v1("start", 0)
    text = request.args.get("cql", "")
    if not text.strip():
        raise refused_v1(400, "cql query parameter is required")
    start, cursor = 0, request.args.get("cursor")
    if cursor:
        position = unseal(cursor)
        if position is None:
            raise bad_cql("There was an illegal request passed to XP-Search Aggregator API : HTTP/1.1 400 Bad Request")
        start = int(position["at"])
    try:
        asked = question(text, request.args.get("cqlcontext"), **flags)
        hits = site.search.hits(asked, continued=start > 0)
    except CqlRejected as error:
        raise bad_cql(str(error)) from None
    page = [record for hit in hits[start : start + limit] if (record := site.live.get(hit.id)) is not None]
    return page, start, len(hits)


def _links(site: Site, path: str, start: int, limit: int, total: int) -> dict[str, str]:
    links = {"base": site.base_url, "context": "/wiki", "self": f"{site.base_url}{path}"}
    if limit and start + limit < total:
        kept = [
            (name, value)
            for name in ("cql", "cqlcontext", "expand", "excerpt", "includeArchivedSpaces", "excludeCurrentSpaces")
            for value in request.args.getlist(name)
        ]
        turned = [("next", "true"), ("cursor", seal({"at": start + limit})), ("limit", limit), ("start", start + limit)]
        links["next"] = f"{path}?{urlencode([*turned, *kept], quote_via=quote)}"
    return links


def _search(rest: Rest, site: Site) -> None:
    @rest.on("GET", f"{V1}/content/search", "READ")
    def content_search() -> Answer:
        expand = expansions()
        limit = _page_size(expand)
        page, start, total = _found(site, limit)
        writer = shapes.ContentWriter(site, expand)
        body = {
            "results": [writer.write(record) for record in page],
            "start": start,
            "limit": limit,
            "size": len(page),
            "_links": _links(site, "/rest/api/content/search", start, limit, total),
        }
        return Answer(body, CORE * len(page))

    @rest.on("GET", f"{V1}/search", "READ")
    def search() -> Answer:
        limit = min(whole_v1("limit", 25), PLAIN_CAP)
        archived = request.args.get("includeArchivedSpaces") == "true"
        current = request.args.get("excludeCurrentSpaces") != "true"
        spaces = _found_spaces(site, archived_spaces=archived, current_spaces=current)
        if spaces is not None:
            return _space_results(site, spaces, limit)
        page, start, total = _found(site, limit, archived_spaces=archived, current_spaces=current)
        expand = [path.removeprefix("content.") for path in expansions() if path.startswith("content.")]
        writer = shapes.ContentWriter(site, expand)
        body = {
            "results": [_result(site, writer, record) for record in page],
            "start": start,
            "limit": limit,
            "size": len(page),
            "totalSize": total,
            "cqlQuery": request.args["cql"],
            "searchDuration": 1,
            "_links": _links(site, "/rest/api/search", start, limit, total),
        }
        return Answer(body, CORE * len(page))


def _found_spaces(site: Site, **flags: bool) -> list[Space] | None:
    try:
        return site.search.spaces(question(request.args.get("cql", ""), request.args.get("cqlcontext"), **flags))
    except CqlRejected as error:
        raise bad_cql(str(error)) from None


def _space_results(site: Site, spaces: list[Space], limit: int) -> Answer:
    """Answer the first page of a search for spaces; further ones are not given."""
    results = [
        {"space": shapes.space_v2(space), "title": space.name, "url": f"/spaces/{space.key}", "entityType": "space"}
        for space in spaces[:limit]
    ]
    body = {
        "results": results,
        "start": 0,
        "limit": limit,
        "size": len(results),
        "totalSize": len(spaces),
        "cqlQuery": request.args["cql"],
        "searchDuration": 1,
        "_links": _links(site, "/rest/api/search", 0, 0, 0),
    }
    return Answer(body, CORE * len(results))


def _result(site: Site, writer: shapes.ContentWriter, record: Content) -> dict[str, Any]:
    space = site.space_by_id(record.space_id)
    return {
        "content": writer.write(record),
        "title": record.title,
        "excerpt": "" if request.args.get("excerpt") == "none" else record.body[:200],
        "url": shapes.web_path(record, space.key),
        "resultGlobalContainer": {"title": space.name, "displayUrl": f"/spaces/{space.key}"},
        "breadcrumbs": [],
        "entityType": "content",
        "iconCssClass": f"aui-icon content-type-{record.kind}",
        "lastModified": stamp(record.updated_at),
        "friendlyLastModified": "",
        "score": 0.0,
    }


def _archive(rest: Rest, site: Site) -> None:
    @rest.on("POST", f"{V1}/content/archive", "WRITE")
    def archive() -> Answer:
        body = request.get_json(silent=True)
        pages = body.get("pages") if isinstance(body, dict) else None
        if not isinstance(pages, list) or not all(isinstance(page, dict) and "id" in page for page in pages):
            raise refused_v1(400, "The request body must name pages")
        ids = [str(page["id"]) for page in pages]
        for page_id in ids:
            record = site.live.get(page_id)
            if record is not None and not site.access.app_may("archive", record.space_id):
                raise refused_v1(403, f"The caller may not archive page {page_id}")
        try:
            task = site.tasks.submit(ids)
        except ArchiveRefused as error:
            raise bad_cql(str(error)) from None
        return Answer({"id": task.id, "links": {"status": f"/rest/api/longtask/{task.id}"}}, status=202)

    def shown(task: LongTask) -> dict[str, Any]:
        until = task.finished_at or site.clock.now()
        return shapes.task_v1(task, int((until - task.started_at).total_seconds() * 1000), site.tasks.progress(task))

    @rest.on("GET", f"{V1}/longtask/<task_id>", "READ")
    def long_task(task_id: str) -> Answer:
        task = site.tasks.get(task_id)
        if task is None:
            raise refused_v1(404, "Long task not found")
        return Answer(shown(task), CORE)

    @rest.on("GET", f"{V1}/longtask", "READ")
    def long_tasks() -> Answer:
        rows = site.tasks.all()
        page = [shown(task) for task in rows[whole_v1("start", 0) :][: whole_v1("limit", 100)]]
        body = {"results": page, "start": whole_v1("start", 0), "limit": whole_v1("limit", 100), "size": len(page)}
        return Answer(body | {"_links": {"base": site.base_url, "context": "/wiki"}}, CORE * len(page))


def _system(rest: Rest, site: Site) -> None:
    @rest.on("GET", f"{V1}/settings/systemInfo", "READ")
    def system_info() -> Answer:
        body = {
            "cloudId": site.cloud_id,
            "commitHash": "0000000000000000000000000000000000000000",
            "baseUrl": site.base_url,
            "edition": site.edition.upper(),
            "siteTitle": site.title,
            "defaultLocale": "en_GB",
            "defaultTimeZone": site.time_zone.key,
        }
        return Answer(body, CORE)


def _app_properties(rest: Rest, site: Site) -> None:
    rule = f"{APPS}/<addon_key>/properties/<key>"

    def own(addon_key: str) -> dict[str, Any]:
        if addon_key not in site.addons:
            raise refused_v1(404, "No such add-on")
        return site.app_properties.setdefault(addon_key, {})

    @rest.on("PUT", rule, "NONE")
    def put_property(addon_key: str, key: str) -> Answer:
        properties, value = own(addon_key), request.get_json(silent=True)
        if value is None or len(request.get_data()) > PROPERTY_BYTES:
            raise refused_v1(400, "A property is JSON of at most 32 KB")
        status = 200 if key in properties else 201
        properties[key] = value
        return Answer({"message": "Property set", "status-code": status}, status=status)

    @rest.on("GET", rule, "NONE")
    def get_property(addon_key: str, key: str) -> Answer:
        if key not in own(addon_key):
            raise refused_v1(404, "No such property")
        return Answer({"key": key, "value": own(addon_key)[key]}, CORE)


def _other(below: str) -> Answer:
    if REMOVED.fullmatch(f"{request.method} {below}"):
        raise refused_v1(410, "This API has been removed. Use /wiki/api/v2 instead.")
    raise refused_v1(404, "null for uri")
