"""Times inside sentences, in the zone in which the reader's screen writes all others.

A screen names its zone with every call; without one, or with one that is not known here, it is the zone of the site.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flask import request

from addon.base import zone_names
from addon.policies import PolicyDocument

HEADER = "Steward-Time-Zone"


def site_zone(policies: PolicyDocument) -> str:
    """Return the IANA zone of the site, the one its administrators plan in: that of the rules, else of the refresh.

    A zone that was saved once and is not known here any more is passed over, down to UTC.
    """
    planned = [rule.schedule for scheme in policies.notification_schemes for rule in scheme.rules]
    planned += [each.schedule for scheme in policies.automation_schemes for each in scheme.automations]
    zones = [each.time_zone for each in (*planned, policies.schedules.refresh_statuses)]
    return next((zone for zone in zones if zone in zone_names()), "UTC")


def reader_zone(policies: PolicyDocument) -> str:
    """Return the IANA zone that the request names, else that of the site."""
    named = request.headers.get(HEADER, "")
    return named if named in zone_names() else site_zone(policies)


def said(at: datetime, now: datetime, zone: str) -> str:
    """Return a time for a sentence: "14:17 (Europe/Berlin)", with the day unless it is today there."""
    there, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    day = "" if there.date() == today.date() else f" on {there.day} {there:%B}"
    return f"{there:%H:%M}{day} ({zone})"
