"""The v1 and v2 JSON of contents, spaces and users, as Atlassian's specifications have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from addon.sandbox.http import stamp
from addon.sandbox.people import People
from addon.sandbox.records import Content, Group, LongTask, Operation, Property, Restriction, Space, User

if TYPE_CHECKING:
    from addon.sandbox.site import Site

Json = dict[str, Any]

# v2


def space_v2(space: Space) -> Json:
    """Return a space of `GET /wiki/api/v2/spaces`."""
    shown: Json = {
        "id": space.id,
        "key": space.key,
        "name": space.name,
        "type": space.type,
        "status": space.status,
        "authorId": space.author_id,
        "spaceOwnerId": space.author_id,
        "currentActiveAlias": space.key,
        "createdAt": stamp(space.created_at),
        "_links": {"webui": f"/spaces/{space.key}"},
    }
    if space.homepage_id is not None:
        shown["homepageId"] = space.homepage_id
    return shown


def content_v2(content: Content, space_key: str) -> Json:
    """Return a page or blog post of the v2 lists; blog posts have no parent and no owner."""
    shown: Json = {
        "id": content.id,
        "status": content.status,
        "title": content.title,
        "spaceId": content.space_id,
        "authorId": content.author_id,
        "createdAt": stamp(content.created_at),
        "version": version_v2(content),
        "_links": {
            "webui": web_path(content, space_key),
            "editui": f"/pages/resumedraft.action?draftId={content.id}",
            "tinyui": f"/x/{content.id}",
        },
    }
    if content.kind == "page":
        shown |= {"ownerId": content.author_id, "lastOwnerId": None, "position": 0}
        if content.parent_id is not None:
            shown |= {"parentId": content.parent_id, "parentType": "page"}
    return shown


def version_v2(content: Content) -> Json:
    """Return the version object of a content."""
    return {
        "number": content.version,
        "createdAt": stamp(content.updated_at),
        "authorId": content.updater_id,
        "message": "",
        "minorEdit": False,
    }


def property_v2(found: Property) -> Json:
    """Return a content property."""
    version = {
        "number": found.version,
        "createdAt": stamp(found.created_at),
        "authorId": found.author_id,
        "message": "",
        "minorEdit": False,
    }
    return {"id": found.id, "key": found.key, "value": found.value, "version": version}


def label_v2(name: str) -> Json:
    """Return a label; its id is made from its name."""
    return {"id": str(int.from_bytes(name.encode()[:6])), "name": name, "prefix": "global"}


def child_v2(content: Content) -> Json:
    """Return an entry of direct-children."""
    return {
        "id": content.id,
        "status": content.status,
        "title": content.title,
        "type": "page",
        "spaceId": content.space_id,
        "childPosition": None,
    }


def user_v2(user: User) -> Json:
    """Return a user of users-bulk; the e-mail only where the profile shows it."""
    return {
        "accountId": user.account_id,
        "accountType": user.account_type,
        "accountStatus": "active" if user.active else "inactive",
        "displayName": user.display_name,
        "publicName": user.display_name,
        "email": user.email if user.email_visible else "",
        "timeZone": user.time_zone or "",
        "isExternalCollaborator": False,
        "profilePicture": {"path": "/wiki/aa-avatar/default", "isDefault": True},
    }


# v1


def web_path(content: Content, space_key: str) -> str:
    """Return a content's address below the site's base URL."""
    if content.kind == "blogpost":
        day = content.created_at.strftime("%Y/%m/%d")
        return f"/spaces/{space_key}/blog/{day}/{content.id}/{quote_plus(content.title)}"
    title = quote_plus(content.title, errors="replace")
    return f"/spaces/{space_key}/pages/{content.id}/{title}"


def user_v1(user: User | None, account_id: str) -> Json:
    """Return a user of the v1 API; an unknown account id gives a user of type unknown."""
    if user is None:
        return {"type": "unknown", "accountId": account_id, "accountType": "", "displayName": "Unknown user"}
    return {
        "type": "known",
        "accountId": user.account_id,
        "accountType": user.account_type,
        "email": user.email if user.email_visible else "",
        "publicName": user.display_name,
        "displayName": user.display_name,
        "timeZone": user.time_zone,
        "profilePicture": {"path": "/wiki/aa-avatar/default", "width": 48, "height": 48, "isDefault": True},
        "isExternalCollaborator": False,
        "isGuest": False,
        "_expandable": {"operations": "", "personalSpace": ""},
        "_links": {},
    }


def group_v1(group: Group) -> Json:
    """Return a group of the v1 API."""
    return {"type": "group", "name": group.name, "id": group.id, "_links": {}}


def space_v1(space: Space) -> Json:
    """Return the space expanded in a search result."""
    return {
        "id": int(space.id),
        "key": space.key,
        "alias": space.key,
        "name": space.name,
        "type": space.type,
        "status": space.status,
        "_expandable": {"settings": "", "metadata": "", "homepage": f"/rest/api/content/{space.homepage_id or ''}"},
        "_links": {"webui": f"/spaces/{space.key}"},
    }


def task_v1(task: LongTask, elapsed_ms: int, percent: int) -> Json:
    """Return a long task, `percent` done."""
    done = task.finished_at is not None
    successful = done and not task.errors
    errors = [{"translation": message, "args": []} for message in task.errors]
    return {
        "id": task.id,
        "name": {"key": "archive.pages.long.running.task.name", "args": []},
        "elapsedTime": elapsed_ms,
        "percentageComplete": percent,
        "successful": successful,
        "finished": done,
        "messages": [{"translation": f"{len(task.page_ids)} pages", "args": []}],
        "errors": errors,
        "status": ("COMPLETED" if successful else "FAILED") if done else "IN_PROGRESS",
        "_links": {"self": f"/rest/api/longtask/{task.id}"},
    }


def restriction_v1(operation: str, own: Restriction | None, people: People, *, expanded: bool) -> Json:
    """Return one operation's restriction; users and groups only when expanded."""
    shown: Json = {"operation": operation, "_expandable": {"restrictions": "", "content": ""}, "_links": {}}
    if expanded:
        users = [user_v1(people.get(name), name) for name in sorted(own.users)] if own else []
        groups = [group_v1(people.groups[name]) for name in sorted(own.groups)] if own else []
        shown["restrictions"] = {
            "user": {"results": users, "start": 0, "limit": 100, "size": len(users)},
            "group": {"results": groups, "start": 0, "limit": 100, "size": len(groups)},
        }
        shown["_expandable"] = {"content": ""}
    return shown


