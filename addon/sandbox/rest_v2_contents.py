"""The v2 endpoints of one kind of content: lists by id and space, one by id, trash, and its properties."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import request

from addon.sandbox import shapes
from addon.sandbox.http import (
    Answer,
    Rest,
    body_json,
    choices,
    invalid,
    limit_v2,
    not_found,
    numeric_values,
    paged,
    refused_v2,
)
from addon.sandbox.people import BOT
from addon.sandbox.points import CORE, IDENTITY
from addon.sandbox.records import Content, Kind, Property
from addon.sandbox.site import Site

V2 = "/wiki/api/v2"
PAGE_STATUSES = ("current", "archived", "deleted", "trashed")
BLOG_STATUSES = ("current", "deleted", "trashed")
MAX_PROPERTY_BYTES = 32 * 1024


def register(rest: Rest, kind: Kind) -> None:
    """Add the endpoints of one kind."""
    site, plural = rest.site, f"{V2}/{kind}s"
    _reading(rest, site, kind, plural)
    _writing(rest, site, kind, plural)
    _reading_properties(rest, site, kind, plural)
    _writing_properties(rest, site, kind, plural)


def seen(site: Site, kind: Kind | None, content_id: str) -> Content:
    """Return a content the app may see. Raises Refused (404, or 400 when the id is no number)."""
    if not content_id.isdecimal():
        raise invalid("id", "int64")
    content = site.live.get(content_id)
    if content is None or (kind and content.kind != kind) or not site.access.app_sees(content):
        raise not_found("Content")
    return content


def listed(site: Site, kind: Kind, space_ids: list[str] | None) -> Answer:
    """Return one page of the contents that the request's parameters ask for, in the given spaces or any."""
    limit_v2()
    statuses = choices("status", *_statuses(kind))
    title, access = request.args.get("title"), site.access
    rows = [
        record
        for record in _pool(site, space_ids)
        if record.kind == kind
        and record.status in statuses
        and (title is None or record.title == title)
        and access.app_sees(record)
    ]
    sort = request.args.get("sort", "id").lower()
    if sort.lstrip("-") not in _SORTS:
        raise invalid("sort", "|".join(_SORTS))
    rows.sort(key=_SORTS[sort.lstrip("-")], reverse=sort.startswith("-"))
    key_of = {space.id: space.key for space in site.spaces()}

    def render(record: Content) -> Any:
        return shapes.content_v2(record, key_of[record.space_id])

    return paged(site, rows, render, weight=CORE, key=number if sort == "id" else None)


def number(row: Any) -> int:
    """Return a record's id as a number, which rises with its age on the site."""
    return int(row.id)


_SORTS: dict[str, Callable[[Content], Any]] = {
    "id": number,
    "created-date": lambda record: record.created_at,
    "modified-date": lambda record: record.updated_at,
    "title": lambda record: record.title.lower(),
}


