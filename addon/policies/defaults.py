"""The shipped policies that a new site starts with: nothing in them mails or acts until it is switched on.

Three status schemes ship. In the default one, expired means: the date that people set has passed; or no date is set
that is still to come, and for 24 months no one updated or reviewed the content. The two others look at one of both.
CQL has no "is empty", so a missing date is asked for as "not in the future". Every condition begins with a positive
clause, because Confluence refuses a query that begins with a negative one (docs/rules/confluence-api.md 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from addon.base import TenantId
from addon.base.resources import templates
from addon.policies.document import PolicyDocument
from addon.policies.elements import (
    Action,
    Automation,
    AutomationScheme,
    Cron,
    Hold,
    NotificationScheme,
    Recipient,
    RefreshSchedule,
    Rule,
    Schedules,
    Selector,
    Status,
    StatusEntry,
    StatusScheme,
    Template,
)

FIRST_RUN_REASON = "New installation: waiting for a Confluence administrator to confirm the first run."

STATUSES = (
    Status(
        id="expired",
        name="Expired",
        description="Its expiration date has passed, or no one has updated or reviewed it for two years. "
        "Update it, give it a new date, or let it go to the archive.",
        colour="#c9372c",
        icon="alert",
    ),
    Status(
        id="not-updated",
        name="Not updated",
        description="No one has updated or reviewed it for a year. Please check whether it is still right.",
        colour="#e2b203",
        icon="clock",
    ),
    Status(
        id="up-to-date",
        name="Up-to-date",
        description="Updated or reviewed recently enough, and not past its expiration date.",
        colour="#22a06b",
        icon="check",
    ),
)


P = TypeVar("P", Rule, Automation)
Slugs = Callable[[str], str]
"""From the id a status ships with to the id it has on a site where that one was used up."""


def refresh_cron(tenant_id: TenantId) -> str:
    """Return the cron of a tenant's refresh: four times a day, its hours and a minute of 10..35 from the tenant's hash.

    Spread so that the sites of one add-on do not all ask Confluence at the same moment (docs/rules/schedules.md 2.1).
    """
    number = int.from_bytes(hashlib.sha256(tenant_id.encode()).digest()[:8])
    hour, minute = number % 6, 10 + number // 6 % 26
    return f"{minute} {hour},{hour + 6},{hour + 12},{hour + 18} * * *"


def expired_cql(namespace: str) -> str:
    """Return the CQL of what is expired."""
    return (
        f"{namespace}ExpirationDate <= now()"
        f' OR (lastmodified < now("-24M")'
        f" AND NOT ({namespace}ExpirationDate > now())"
        f' AND NOT ({namespace}ReviewedOn >= now("-24M")))'
    )


def not_updated_cql(namespace: str) -> str:
    """Return the CQL of what was neither updated nor reviewed for twelve months."""
    return f'lastmodified < now("-12M") AND NOT ({namespace}ReviewedOn >= now("-12M"))'


def not_touched_cql(namespace: str) -> str:
    """Return the CQL of what was neither updated nor reviewed for 24 months, whatever date it was given."""
    return f'lastmodified < now("-24M") AND NOT ({namespace}ReviewedOn >= now("-24M"))'


def date_passed_cql(namespace: str) -> str:
    """Return the CQL of what is past the date that people gave it."""
    return f"{namespace}ExpirationDate <= now()"


def status_schemes(namespace: str, slug: Slugs) -> tuple[StatusScheme, ...]:
    """Return the shipped status schemes, the default first."""
    last = StatusEntry(status=slug("up-to-date"))
    not_updated = StatusEntry(status=slug("not-updated"), cql=not_updated_cql(namespace))
    expired = slug("expired")
    return (
        StatusScheme(
            id="freshness",
            name="Freshness",
            description="By expiration date and by last update: the date counts where somebody set one, else what "
            "no one updated or reviewed for two years is expired. For most spaces.",
            default=True,
            entries=(StatusEntry(status=expired, cql=expired_cql(namespace)), not_updated, last),
        ),
        StatusScheme(
            id="last-update",
            name="Freshness by last update",
            description="Only by when an item was last updated or reviewed; expiration dates play no part. For "
            "spaces where everything should be looked at now and then.",
            entries=(StatusEntry(status=expired, cql=not_touched_cql(namespace)), not_updated, last),
        ),
        StatusScheme(
            id="expiry-date",
            name="Expiration date",
            description="Only by the date that people set: old pages stay up-to-date until their date has passed. "
            "For contracts, policies and other pages with a fixed term.",
            entries=(StatusEntry(status=expired, cql=date_passed_cql(namespace)), last),
        ),
    )


def digest_template() -> Template:
    """Return the shipped mail template, from templates/mail."""
    folder = templates() / "mail"
    return Template(
        id="digest",
        name="Digest of items to look at",
        subject=(folder / "digest.subject.txt").read_text(encoding="utf-8"),
        text=(folder / "digest.txt").read_text(encoding="utf-8"),
        html=(folder / "digest.html").read_text(encoding="utf-8"),
    )


def shipped(
    namespace: str,
    tenant_id: TenantId,
    *,
    time_zone: str = "UTC",
    hold: bool = True,
    switched_on: bool = False,
    slug: Slugs = str,
) -> PolicyDocument:
    """Return the policies of a new installation.

    Parameters: `namespace` prefixes the CQL aliases; `time_zone` (IANA) is that of rule and automation, the refresh
    runs in UTC because its hours are spread over all tenants; `hold` holds all schedules until the first run is
    confirmed; `switched_on` enables rule and automation, which ship disabled (the demo site only); `slug` gives a
    status another id than the one it ships with.
    """
    expired = slug("expired")
    return PolicyDocument(
        statuses=tuple(status.model_copy(update={"id": slug(status.id)}) for status in STATUSES),
        status_schemes=status_schemes(namespace, slug),
        templates=(digest_template(),),
        schedules=Schedules(
            hold=Hold(on=hold, reason=FIRST_RUN_REASON if hold else None),
            refresh_statuses=RefreshSchedule(cron=refresh_cron(tenant_id), time_zone="UTC", enabled=True),
        ),
        notification_schemes=(_reminders(namespace, time_zone, switched_on, expired),),
        automation_schemes=(_clean_up(namespace, time_zone, switched_on, expired),),
        excluded_spaces=tuple(
            Selector(type=name) for name in ("personal", "system", "onboarding", "xflow_sample_space")
        ),
    )


def in_zone(document: PolicyDocument, factory: PolicyDocument, zone: str) -> PolicyDocument:
    """Return `document` with all schedules planned in `zone` that have their time from `factory`."""
    times: dict[str, Cron] = {
        f"rule {scheme.id}/{rule.id}": rule.schedule for scheme in factory.notification_schemes for rule in scheme.rules
    }
    for scheme in factory.automation_schemes:
        times |= {f"automation {scheme.id}/{each.id}": each.schedule for each in scheme.automations}

    def moved(name: str, part: P) -> P:
        if times.get(name) != part.schedule:
            return part
        return part.model_copy(update={"schedule": part.schedule.model_copy(update={"time_zone": zone})})

    notifications = tuple(
        each.model_copy(update={"rules": tuple(moved(f"rule {each.id}/{rule.id}", rule) for rule in each.rules)})
        for each in document.notification_schemes
    )
    automations = tuple(
        each.model_copy(
            update={"automations": tuple(moved(f"automation {each.id}/{one.id}", one) for one in each.automations)}
        )
        for each in document.automation_schemes
    )
    schedules = document.schedules
    if schedules.refresh_statuses == factory.schedules.refresh_statuses:
        refresh = schedules.refresh_statuses.model_copy(update={"time_zone": zone})
        schedules = schedules.model_copy(update={"refresh_statuses": refresh})
    changed = {"schedules": schedules, "notification_schemes": notifications, "automation_schemes": automations}
    return document.model_copy(update=changed)


def _reminders(namespace: str, time_zone: str, enabled: bool, expired: str) -> NotificationScheme:
    rule = Rule(
        id="expired-content",
        name="Expired content",
        enabled=enabled,
        schedule=Cron(cron="0 8 * * 1", time_zone=time_zone),
        cql=f'{namespace}Status = "{expired}"',
        content_states=("current",),
        recipients=(Recipient(kind="author"), Recipient(kind="lastUpdater")),
        template="digest",
    )
    return NotificationScheme(id="reminders", name="Reminders", default=True, rules=(rule,))


def _clean_up(namespace: str, time_zone: str, enabled: bool, expired: str) -> AutomationScheme:
    automation = Automation(
        id="archive-expired",
        name="Archive what has been expired for six months",
        enabled=enabled,
        schedule=Cron(cron="0 2 * * 0", time_zone=time_zone),
        cql=f'{namespace}Status = "{expired}" AND {namespace}StatusChangedOn < now("-6M")',
        action=Action(type="archive"),
    )
    return AutomationScheme(id="clean-up", name="Clean-up", default=True, automations=(automation,))
