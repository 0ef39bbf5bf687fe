"""The context of a digest, which is all that a mail template can show: plain text and numbers, of a bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from addon.mail.message import one_line

MAX_LISTED = 100
"""Items listed in one section; the rest is counted."""
MAX_SECTIONS = 100


@dataclass(frozen=True, slots=True)
class DigestContent:
    """One item that a rule reports. `url` is absolute; `status` is the name of its status, if it has one."""

    title: str
    url: str
    space: str
    updated: datetime
    status: str | None = None


@dataclass(frozen=True, slots=True)
class DigestSection:
    """What one rule reports to one person. `total`: how many items there are where `contents` was cut short already."""

    name: str
    contents: Sequence[DigestContent]
    total: int | None = None


def digest_context(
    *,
    site_title: str,
    site_url: str,
    recipient_name: str,
    sections: Sequence[DigestSection],
    time_zone: str = "UTC",
) -> dict[str, Any]:
    """Return the context of one digest.

    It has site {title, url}, recipient {name}, sections [{name, contents [{title, url, space, updated, status}],
    total, more}] and counts {sections, contents}. `updated` is a date such as 2026-11-22 in `time_zone` (IANA); at
    most MAX_LISTED items are listed in a section and `more` counts the others. Raises ZoneInfoNotFoundError.
    """
    zone = ZoneInfo(time_zone)
    listed = [_section(section, zone) for section in sections[:MAX_SECTIONS]]
    total = sum(_total(section) for section in sections)
    return {
        "site": {"title": one_line(site_title), "url": _web_address(site_url)},
        "recipient": {"name": one_line(recipient_name)},
        "sections": listed,
        "counts": {"sections": len(sections), "contents": total},
    }


def _section(section: DigestSection, zone: ZoneInfo) -> dict[str, Any]:
    total = _total(section)
    shown = section.contents[:MAX_LISTED]
    return {
        "name": one_line(section.name),
        "contents": [_content(content, zone) for content in shown],
        "total": total,
        "more": total - len(shown),
    }


def _total(section: DigestSection) -> int:
    return max(section.total or 0, len(section.contents))


def _content(content: DigestContent, zone: ZoneInfo) -> dict[str, str]:
    return {
        "title": one_line(content.title) or "(untitled)",
        "url": _web_address(content.url),
        "space": one_line(content.space),
        "updated": content.updated.astimezone(zone).date().isoformat(),
        "status": one_line(content.status or ""),
    }


def _web_address(url: str) -> str:
    """Return `url` if it is one for the web; a link of any other sort has no place in a mail."""
    return url if url.startswith(("https://", "http://")) and url == one_line(url) else ""


_SAMPLE = DigestContent(
    "Émile & <Søn>: “Plan” 2024",
    "https://example.atlassian.net/wiki/x/1",
    "HR",
    datetime(2024, 2, 29, tzinfo=UTC),
    "Expired",
)
FULL: Mapping[str, Any] = digest_context(
    site_title="Example Site",
    site_url="https://example.atlassian.net/wiki",
    recipient_name="Ada Example",
    sections=[DigestSection("Expired content", [_SAMPLE] * 3, total=250), DigestSection("Other", [_SAMPLE])],
)
"""A digest with everything in it, to try templates with."""
MINIMAL: Mapping[str, Any] = digest_context(
    site_title="Example Site",
    site_url="https://example.atlassian.net/wiki",
    recipient_name="Ada Example",
    sections=[DigestSection("Expired content", [DigestContent("One", "", "HR", datetime(2024, 2, 29, tzinfo=UTC))])],
)
"""A digest with as little in it as there can be."""
