"""Answers, read: from the JSON documents of v1 and v2 to the values of content.py, or Malformed.

Only what the add-on uses is read, bounded in length. The fields are those of Atlassian's OpenAPI documents
(docs/rules/confluence-api.md 2); what they do not promise may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from addon.base import Space
from addon.base.bounds import ACCOUNT_LENGTH, identifier, number, utc
from addon.confluence.content import Content, Kind, LongTask, Operation, Property, Restriction, SystemInfo, User
from addon.confluence.errors import Malformed
from addon.confluence.http.decoding import kept

T = TypeVar("T")
Json = Mapping[str, Any]

KINDS = ("page", "blogpost")
_JAVA_NAME = re.compile(r"^(?:[a-z]\w*\.)+[A-Z]\w*(?:Exception|Error)?:\s*")
_WORDS_LIMIT = 500
TASK_LENGTH = 64
KEY_LENGTH = 255
_TYPE_LENGTH = 32
_NAME_LENGTH = 1000
"""Of titles and names, which Confluence keeps far shorter."""
MOST_RESULTS = 10**12
"""More than any site holds, and a number that every database takes."""


def rows(answer: Any, read: Callable[[Json], T]) -> list[T]:
    """Return a listing's `results`, each read by `read`. Raises Malformed on anything else."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        raise Malformed("a listing without results")
    return [reading(read, row) for row in results]


def reading(read: Callable[[Json], T], answer: Any) -> T:
    """Return `read(answer)`. Raises Malformed when something in it is missing or of another kind."""
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Malformed(f"an answer that lacks what it should have ({error!r:.200})") from error


def space(row: Json) -> Space:
    """Read a v2 space."""
    key = _key(row["key"])
    return Space(
        id=identifier(row["id"]),
        key=key,
        name=str(row.get("name") or key)[:_NAME_LENGTH],
        type=str(row.get("type") or "global")[:_TYPE_LENGTH],
        status=str(row.get("status") or "current"),
        homepage_id=_id(row.get("homepageId")),
        created_at=_moment(row.get("createdAt")),
    )


def search_result(row: Json) -> Content:
    """Read a content of a v1 search, with whatever was expanded."""
    history, version = row.get("history") or {}, row.get("version") or {}
    updated = history.get("lastUpdated") or version
    metadata, space_row = row.get("metadata") or {}, row.get("space") or {}
    ancestors = tuple(identifier(entry["id"]) for entry in row.get("ancestors") or ())
    return Content(
        id=identifier(row["id"]),
        kind=cast(Kind, row["type"]),
        title=str(row.get("title") or "")[:_NAME_LENGTH],
        space_id=_id(space_row.get("id")),
        space_key=None if space_row.get("key") is None else _key(space_row["key"]),
        status=str(row.get("status") or "current"),
        author_id=_account((history.get("createdBy") or {}).get("accountId")),
        updater_id=_account((updated.get("by") or {}).get("accountId")),
        created_at=_moment(history.get("createdDate")),
        updated_at=_moment(updated.get("when")),
        version=_number(version.get("number", updated.get("number"))),
        parent_id=ancestors[-1] if ancestors else None,
        path=str((row.get("_links") or {}).get("webui") or ""),
        labels=frozenset(str(label["name"]) for label in (metadata.get("labels") or {}).get("results") or ()),
        ancestors=ancestors,
        properties=dict(_properties(metadata.get("properties") or {})),
    )


def content(kind: Kind) -> Callable[[Json], Content]:
    """Return the reader of v2 pages or blog posts."""

    def read(row: Json) -> Content:
        version = row.get("version") or {}
        return Content(
            id=identifier(row["id"]),
            kind=kind,
            title=str(row.get("title") or "")[:_NAME_LENGTH],
            space_id=_id(row.get("spaceId")),
            status=str(row.get("status") or "current"),
            author_id=_account(row.get("authorId")),
            updater_id=_account(version.get("authorId")),
            created_at=_moment(row.get("createdAt")),
            updated_at=_moment(version.get("createdAt")),
            version=_number(version.get("number")),
            parent_id=_id(row.get("parentId")),
            path=str((row.get("_links") or {}).get("webui") or ""),
        )

    return read