def _statuses(kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (PAGE_STATUSES, ("current", "archived")) if kind == "page" else (BLOG_STATUSES, ("current",))


def _pool(site: Site, space_ids: list[str] | None) -> list[Content]:
    ids = numeric_values("id", 250)
    asked = space_ids if space_ids is not None else numeric_values("space-id", 100)
    if ids:
        found = [record for content_id in dict.fromkeys(ids) if (record := site.live.get(content_id)) is not None]
        return [record for record in found if not asked or record.space_id in asked]
    spaces = asked or [space.id for space in site.spaces()]
    return [record for space_id in dict.fromkeys(spaces) for record in site.live.in_space(space_id).values()]


def _single(site: Site, content: Content) -> dict[str, Any]:
    body = shapes.content_v2(content, site.space_by_id(content.space_id).key)
    body["_links"]["base"] = site.base_url
    return body


def _reading(rest: Rest, site: Site, kind: Kind, plural: str) -> None:
    @rest.on("GET", plural, "READ")
    def list_contents() -> Answer:
        return listed(site, kind, None)

    @rest.on("GET", f"{plural}/<content_id>", "READ")
    def get_content(content_id: str) -> Answer:
        content = seen(site, kind, content_id)
        known = (*_statuses(kind)[0], "historical", "draft")
        if content.status not in choices("status", known, ("current", "archived", "trashed")):
            raise not_found("Content")
        body = _single(site, content)
        if request.args.get("include-labels") == "true":
            body["labels"] = _some([shapes.label_v2(name) for name in content.labels])
        if request.args.get("include-properties") == "true":
            body["properties"] = _some([shapes.property_v2(found) for found in content.properties.values()])
        if request.args.get("body-format") == "storage":
            body["body"] = {"storage": {"representation": "storage", "value": content.body}}
        return Answer(body, CORE)

    @rest.on("GET", f"{plural}/<content_id>/labels", "READ")
    def get_labels(content_id: str) -> Answer:
        return paged(site, seen(site, kind, content_id).labels, shapes.label_v2, weight=CORE)

    @rest.on("GET", f"{plural}/<content_id>/operations", "READ")
    def get_operations(content_id: str) -> Answer:
        content = seen(site, kind, content_id)
        held = ["read"] + (["update"] if site.access.app_edits(content) else [])
        held += ["delete"] if site.access.app_may("delete", content.space_id) else []
        operations = [{"operation": operation, "targetType": kind} for operation in held]
        return Answer({"operations": operations}, IDENTITY * len(operations))


def _some(results: list[Any]) -> Any:
    return {"results": results[:50], "meta": {"hasMore": len(results) > 50}, "_links": {}}


def _writing(rest: Rest, site: Site, kind: Kind, plural: str) -> None:
    @rest.on("PUT", f"{plural}/<content_id>", "WRITE")
    def put_content(content_id: str) -> Answer:
        content, body = seen(site, kind, content_id), body_json()
        if not site.access.app_edits(content):
            raise not_found("Content")
        if body.get("id") != content.id or body.get("status") != "current" or not body.get("title"):
            raise refused_v2(400, "INVALID_REQUEST_BODY", "id, status and title are required")
        if content.status == "archived":
            raise refused_v2(400, "INVALID_REQUEST_BODY", "Archived content cannot be updated")
        if content.status == "trashed":
            return Answer(_single(site, site.restore(content.id)))
        _check_version(content.version, body)
        return Answer(_single(site, site.edit(content.id, by=BOT, title=str(body["title"]))))

    @rest.on("DELETE", f"{plural}/<content_id>", "DELETE")
    def delete_content(content_id: str) -> Answer:
        content = seen(site, kind, content_id)
        purge = request.args.get("purge") == "true"
        if not site.access.app_may("delete", content.space_id) or purge != (content.status == "trashed"):
            raise not_found("Content")
        if purge:
            site.purge(content.id)
        else:
            site.trash(content.id)
        return Answer(None, status=204)


def _check_version(current: int, body: dict[str, Any]) -> None:
    version = body.get("version")
    given = version.get("number") if isinstance(version, dict) else None
    if given != current + 1:
        title = "Version must be incremented when updating."
        raise refused_v2(409, "CONFLICT", f"{title} Current Version: [{current}]. Provided version: [{given}]")


def _by_id(content: Content, property_id: str) -> Property:
    if not property_id.isdecimal():
        raise invalid("property-id", "int64")
    for found in content.properties.values():
        if found.id == property_id:
            return found
    raise not_found("Property")


def _reading_properties(rest: Rest, site: Site, kind: Kind, plural: str) -> None:
    @rest.on("GET", f"{plural}/<content_id>/properties", "READ")
    def list_properties(content_id: str) -> Answer:
        content, key = seen(site, kind, content_id), request.args.get("key")
        rows = sorted((row for row in content.properties.values() if key in (None, row.key)), key=number)
        return paged(site, rows, shapes.property_v2, weight=CORE, key=number)

    @rest.on("GET", f"{plural}/<content_id>/properties/<property_id>", "READ")
    def get_property(content_id: str, property_id: str) -> Answer:
        return Answer(shapes.property_v2(_by_id(seen(site, kind, content_id), property_id)), CORE)


def _writing_properties(rest: Rest, site: Site, kind: Kind, plural: str) -> None:
    @rest.on("POST", f"{plural}/<content_id>/properties", "WRITE")
    def create_property(content_id: str) -> Answer:
        content, body = _editable(site, kind, content_id), body_json()
        key = body.get("key")
        if not isinstance(key, str) or not 0 < len(key) <= 255:
            raise refused_v2(400, "INVALID_REQUEST_BODY", "key must have 1 to 255 characters")
        if key in content.properties:
            raise refused_v2(400, "INVALID_REQUEST_BODY", f"A property with key {key} already exists")
        return Answer(shapes.property_v2(site.set_property(content.id, key, _value(body))))

    @rest.on("PUT", f"{plural}/<content_id>/properties/<property_id>", "WRITE")
    def update_property(content_id: str, property_id: str) -> Answer:
        content, body = _editable(site, kind, content_id), body_json()
        found = _by_id(content, property_id)
        if body.get("key") != found.key:
            raise refused_v2(400, "INVALID_REQUEST_BODY", "key must be the property's key")
        _check_version(found.version, body)
        return Answer(shapes.property_v2(site.set_property(content.id, found.key, _value(body))))

    @rest.on("DELETE", f"{plural}/<content_id>/properties/<property_id>", "WRITE")
    def delete_property(content_id: str, property_id: str) -> Answer:
        content = _editable(site, kind, content_id)
        site.delete_property(content.id, _by_id(content, property_id).key)
        return Answer(None, status=204)


def _editable(site: Site, kind: Kind, content_id: str) -> Content:
    content = seen(site, kind, content_id)
    if content.status == "archived":
        raise refused_v2(400, "INVALID_REQUEST_BODY", "Archived content is read-only")
    if content.status != "current" or not site.access.app_edits(content):
        raise not_found("Content")
    return content


def _value(body: dict[str, Any]) -> Any:
    if "value" not in body:
        raise refused_v2(400, "INVALID_REQUEST_BODY", "value is required")
    if len(json.dumps(body["value"]).encode()) > MAX_PROPERTY_BYTES:
        raise refused_v2(400, "INVALID_REQUEST_BODY", "A property value has at most 32 KB")
    return body["value"]
