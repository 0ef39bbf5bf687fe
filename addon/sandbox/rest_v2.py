"""The v2 endpoints of spaces, properties, permissions, roles and users.

Parameters, limits and shapes: Atlassian's v2 specification and docs/rules/confluence-api.md 2.1, 2.3, 2.5. A missing
permission answers 404 like a missing content.
"""

from __future__ import annotations

from typing import Any

from flask import request

from addon.sandbox import rest_v2_contents, shapes
from addon.sandbox.access import ADMIN_OPERATIONS, ADMIN_ROLE, MEMBER_OPERATIONS, MEMBER_ROLE
from addon.sandbox.http import (
    Answer,
    Rest,
    body_json,
    choices,
    invalid,
    not_found,
    numeric_values,
    paged,
    refused_v2,
    values,
)
from addon.sandbox.points import CORE, IDENTITY
from addon.sandbox.records import Content, Kind, Space
from addon.sandbox.rest_v2_contents import V2, listed, number, seen
from addon.sandbox.site import Site, UnknownSpace

SPACE_TYPES = ("global", "collaboration", "knowledge_base", "personal", "system", "onboarding", "xflow_sample_space")


def register(rest: Rest) -> None:
    """Add all v2 endpoints."""
    site = rest.site
    _spaces(rest, site)
    _permissions(rest, site)
    _tree(rest, site)
    _users(rest, site)
    kinds: tuple[Kind, ...] = ("page", "blogpost")
    for kind in kinds:
        rest_v2_contents.register(rest, kind)
    rest.otherwise(V2, _other)


def seen_space(site: Site, space_id: str) -> Space:
    """Return a space the app may see. Raises Refused (404)."""
    try:
        space = site.space_by_id(space_id)
    except UnknownSpace:
        raise not_found("Space") from None
    if not site.access.app_may("view", space.id):
        raise not_found("Space")
    return space


def _spaces(rest: Rest, site: Site) -> None:
    @rest.on("GET", f"{V2}/spaces", "READ")
    def list_spaces() -> Answer:
        ids, keys = numeric_values("ids", 250), values("keys")
        if len(keys) > 250:
            raise refused_v2(400, "INVALID_REQUEST_PARAMETER", "'keys' takes at most 250 values")
        types, labels = choices("type", SPACE_TYPES, ()), set(values("labels"))
        statuses = choices("status", ("current", "archived"), ("current", "archived"))
        rows = [
            space
            for space in site.spaces()
            if (not ids or space.id in ids)
            and (not keys or space.key in keys)
            and (not types or space.type in types)
            and (not labels or labels & set(space.labels))
            and space.status in statuses
            and site.access.app_may("view", space.id)
        ]
        return paged(site, sorted(rows, key=number), shapes.space_v2, weight=CORE, key=number)

    @rest.on("GET", f"{V2}/spaces/<space_id>", "READ")
    def get_space(space_id: str) -> Answer:
        space = seen_space(site, space_id)
        body = shapes.space_v2(space) | {"_links": {"webui": f"/spaces/{space.key}", "base": site.base_url}}
        if request.args.get("include-labels") == "true":
            body["labels"] = {"results": [shapes.label_v2(name) for name in space.labels], "meta": {"hasMore": False}}
        return Answer(body, CORE)

    @rest.on("GET", f"{V2}/spaces/<space_id>/operations", "READ")
    def space_operations(space_id: str) -> Answer:
        space = seen_space(site, space_id)
        held = [("view", "read", "space"), ("edit", "create", "page"), ("edit", "create", "blogpost")]
        held += [("delete", "delete", "page"), ("delete", "delete", "blogpost"), ("archive", "archive", "page")]
        operations = [
            {"operation": operation, "targetType": target}
            for permission, operation, target in held
            if site.access.app_may(permission, space.id)  # type: ignore[arg-type]
        ]
        return Answer({"operations": operations}, IDENTITY * len(operations))

    @rest.on("GET", f"{V2}/spaces/<space_id>/pages", "READ")
    def space_pages(space_id: str) -> Answer:
        return listed(site, "page", [seen_space(site, space_id).id])

    @rest.on("GET", f"{V2}/spaces/<space_id>/blogposts", "READ")
    def space_blogposts(space_id: str) -> Answer:
        return listed(site, "blogpost", [seen_space(site, space_id).id])