class ContentWriter:
    """Writes search results with the expansions of one request. `expand` are the dotted paths asked for."""

    def __init__(self, site: Site, expand: Iterable[str]) -> None:
        self._site = site
        self._expand = frozenset(part for path in expand for part in _prefixes(path))
        self._keys = sorted(
            path.removeprefix("metadata.properties.")
            for path in self._expand
            if path.startswith("metadata.properties.")
        )
        self._spaces = {space.id: space for space in site.spaces()}
        self._parts: dict[str, Callable[[Content], Any]] = {
            "space": lambda content: space_v1(self._spaces[content.space_id]),
            "history": self._history,
            "version": self._version,
            "ancestors": self._ancestors,
            "metadata": self._metadata,
            "childTypes": self._child_types,
            "restrictions": self._restrictions,
            "body": self._body,
        }

    def write(self, content: Content) -> Json:
        """Return the v1 content."""
        space = self._spaces[content.space_id]
        shown: Json = {
            "id": content.id,
            "type": content.kind,
            "status": content.status,
            "title": content.title,
            "extensions": {"position": 0},
            "_expandable": {"container": f"/rest/api/space/{space.key}"},
            "_links": {
                "self": f"{self._site.base_url}/rest/api/content/{content.id}",
                "webui": web_path(content, space.key),
                "tinyui": f"/x/{content.id}",
            },
        }
        for name, part in self._parts.items():
            if name in self._expand:
                shown[name] = part(content)
            else:
                shown["_expandable"][name] = ""
        return shown

    def _user(self, account_id: str) -> Json:
        return user_v1(self._site.people.get(account_id), account_id)

    def _version(self, content: Content) -> Json:
        return {
            "by": self._user(content.updater_id),
            "when": stamp(content.updated_at),
            "friendlyWhen": "",
            "message": "",
            "number": content.version,
            "minorEdit": False,
            "_links": {"self": f"{self._site.base_url}/rest/api/content/{content.id}/version/{content.version}"},
        }

    def _history(self, content: Content) -> Json:
        shown: Json = {
            "latest": True,
            "createdBy": self._user(content.author_id),
            "createdDate": stamp(content.created_at),
            "_expandable": {},
            "_links": {"self": f"{self._site.base_url}/rest/api/content/{content.id}/history"},
        }
        if "history.lastUpdated" in self._expand:
            shown["lastUpdated"] = self._version(content)
        if "history.contributors" in self._expand:
            publishers = {
                "users": [self._user(account_id) for account_id in content.contributors],
                "userKeys": [],
                "userAccountIds": list(content.contributors),
            }
            shown["contributors"] = {"publishers": publishers}
        return shown

    def _ancestors(self, content: Content) -> list[Json]:
        chain = self._site.live.ancestors(content)
        return [
            {
                "id": page.id,
                "type": "page",
                "status": page.status,
                "title": page.title,
                "extensions": {"position": 0},
                "_links": {"webui": web_path(page, self._spaces[page.space_id].key)},
            }
            for page in chain
        ]

    def _metadata(self, content: Content) -> Json:
        shown: Json = {}
        if "metadata.labels" in self._expand:
            labels = [label_v2(name) | {"label": name} for name in content.labels]
            shown["labels"] = {"results": labels, "start": 0, "limit": 200, "size": len(labels), "_links": {}}
        if "metadata.properties" in self._expand:
            keys = self._keys or sorted(content.properties)
            shown["properties"] = {
                key: self._property(content.properties[key]) for key in keys if key in content.properties
            }
        return shown

    def _property(self, found: Property) -> Json:
        version = {"number": found.version, "when": stamp(found.created_at), "message": "", "minorEdit": False}
        return {"id": found.id, "key": found.key, "value": found.value, "version": version, "_expandable": {}}

    def _child_types(self, content: Content) -> Json:
        has_pages = any(child.status == "current" for child in self._site.live.children(content.id))
        links = {"self": f"{self._site.base_url}/rest/api/content/{content.id}/child/page"}
        return {name: {"value": name == "page" and has_pages, "_links": links} for name in ("page", "comment")}

    def _restrictions(self, content: Content) -> Json:
        access, people = self._site.access, self._site.people
        operations: tuple[Operation, ...] = ("read", "update")
        return {
            name: restriction_v1(
                name,
                access.restriction(content.id, name),
                people,
                expanded=f"restrictions.{name}.restrictions" in self._expand,
            )
            for name in operations
            if f"restrictions.{name}" in self._expand
        }

    def _body(self, content: Content) -> Json:
        names = {path.split(".")[1] for path in self._expand if path.startswith("body.")}
        return {name: {"value": content.body, "representation": name, "_expandable": {}} for name in sorted(names)}


def _prefixes(path: str) -> list[str]:
    if path.startswith("metadata.properties."):
        return ["metadata", "metadata.properties", path]
    parts = path.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]
