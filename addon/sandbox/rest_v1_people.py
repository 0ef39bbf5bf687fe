"""The v1 endpoints of people: users, groups, e-mail addresses, restrictions and permission checks.

Limits, caps and odd error codes: docs/rules/confluence-api.md 2.5.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote, urlencode

from flask import request

from addon.sandbox import shapes
from addon.sandbox.http import Answer, Rest, expansions, refused_v1, values, whole_v1
from addon.sandbox.people import BOT
from addon.sandbox.points import CORE, IDENTITY
from addon.sandbox.records import Content, User
from addon.sandbox.site import Site

BULK_USERS = 100


def register(rest: Rest, prefix: str) -> None:
    """Add the v1 endpoints of people under `prefix`, the path of the v1 API."""
    site = rest.site
    _users(rest, site, prefix)
    _groups(rest, site, prefix)
    _emails(rest, site, prefix)
    _restrictions(rest, site, prefix)


def _known(site: Site, account_id: str | None) -> User:
    if not account_id:
        raise refused_v1(400, "accountId is required")
    user = site.people.get(account_id)
    if user is None:
        raise refused_v1(404, f"No user found with key : {account_id}")
    return user


def _shown(site: Site, user: User) -> dict[str, Any]:
    body = shapes.user_v1(user, user.account_id)
    if "operations" in expansions():
        body["operations"] = _operations(site, user)
        del body["_expandable"]["operations"]
    return body


def _users(rest: Rest, site: Site, prefix: str) -> None:
    @rest.on("GET", f"{prefix}/user", "READ")
    def user() -> Answer:
        return Answer(_shown(site, _known(site, request.args.get("accountId"))), IDENTITY)

    @rest.on("GET", f"{prefix}/user/current", "READ")
    def current_user() -> Answer:
        return Answer(_shown(site, _known(site, BOT)), IDENTITY)

    @rest.on("GET", f"{prefix}/user/bulk", "READ")
    def users() -> Answer:
        wanted = values("accountId")[:BULK_USERS]
        rows = [_shown(site, site.people[name]) for name in wanted if name in site.people]
        body = {"results": rows, "start": 0, "limit": BULK_USERS, "size": len(rows), "_links": {}}
        return Answer(body, IDENTITY * len(rows))


def _groups(rest: Rest, site: Site, prefix: str) -> None:
    @rest.on("GET", f"{prefix}/user/memberof", "READ")
    def member_of() -> Answer:
        user = _known(site, request.args.get("accountId"))
        start, limit = whole_v1("start", 0), min(whole_v1("limit", 200), 200)
        groups = sorted(user.groups)
        rows = [shapes.group_v1(site.people.groups[name]) for name in groups[start : start + limit]]
        return Answer(_offset_page(site, rows, start, limit, len(groups)), IDENTITY * len(rows))

    @rest.on("GET", f"{prefix}/group/<group_id>/membersByGroupId", "READ")
    def members(group_id: str) -> Answer:
        if group_id not in site.people.groups:
            raise refused_v1(404, f"No group with id : {group_id}")
        start, limit = whole_v1("start", 0), whole_v1("limit", 200)
        if limit > 200:
            raise refused_v1(400, "limit must not be above 200")
        people = site.people.members(group_id)
        rows = [_shown(site, user) for user in people[start : start + limit]]
        return Answer(_offset_page(site, rows, start, limit, len(people)), IDENTITY * len(rows))


def _offset_page(site: Site, rows: list[Any], start: int, limit: int, total: int) -> dict[str, Any]:
    links = {"base": site.base_url, "context": "/wiki", "self": f"{site.origin}{request.path}"}
    if start + limit < total:
        kept = [(name, value) for name, value in request.args.items(multi=True) if name not in ("start", "limit")]
        turned = [*kept, ("limit", limit), ("start", start + limit)]
        links["next"] = f"{request.path.removeprefix('/wiki')}?{urlencode(turned, quote_via=quote)}"
    return {"results": rows, "start": start, "limit": limit, "size": len(rows), "_links": links}


def _operations(site: Site, user: User) -> list[dict[str, str]]:
    operations = [{"operation": "use", "targetType": "application"}] if user.active else []
    if site.people.is_admin(user.account_id):
        operations.append({"operation": "administer", "targetType": "application"})
    return operations


def _emails(rest: Rest, site: Site, prefix: str) -> None:
    def refuse_unless_approved() -> None:
        if not site.email_api_approved:
            raise refused_v1(400, "The calling app is not approved to use this API")

    @rest.on("GET", f"{prefix}/user/email", "NONE")
    def email() -> Answer:
        refuse_unless_approved()
        user = site.people.get(request.args.get("accountId", ""))
        if user is None or not user.email:
            raise refused_v1(404, "No such account")
        return Answer({"accountId": user.account_id, "email": user.email}, IDENTITY)

    @rest.on("GET", f"{prefix}/user/email/bulk", "NONE")
    def emails() -> Answer:
        refuse_unless_approved()
        wanted = values("accountId")
        rows = [
            {"accountId": user.account_id, "email": user.email}
            for name in dict.fromkeys(wanted)
            if (user := site.people.get(name)) is not None and user.email
        ]
        return Answer(rows, IDENTITY * len(rows))


def _restrictions(rest: Rest, site: Site, prefix: str) -> None:
    operations: tuple[Literal["read", "update"], ...] = ("read", "update")

    def seen(content_id: str) -> Content:
        content = site.live.get(content_id)
        if content is None or not site.access.app_sees(content):
            raise refused_v1(404, f"No content found with id: ContentId{{id={content_id}}}")
        return content

    @rest.on("GET", f"{prefix}/content/<content_id>/restriction/byOperation", "READ")
    def by_operation(content_id: str) -> Answer:
        content, expand = seen(content_id), expansions()
        expanded = any(path.startswith("restrictions") for path in expand)
        body: dict[str, Any] = {}
        principals = 0
        for operation in operations:
            own = site.access.restriction(content.id, operation)
            principals += len(own.users) + len(own.groups) if own and expanded else 0
            body[operation] = shapes.restriction_v1(operation, own, site.people, expanded=expanded)
        body["_links"] = {"self": f"{site.base_url}/rest/api/content/{content.id}/restriction/byOperation"}
        return Answer(body, IDENTITY * (len(operations) + principals))

    @rest.on("POST", f"{prefix}/content/<content_id>/permission/check", "READ")
    def permission_check(content_id: str) -> Answer:
        content, body = seen(content_id), request.get_json(silent=True)
        subject = body.get("subject") if isinstance(body, dict) else None
        operation = body.get("operation") if isinstance(body, dict) else None
        if not isinstance(subject, dict) or operation not in ("read", "update", "delete"):
            raise refused_v1(400, "subject and operation are required")
        if not site.decides_for_apps:
            raise refused_v1(403, "Checking another user needs a Confluence administrator")
        person = str(subject.get("identifier"))
        may = site.access.can_view if operation == "read" else site.access.can_edit
        return Answer({"hasPermission": subject.get("type") == "user" and may(person, content), "errors": []}, CORE)