def content_property(row: Json) -> Property:
    """Read a content property, v1 or v2."""
    version = row["version"]
    author = version.get("authorId") or (version.get("by") or {}).get("accountId")
    return Property(
        id=identifier(row["id"]),
        key=str(row["key"]),
        value=kept(row.get("value")),
        version=number(version["number"]),
        written_at=_moment(version.get("createdAt") or version.get("when")),
        author_id=_account(author),
    )


def user(row: Json) -> User:
    """Read a v2 user."""
    return User(
        account_id=identifier(row["accountId"], ACCOUNT_LENGTH),
        display_name=str(row.get("displayName") or row.get("publicName") or "")[:_NAME_LENGTH],
        email=_text(row.get("email")),
        time_zone=_text(row.get("timeZone")),
        active=row.get("accountStatus", "active") == "active",
        account_type=str(row.get("accountType") or ""),
    )


def long_task(row: Json) -> LongTask:
    """Read a long-running task."""
    return LongTask(
        id=identifier(row["id"], TASK_LENGTH),
        finished=bool(row["finished"]),
        successful=bool(row["successful"]),
        percent=min(100, number(row["percentageComplete"])),
        errors=tuple(_message(entry) for entry in row.get("errors") or ()),
    )


def system_info(row: Json) -> SystemInfo:
    """Read the site's information; editions are undocumented, in lower case here."""
    return SystemInfo(
        cloud_id=str(row["cloudId"]),
        edition=str(row.get("edition") or "standard").lower(),
        site_title=str(row.get("siteTitle") or ""),
        time_zone=str(row.get("defaultTimeZone") or "UTC"),
    )


def restrictions(answer: Json) -> dict[Operation, Restriction | None]:
    """Read a content's own restrictions, None where an operation is open to everyone.

    Open is only what says so in full: both lists there, empty and as long as they say. A list that is not complete
    still says who it names; what cannot be read admits no one.
    """
    return {"read": _restriction(answer, "read"), "update": _restriction(answer, "update")}


def _restriction(answer: Any, operation: Operation) -> Restriction | None:
    try:
        named = answer[operation]["restrictions"]
        users, groups = named["user"], named["group"]
        # The specs promise the size of a list of groups, and of people where it is there (docs/rules/confluence-api.md
        # 2.5).
        complete = users.get("size", len(users["results"])) == len(users["results"])
        complete = complete and groups["size"] == len(groups["results"])
        admitted = Restriction(_named(users["results"], "accountId"), _named(groups["results"], "id"))
        return None if complete and not users["results"] and not groups["results"] else admitted
    except (KeyError, TypeError, AttributeError):
        return Restriction(frozenset(), frozenset())


def _named(rows: list[Any], field: str) -> frozenset[str]:
    ids = (row.get(field) for row in rows if isinstance(row, dict))
    return frozenset(each for each in ids if isinstance(each, str) and each)


def total_size(answer: Json) -> int:
    """Read how many results a search has. Raises ValueError on what no site can hold."""
    return number(answer["totalSize"], MOST_RESULTS)


def _moment(value: Any) -> datetime | None:
    """Read a time as bounds.utc does; one that cannot be read is none, which speaks against what depends on it."""
    try:
        return utc(datetime.fromisoformat(str(value))) if value else None
    except ValueError:
        return None


def words(answer: Any) -> str:
    """Return Confluence's own explanation from an error document, v1 or v2; empty where it has none."""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        parts = [str(errors[0].get(name)) for name in ("title", "detail") if errors[0].get(name)]
        return ": ".join(parts)[:_WORDS_LIMIT]
    return _JAVA_NAME.sub("", str(answer.get("message") or ""))[:_WORDS_LIMIT]


def _properties(properties: Json) -> Iterator[tuple[str, Property]]:
    for key, row in properties.items():
        # Next to the properties themselves Confluence lists links and what else could be expanded.
        if isinstance(row, dict) and "value" in row and "version" in row:
            yield key, content_property({"key": key, **row})


def _message(entry: Any) -> str:
    return str(entry.get("translation") or entry.get("key") or entry) if isinstance(entry, dict) else str(entry)


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _number(value: Any) -> int | None:
    return None if value is None else number(value)


def _id(value: Any) -> str | None:
    return None if value in (None, "") else identifier(value)


def _account(value: Any) -> str | None:
    return None if value in (None, "") else identifier(value, ACCOUNT_LENGTH)


def _key(value: Any) -> str:
    key = str(value)
    if not 0 < len(key) <= KEY_LENGTH:
        raise ValueError(f"not a space key of up to {KEY_LENGTH} characters")
    return key