def _permissions(rest: Rest, site: Site) -> None:
    @rest.on("GET", f"{V2}/spaces/<space_id>/permissions", "READ")
    def space_permissions(space_id: str) -> Answer:
        rows = site.access.rows(seen_space(site, space_id).id)

        def render(row: Any) -> Any:
            principal = {"type": row.principal_type, "id": row.principal_id}
            return {
                "id": row.id,
                "principal": principal,
                "operation": {"key": row.operation, "targetType": row.target},
            }

        return paged(site, rows, render, weight=IDENTITY)

    @rest.on("GET", f"{V2}/spaces/<space_id>/role-assignments", "READ")
    def role_assignments(space_id: str) -> Answer:
        asked = {name: request.args.get(name) for name in ("principal-id", "principal-type", "role-id")}
        if asked["principal-type"] not in (None, "USER", "GROUP", "ACCESS_CLASS"):
            raise invalid("principal-type", "USER|GROUP|ACCESS_CLASS")
        rows = [
            role
            for role in site.access.roles(seen_space(site, space_id).id)
            if asked["principal-id"] in (None, role.principal_id)
            and asked["principal-type"] in (None, role.principal_type)
            and asked["role-id"] in (None, role.role_id)
        ]

        def render(role: Any) -> Any:
            principal = {"principalType": role.principal_type, "principalId": role.principal_id}
            return {"principal": principal, "roleId": role.role_id}

        return paged(site, rows, render, weight=IDENTITY)

    @rest.on("GET", f"{V2}/space-role-mode", "READ")
    def role_mode() -> Answer:
        return Answer({"mode": site.access.role_mode}, CORE)

    @rest.on("GET", f"{V2}/space-roles", "READ")
    def space_roles() -> Answer:
        roles = [(ADMIN_ROLE, "Admin", ADMIN_OPERATIONS), (MEMBER_ROLE, "Collaborator", MEMBER_OPERATIONS)]
        rows = [] if site.access.role_mode == "PRE_ROLES" else roles

        def render(role: Any) -> Any:
            role_id, name, pairs = role
            held = [f"{operation}/{target}" for operation, target in pairs]
            return {"id": role_id, "type": "SYSTEM", "name": name, "description": name, "spacePermissions": held}

        return paged(site, rows, render, weight=IDENTITY)


def _tree(rest: Rest, site: Site) -> None:
    @rest.on("GET", f"{V2}/pages/<content_id>/direct-children", "READ")
    def direct_children(content_id: str) -> Answer:
        page = seen(site, "page", content_id)
        rows = [child for child in site.live.children(page.id) if _shown(site, child)]
        return paged(site, sorted(rows, key=number), shapes.child_v2, weight=CORE, key=number)

    @rest.on("GET", f"{V2}/pages/<content_id>/ancestors", "READ")
    def ancestors(content_id: str) -> Answer:
        rows = site.live.ancestors(seen(site, "page", content_id))
        return paged(site, rows, lambda page: {"id": page.id, "type": "page"}, weight=CORE)

    @rest.on("GET", f"{V2}/pages/<content_id>/descendants", "READ")
    def descendants(content_id: str) -> Answer:
        page = seen(site, "page", content_id)
        raw = request.args.get("depth", "2")
        if not raw.isdecimal() or not 1 <= int(raw) <= 10:
            raise invalid("depth", "int32 (1..10)")
        rows: list[tuple[Content, int]] = []
        level = [page]
        for depth in range(1, int(raw) + 1):
            level = [child for above in level for child in site.live.children(above.id) if _shown(site, child)]
            rows += [(child, depth) for child in level]

        def render(row: tuple[Content, int]) -> Any:
            shown: dict[str, Any] = shapes.child_v2(row[0]) | {"parentId": row[0].parent_id, "depth": row[1]}
            shown.pop("spaceId")
            return shown

        return paged(site, rows, render, weight=CORE)


def _shown(site: Site, child: Content) -> bool:
    return child.status in ("current", "archived") and site.access.app_sees(child)


def _users(rest: Rest, site: Site) -> None:
    @rest.on("POST", f"{V2}/users-bulk", "READ")
    def users_bulk() -> Answer:
        wanted = body_json().get("accountIds")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 250:
            raise refused_v2(400, "INVALID_REQUEST_BODY", "accountIds takes 1 to 250 values")
        known = [site.people[name] for name in dict.fromkeys(map(str, wanted)) if name in site.people]
        body = {"results": [shapes.user_v2(user) for user in known], "_links": {"base": site.base_url}}
        return Answer(body, IDENTITY * len(known))


def _other(below: str) -> Answer:
    raise not_found(f"/{below}")
